"""From a pool to a mix: what is eligible, budgets, the choice of documents, and the files."""
