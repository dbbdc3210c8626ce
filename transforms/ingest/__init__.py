"""Raw files to documents: one reader per kind of input."""
