"""Recipes in YAML and the JSON Schema that editors complete and check them with."""
