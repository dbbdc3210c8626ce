"""Check: one thing that must hold of a mix, with what was seen and what was wanted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Check"]


@dataclass(frozen=True)
class Check:
    """One thing that must hold of a mix."""

    name: str
    ok: bool
    seen: object
    wanted: object

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
