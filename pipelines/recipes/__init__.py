"""A recipe's files, their checks, and the values that all else is told by."""
