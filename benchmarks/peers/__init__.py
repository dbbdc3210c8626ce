"""Peers' side of each stage, a module a library. They import that library and the standard
library alone, since some run in environments of their own.
"""
