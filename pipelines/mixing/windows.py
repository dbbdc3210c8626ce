"""Windows of a mix: between which scores documents are kept, found in two small passes over what is
stored, before budgets are.

The first pass reads the tables of the sources that have a window and leaves per shard a file of the
keys of its documents' scores; the second reads these alone. What comes back are counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.mixing.eligible import Choice, score
from pipelines.mixing.shard_passes import ShardPasses
from pipelines.stage_names import SELECT
from pipelines.workspace import Workspace
from transforms import storage
from transforms.dedup.pool import PoolShard
from transforms.exchange import remove_runs
from transforms.mixing.quality_bins import LOWER_BITS, Sums, merge_sums, score_keys, sum_keys
from transforms.mixing.window import WindowBounds, find_window, keys_at_bounds

__all__ = ["find_windows"]

Keys = npt.NDArray[np.uint32]


def find_windows(
    workspace: Workspace, shards: Sequence[PoolShard], choice: Choice, options: PipelineOptions
) -> dict[str, WindowBounds]:
    """The bounds of each window of the choice, over the documents that meet its `where`."""
    its = [shard for shard in shards if shard.source in choice.windows and shard.file.rows]
    folder = workspace.work("window", uuid4().hex)
    passes = ShardPasses(SELECT, workspace, its, folder, options)
    try:
        look = partial(_first_look, choice=choice, folder=folder)
        upper = passes.collect("scores", look, merge_sums)
        cut = {source: keys_at_bounds(upper[source], choice.windows[source]) for source in upper}
        lower = passes.collect("bounds", partial(_lower, cut=cut, folder=folder), merge_sums)
    finally:
        remove_runs(folder)
    nothing = merge_sums([])
    return {
        source: find_window(upper.get(source, nothing), lower.get(source, nothing), window)
        for source, window in sorted(choice.windows.items())
    }


def _first_look(shard: PoolShard, choice: Choice, folder: str) -> tuple[str, Sums]:
    """Write the keys of a shard's scores; gives documents by their upper bits."""
    parts: list[Keys] = [np.empty(0, np.uint32)]
    for scored in score(shard, choice, contents=False):
        scores = scored.measured[scored.eligible]
        parts.append(score_keys(scores[~np.isnan(scores)]))
    keys = np.concatenate(parts)
    storage.write_bytes(_path(folder, shard), keys.astype("<u4").tobytes())
    return shard.source, _count(keys >> np.uint32(LOWER_BITS))


def _lower(shard: PoolShard, cut: Mapping[str, Keys], folder: str) -> tuple[str, Sums]:
    """Documents by whole keys, of those among which bounds lie."""
    keys = np.frombuffer(storage.read_bytes(_path(folder, shard)), "<u4").astype(np.uint32)
    return shard.source, _count(keys[np.isin(keys >> np.uint32(LOWER_BITS), cut[shard.source])])


def _count(keys: Keys) -> Sums:
    return sum_keys(np.zeros(len(keys), np.uint64), keys, np.ones(len(keys), np.int64))


def _path(folder: str, shard: PoolShard) -> str:
    return storage.join(folder, "keys", f"{shard.number:08d}")
