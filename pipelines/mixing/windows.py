"""Windows of a mix: between which scores documents are kept, found in two small passes over what is
stored, before budgets are.

The first pass reads the tables of the sources that have a window and leaves per shard a file of the
keys of its documents' scores; the second reads these alone. What comes back are counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.mixing.eligible import Choice, score
from pipelines.mixing.shard_passes import ShardPasses
from pipelines.scratch import scratch
from pipelines.stage_names import SELECT
from pipelines.workspace import Workspace
from transforms import storage
from transforms.dedup.pool import PoolShard
from transforms.mixing.quality_bins import LOWER_BITS, Sums, merge_sums, score_keys, sum_keys
from transforms.mixing.window import WindowBounds, find_window, keys_at_bounds

__all__ = ["NoScore", "find_windows"]

Keys = npt.NDArray[np.uint32]
_First = tuple[Sums, int]  # documents by the upper bits of their scores, and those without one


class NoScore(ValueError):
    """A window's score is null or NaN for all documents of its `source`, so none would be left."""

    def __init__(self, source: str, documents: int) -> None:
        super().__init__(f"{source}: none of its {documents:,} documents has a score")
        self.source = source
        self.documents = documents


def find_windows(
    workspace: Workspace, shards: Sequence[PoolShard], choice: Choice, options: PipelineOptions
) -> dict[str, WindowBounds]:
    """The bounds of each window of the choice, over the documents that meet its `where`. NoScore
    where there are some and none of them has a score."""
    its = [shard for shard in shards if shard.source in choice.windows and shard.file.rows]
    with scratch(workspace, "window") as folder:
        passes = ShardPasses(SELECT, workspace, its, folder, options)
        look = partial(_first_look, choice=choice, folder=folder)
        first = passes.collect("scores", look, _join_first)
        for source, (sums, without) in sorted(first.items()):
            if without and not len(sums):
                raise NoScore(source, without)
        upper = {source: sums for source, (sums, _) in first.items()}
        cut = {source: keys_at_bounds(upper[source], choice.windows[source]) for source in upper}
        lower = passes.collect("bounds", partial(_lower, cut=cut, folder=folder), merge_sums)
    nothing = merge_sums([])
    return {
        source: find_window(upper.get(source, nothing), lower.get(source, nothing), window)
        for source, window in sorted(choice.windows.items())
    }


def _first_look(shard: PoolShard, choice: Choice, folder: str) -> tuple[str, _First]:
    """Write the keys of a shard's scores; gives documents by their upper bits."""
    parts: list[Keys] = [np.empty(0, np.uint32)]
    without = 0
    for scored in score(shard, choice, contents=False):
        scores = scored.measured[scored.eligible]
        known = scores[~np.isnan(scores)]
        without += len(scores) - len(known)
        parts.append(score_keys(known))
    keys = np.concatenate(parts)
    storage.write_bytes(_path(folder, shard), keys.astype("<u4").tobytes())
    return shard.source, (_count(keys >> np.uint32(LOWER_BITS)), without)


def _join_first(results: Iterable[_First]) -> _First:
    its = list(results)
    return merge_sums([sums for sums, _ in its]), sum(without for _, without in its)


def _lower(shard: PoolShard, cut: Mapping[str, Keys], folder: str) -> tuple[str, Sums]:
    """Documents by whole keys, of those among which bounds lie."""
    keys = np.frombuffer(storage.read_bytes(_path(folder, shard)), "<u4").astype(np.uint32)
    return shard.source, _count(keys[np.isin(keys >> np.uint32(LOWER_BITS), cut[shard.source])])


def _count(keys: Keys) -> Sums:
    return sum_keys(np.zeros(len(keys), np.uint64), keys, np.ones(len(keys), np.int64))


def _path(folder: str, shard: PoolShard) -> str:
    return storage.join(folder, "keys", f"{shard.number:08d}")
