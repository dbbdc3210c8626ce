"""Deduplication of a pool: its jobs, the pipelines they run, and the keys of earlier runs."""
