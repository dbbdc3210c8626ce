"""What a run or a plan knows of each stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.stage_names import ANNOTATE

__all__ = ["StageState"]


@dataclass(frozen=True)
class StageState:
    """A stage (stage_names), the source and the table of it that is meant (None: all of them), the
    state ("done", "up to date" or "to do") and counts when known."""

    stage: str
    source: str | None
    table: str | None
    state: str
    counts: Mapping[str, int]

    @property
    def name(self) -> str:
        """`filter web`; `annotate gopher web`, since that stage makes several tables."""
        table = self.table if self.stage == ANNOTATE else None
        return " ".join(part for part in (self.stage, table, self.source) if part)

    def to_json(self) -> dict[str, object]:
        """The state as the command's contract has it."""
        return {
            "name": self.name,
            "stage": self.stage,
            "source": self.source,
            "table": self.table,
            "state": self.state,
            "counts": dict(self.counts),
        }
