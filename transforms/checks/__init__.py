"""Checks over all rows: pure functions from batches to the additive counters that gates read."""
