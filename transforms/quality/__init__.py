"""Quality rules: scores and spans that say what a document is like; recipes decide by them."""
