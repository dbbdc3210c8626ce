"""Vineleaf's side of each stage, through its public interfaces: annotators, tokenizers, recipes."""
