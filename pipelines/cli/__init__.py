"""The command line: one module per command, and what they share."""

from pipelines.cli.app import app, main

__all__ = ["app", "main"]
