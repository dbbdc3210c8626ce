"""Passes over the pool that write no dataset: a function of each shard, results joined by source.

They look at what is stored, for `plan` and for the choice of documents. Each pass is a pipeline;
each shard's result is a file of a scratch folder, which the caller removes, and every one of them
must be there when results are joined.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.runners.submission import RunFailed, run_pipeline
from pipelines.stages import ProcessTasks
from pipelines.workspace import Workspace
from transforms import storage
from transforms.dedup.pool import PoolShard
from transforms.stored_lists import Afterwards, Listed

__all__ = ["ShardPasses"]

BLOCK_SHARDS = 256  # whose results one task joins; where there are no more, nobody else does
HELD_RESULTS = 16  # that are joined at once


@dataclass(frozen=True)
class _Block:
    """Results of some shards of a source, by the shards' numbers, that are joined into a file."""

    name: str
    source: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class ShardPasses:
    """Passes over some shards. `title`: the stage in whose name they run; `folder`: of scratch."""

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
        order. RunFailed where a result is gone.
        """
        wanted = None if sources is None else set(sources)
        shards = [one for one in self.shards if wanted is None or one.source in wanted]
        if not shards:
            return {}
        target = storage.join(self.folder, step)
        blocks = list(_blocks(shards))
        label = f"{self.title}, {step}"
        join_block = partial(_join_block, join=join, target=target)
        elsewhere = len(shards) > BLOCK_SHARDS

        def build(pipeline: beam.Pipeline) -> None:
            done = (
                pipeline
                | "Shards" >> Listed(shards, target)
                | "Look" >> ProcessTasks(partial(_look, function=function, target=target), label)
            )
            if elsewhere:
                joined = done | "Blocks" >> Afterwards(blocks, target)
                joined | "Join" >> ProcessTasks(join_block, f"{label}, joining")

        run_pipeline(self.title, build, self.options, place=self.workspace.uri)
        try:
            if not elsewhere:
                for block in blocks:
                    join_block(block)
            paths: dict[str, list[str]] = {}
            for block in blocks:
                paths.setdefault(block.source, []).append(_block_path(target, block.name))
            return {source: _join_all(map(_load, its), join) for source, its in paths.items()}
        except FileNotFoundError as error:
            raise RunFailed(f"{label}: {error}; run it again") from error


def _blocks(shards: Sequence[PoolShard]) -> Iterator[_Block]:
    by_source: dict[str, list[int]] = {}
    for shard in shards:
        by_source.setdefault(shard.source, []).append(shard.number)
    for source, numbers in sorted(by_source.items()):
        for first in range(0, len(numbers), BLOCK_SHARDS):
            its = tuple(numbers[first : first + BLOCK_SHARDS])
            yield _Block(f"{source}-{first}", source, its)


def _look(shard: PoolShard, function: Callable[[PoolShard], tuple[str, Any]], target: str) -> int:
    """Store what the function gives of a shard."""
    storage.write_bytes(_shard_path(target, shard.number), pickle.dumps(function(shard)[1]))
    return shard.number


def _join_block(block: _Block, join: Callable[[Iterable[Any]], Any], target: str) -> str:
    results = _join_all((_load(_shard_path(target, number)) for number in block.numbers), join)
    storage.write_bytes(_block_path(target, block.name), pickle.dumps(results))
    return block.name


def _join_all(results: Iterator[Any], join: Callable[[Iterable[Any]], Any]) -> Any:
    """All results joined, of which `HELD_RESULTS` and what is joined already are held."""
    joined = join(islice(results, HELD_RESULTS))
    while some := list(islice(results, HELD_RESULTS)):
        joined = join([joined, *some])
    return joined


def _shard_path(target: str, number: int) -> str:
    return storage.join(target, "shards", f"{number:08d}")


def _block_path(target: str, name: str) -> str:
    return storage.join(target, "blocks", name)


def _load(path: str) -> Any:
    if not storage.exists(path):
        raise FileNotFoundError(f"{path} is gone")
    return pickle.loads(storage.read_bytes(path))
