"""Duplicates: who repeats whom, exactly or nearly, and which of them survives."""
