"""What people read about runs and mixes: funnels, stories of documents, comparisons, plots."""
