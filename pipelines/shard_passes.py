"""Passes over the pool that write no dataset: a function of each shard, results joined by source.

They look at what is stored, for `plan` and for the choice of documents. Each pass is a pipeline;
its results are small (sums) and go through files of a scratch folder, which the caller removes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.stages import ProcessTasks
from pipelines.submission import RunFailed, run_pipeline
from pipelines.workspace import Workspace
from transforms import storage
from transforms.dedup.pool import PoolShard
from transforms.stored_lists import Listed

__all__ = ["ShardPasses"]


@dataclass(frozen=True)
class ShardPasses:
    """Passes over some shards; that none is lost on the way is checked. `title`: the stage in whose
    name they run; `folder`: of scratch."""

    title: str
    workspace: Workspace
    shards: Sequence[PoolShard]
    folder: str
    options: PipelineOptions

    def collect(
        self,
        step: str,
        function: Callable[[PoolShard], tuple[str, Any]],
        join: Callable[[Iterable[Any]], Any],
        sources: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Source -> the joined results of its shards; no entry for one without a shard.

        `function` gives (source, result). `join` takes results, and what it gave itself, in any
        order; of none it gives None.
        """
        wanted = None if sources is None else set(sources)
        shards = [one for one in self.shards if wanted is None or one.source in wanted]
        if not shards:
            return {}
        target = storage.join(self.folder, step)
        run_pipeline(
            self.title,
            lambda pipeline: (
                pipeline
                | "Shards" >> Listed(shards, target)
                | ProcessTasks(function, f"{self.title}, {step}")
                | "Count" >> beam.Map(_counted)
                | "Join per source" >> beam.CombinePerKey(partial(_join, join=join))
                | "Save" >> beam.Map(partial(_save, folder=target))
            ),
            self.options,
            place=self.workspace.uri,
        )
        found = {}
        for source in sorted({shard.source for shard in shards}):
            path = storage.join(target, source)
            if not storage.exists(path):
                raise RunFailed(f"{self.title}, {step}: {path} of {source} is gone; run it again")
            joined, found[source] = pickle.loads(storage.read_bytes(path))
            count = sum(shard.source == source for shard in shards)
            if joined != count:
                raise RunFailed(
                    f"{self.title}, {step}: {joined} of {count} shards of {source} were joined;"
                    " run it again"
                )
        return found


def _counted(found: tuple[str, Any]) -> tuple[str, tuple[int, Any]]:
    """A shard's result with the number of shards that it is of."""
    return found[0], (1, found[1])


def _join(
    results: Iterable[tuple[int, Any]], join: Callable[[Iterable[Any]], Any]
) -> tuple[int, Any]:
    known = [one for one in results if one[0]]
    return sum(count for count, _ in known), join([result for _, result in known])


def _save(found: tuple[str, Any], folder: str) -> None:
    storage.write_bytes(storage.join(folder, found[0]), pickle.dumps(found[1]))
