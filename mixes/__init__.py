"""Recipes in YAML, the JSON Schema that editors complete and check them with, and what tells their
mistakes by line.
"""
