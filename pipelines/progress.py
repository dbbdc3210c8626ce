"""Progress of a run on standard error: a bar per job with shards, documents/s, MB/s and
removals.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from pipelines.stages import Job, Stage
from transforms.datasets import TaskRecord

__all__ = ["RunProgress"]


class _Rates(ProgressColumn):
    """Documents/s, MB/s and removals so far."""

    def render(self, task: Task) -> Text:
        elapsed = max(task.elapsed or 0.0, 1e-9)
        fields = task.fields
        parts = []
        if fields["documents"]:
            parts.append(f"{fields['documents'] / elapsed:,.0f} documents/s")
        if fields["text_bytes"]:
            parts.append(f"{fields['text_bytes'] / 1e6 / elapsed:,.1f} MB/s")
        if fields["removed"]:
            parts.append(f"{fields['removed']:,} removed")
        return Text("  ".join(parts))


class RunProgress:
    """Shows jobs as they run. Where there is no terminal, one line at the end of each job."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f} shards"),
            TimeElapsedColumn(),
            _Rates(),
            console=console,
            disable=not console.is_terminal,
        )
        self._current: tuple[str, float] | None = None
        self._task = self._progress.add_task("", total=0, visible=False, **_ZERO)
        self._sums = dict(_ZERO)
        self._measured: frozenset[str] = frozenset()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress while the block runs."""
        with self._progress:
            try:
                yield
            finally:
                self._end_job()

    def start(self, job: Job) -> None:
        """A job begins; tasks that are finished already do not count."""
        self._end_job()
        unfinished = [stage for stage in job.stages if stage.dataset.manifest() is None]
        total = sum(len(set(stage.tasks) - stage.dataset.finished_tasks()) for stage in unfinished)
        if not total:
            return
        with self._lock:
            self._current = (job.title, time.monotonic())
            self._sums = dict(_ZERO)
            # A job may make several tables of the same documents; they are counted once.
            by_source = {stage.name.partition(" ")[2]: stage.name for stage in unfinished}
            self._measured = frozenset(by_source.values())
            self._task = self._progress.add_task(job.title, total=total, **_ZERO)

    def observe(self, stage: Stage, record: TaskRecord) -> None:
        """A task of a stage is finished."""
        counts = record.counts if stage.name in self._measured else {}
        with self._lock:
            self._sums["documents"] += counts.get(
                "documents", counts.get("rows", counts.get("candidates", 0))
            )
            self._sums["text_bytes"] += counts.get("text_bytes", counts.get("kept_text_bytes", 0))
            self._sums["removed"] += counts.get("removed", 0) or sum(
                value for name, value in counts.items() if name.startswith("removed.")
            )
            self._progress.update(self._task, advance=1, **self._sums)

    def _end_job(self) -> None:
        if self._current is None:
            return
        title, started = self._current
        self._current = None
        if not self._console.is_terminal:
            seconds = time.monotonic() - started
            sums = self._sums
            parts = [f"{title}: {seconds:.1f} s"]
            if sums["documents"]:
                parts.append(f"{sums['documents']:,} documents")
            if sums["text_bytes"]:
                parts.append(f"{sums['text_bytes'] / 1e6:,.1f} MB")
            if sums["removed"]:
                parts.append(f"{sums['removed']:,} removed")
            self._console.print(", ".join(parts))


_ZERO: dict[str, Any] = {"documents": 0, "text_bytes": 0, "removed": 0}
