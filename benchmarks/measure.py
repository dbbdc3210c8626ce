"""Measure a side in a process of its own, one thread unless the side says otherwise.

In: a side and a task. Out: `Measurement`, or the sentence why there is none.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import InstallError, environment_python
from benchmarks.work import Task

__all__ = ["Measurement", "Side", "measure_side"]

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 1800  # of one side
# Libraries that would start a thread per core.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Side:
    """One way to do a stage's work. `name` as a table shows it; `function`: "module:function";
    `environment`: see `environments`; `text_bytes`: how much of the corpus it gets, at most (slow
    sides get a slice); `options` for its task; `variables` of its process."""

    name: str
    function: str
    environment: str = ""
    text_bytes: int | None = None
    options: tuple[tuple[str, Any], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Measurement:
    """What one side took; see `benchmarks.child`. `problem`: why nothing was measured."""

    side: str
    problem: str = ""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    first_seconds: float = 0.0
    run_bytes: int = 0
    peak_bytes: int = 0
    peak_before_bytes: int = 0
    answer: Any = None

    @property
    def rate(self) -> float:
        """MB (10**6 bytes) per CPU second; 0 where nothing was measured."""
        return self.run_bytes / 1e6 / self.cpu_seconds if self.cpu_seconds else 0.0


def measure_side(side: Side, task: Task, environments: str) -> Measurement:
    """Measure a side. `environments`: the folder where environments of peers are."""
    try:
        python = environment_python(side.environment, environments)
    except InstallError as error:
        return Measurement(side.name, problem=f"does not install here: {error}")
    if side.text_bytes is not None:
        task = Task(task.corpus, min(task.text_bytes, side.text_bytes), task.scratch, task.options)
    task = Task(task.corpus, task.text_bytes, task.scratch, {**task.options, **dict(side.options)})
    with tempfile.TemporaryDirectory(dir=task.scratch) as folder:
        task = Task(task.corpus, task.text_bytes, folder, task.options)
        result = os.path.join(folder, "result.json")
        arguments = ["-m", "benchmarks.child", side.function, json.dumps(asdict(task)), result]
        log = os.path.join(folder, "log.txt")
        with open(log, "wb") as output:
            try:
                done = subprocess.run(
                    [python, *arguments],
                    cwd=folder,
                    env={
                        **os.environ,
                        **ONE_THREAD,
                        "PYTHONPATH": str(ROOT),
                        **dict(side.variables),
                    },
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=TIMEOUT_SECONDS,
                )
            except subprocess.TimeoutExpired:
                return Measurement(side.name, problem=f"took more than {TIMEOUT_SECONDS} s")
        if done.returncode:
            lines = Path(log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return Measurement(side.name, problem=f"failed: {(lines or ['no answer'])[-1]}")
        with open(result, encoding="utf-8") as file:
            return Measurement(side.name, **json.load(file))
