"""What a command line asks for in vain: told in one sentence, with the exit code of a mistake."""

from __future__ import annotations

__all__ = ["CommandError"]


class CommandError(ValueError):
    """An argument makes no sense, or names what is not there."""
