"""Progress of a run on standard error, by the names of its stages.

On a terminal: a bar per stage with shards, time, documents/s, MB/s, what was removed so far, and
the step of a stage that has several. Elsewhere (a log file, CI, a cluster at night): one plain line
when a stage begins, one every `EVERY_SECONDS` while it works, and one at its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from pipelines.stages import Job, Missing, Stage
from transforms.datasets import TaskRecord

__all__ = ["RunProgress"]

EVERY_SECONDS = 30.0  # between two lines of a log
STEP_SECONDS = 2.0  # between two looks at what step a stage is at, on a terminal
DRAW_SECONDS = 0.1  # between two changes of a bar, at least: there may be 200,000 shards


@dataclass
class _Work:
    """What is being done: a job, or with `total` None work whose size nobody knows."""

    title: str
    total: int | None  # shards
    step: Callable[[], str]
    measured: frozenset[str]  # names of the datasets whose records count
    bar: TaskID
    started: float
    shards: int = 0
    documents: int = 0
    text_bytes: int = 0
    removed: int = 0
    told: bool = False  # that it begins or goes on
    drawn: float = 0.0  # when its bar was

    def rates(self, seconds: float) -> list[str]:
        """Documents/s, MB/s and removals so far, as far as they are known."""
        seconds = max(seconds, 1e-9)
        parts = []
        if self.documents:
            parts.append(f"{self.documents / seconds:,.0f} documents/s")
        if self.text_bytes:
            parts.append(f"{self.text_bytes / 1e6 / seconds:,.1f} MB/s")
        if self.removed:
            parts.append(f"{self.removed:,} removed")
        return parts


class _Shards(ProgressColumn):
    """`3/16 shards`; nothing for work whose size nobody knows."""

    def render(self, task: Task) -> Text:
        return Text("" if task.total is None else f"{task.completed:.0f}/{task.total:.0f} shards")


class RunProgress:
    """Shows stages as they run; `console` is where. It looks every `every_seconds` at what there is
    to tell."""

    def __init__(self, console: Console, every_seconds: float | None = None) -> None:
        self._console = console
        self._is_terminal = console.is_terminal
        default = STEP_SECONDS if self._is_terminal else EVERY_SECONDS
        self._every_seconds = default if every_seconds is None else every_seconds
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            _Shards(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[rates]}", markup=False),
            TextColumn("{task.fields[step]}", markup=False),
            console=console,
            disable=not self._is_terminal,
        )
        self._work: _Work | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress while the block runs."""
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(self._every_seconds):
                self.tell()

        thread = threading.Thread(target=look, daemon=True)
        with self._progress:
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    @contextmanager
    def job(self, job: Job, missing: Missing) -> Iterator[None]:
        """A job runs while the block does. One that has nothing to do is not told, and tasks that
        are finished already do not count."""
        # A job may make several tables of the same documents; they are counted once.
        most: dict[str, tuple[int, str]] = {}
        for name, tasks in missing.items():
            source = name.partition(" ")[2]
            most[source] = max(most.get(source, (0, "")), (len(tasks), name))
        total = sum(tasks for tasks, _ in most.values())
        if not total:
            yield
            return
        names = frozenset(name for _, name in most.values())
        with self._doing(job.title, total, job.step, names):
            yield

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """Work between two jobs; a log names it only when it takes long."""
        with self._doing(title, None, lambda: "", frozenset()):
            yield

    def observe(self, stage: Stage, record: TaskRecord) -> None:
        """A task of a stage is finished."""
        with self._lock:
            work = self._work
            if work is None or stage.name not in work.measured:
                return
            counts = record.counts
            work.shards += 1
            work.documents += counts.get(
                "documents", counts.get("rows", counts.get("candidates", 0))
            )
            work.text_bytes += counts.get("text_bytes", counts.get("kept_text_bytes", 0))
            work.removed += counts.get("removed", 0) or _removed_by_reason(counts)
            if time.monotonic() - work.drawn >= DRAW_SECONDS:
                self._draw(work)

    def _draw(self, work: _Work) -> None:
        work.drawn = time.monotonic()
        rates = "  ".join(work.rates(work.drawn - work.started))
        self._progress.update(work.bar, completed=work.shards, rates=rates)

    def tell(self) -> None:
        """How far the work is: a line in a log, the step of a bar on a terminal."""
        with self._lock:
            work = self._work
        if work is None:
            return
        step = work.step()
        if self._is_terminal:
            self._progress.update(work.bar, step=step)
            return
        seconds = time.monotonic() - work.started
        parts = [f"{work.title}: {seconds:.0f} s"]
        if work.total is not None:
            parts.append(f"{work.shards}/{work.total} shards")
        self._print([*parts, *work.rates(seconds), *([step] if step else [])])
        work.told = True

    @contextmanager
    def _doing(
        self, title: str, total: int | None, step: Callable[[], str], measured: frozenset[str]
    ) -> Iterator[None]:
        bar = self._progress.add_task(title, total=total, rates="", step="")
        work = _Work(title, total, step, measured, bar, time.monotonic())
        if total is not None and not self._is_terminal:
            self._print([f"{title}: begins, {total} shard{'' if total == 1 else 's'} to do"])
            work.told = True
        with self._lock:
            self._work = work
        ended = "failed after"
        try:
            yield
            ended = "done in"
        finally:
            with self._lock:
                self._work = None
            if total is not None:
                self._draw(work)
            self._progress.update(bar, step="")
            self._progress.stop_task(bar)
            if total is None:
                self._progress.remove_task(bar)
            if work.told:
                seconds = time.monotonic() - work.started
                parts = [f"{title}: {ended} {seconds:.1f} s"]
                if work.documents:
                    parts.append(f"{work.documents:,} documents")
                if work.text_bytes:
                    parts.append(f"{work.text_bytes / 1e6:,.1f} MB")
                self._print([*parts, *work.rates(seconds)])

    def _print(self, parts: list[str]) -> None:
        self._console.print(", ".join(parts), markup=False)


def _removed_by_reason(counts: Mapping[str, int]) -> int:
    return sum(value for name, value in counts.items() if name.startswith("removed."))
