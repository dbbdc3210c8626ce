"""From a pool to a mix: which documents, how often, and their tokens."""
