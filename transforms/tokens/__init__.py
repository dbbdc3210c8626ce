"""Tokenizers and the token files that a mix is made of."""
