"""Recipes: read, checked and turned into frozen values before any work is done."""
