"""Texts of others, as they may be shown on a terminal."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str) -> str:
    """A text whose control characters, which could command the terminal, are written out."""
    return text if text.isprintable() else repr(text)[1:-1]
