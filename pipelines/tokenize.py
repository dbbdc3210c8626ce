"""Tokenize: the documents that are left in the pool, their spans cut, become tokens; one table per
shard.

In: documents, candidates, duplicates, spans to cut. Out: per source the table `tokens`, aligned
with the documents: `tokens` list<uint32> without EOS (null where a document is not in the pool),
`count` uint32 with EOS, `digest` uint64 (a hash of the tokens), `cut_bytes` int64 (bytes of UTF-8
that were cut), `reason` string (why a document left the pool here, else null). Text is tokenized
once for any number of mixes. Where the recipe asks for it, some documents are rearranged to be
filled in the middle: `tokens` are what trainers read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.stage_names import TOKENIZE
from pipelines.stages import Job
from pipelines.tables import TableTask, table_gate, table_job, table_stages
from pipelines.workspace import Workspace
from transforms.attributes import read_aligned, write_table
from transforms.checks.attributes import count_attributes
from transforms.datasets import Manifest, TaskRecord, sum_counts
from transforms.decontamination.annotator import NAME as CONTAMINATION
from transforms.dedup.pool import DUPLICATES, PoolShard, in_pool
from transforms.environment import environment
from transforms.mixing.cuts import NOTHING_LEFT, cut_texts
from transforms.mixing.identity import hash_tokens
from transforms.tokens.fill_in_middle import FillInMiddle, encode_with_middles
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.specification import TokenizerSpec
from transforms.tokens.tokenizer import Tokenizer

__all__ = ["TOKENS_SCHEMA", "TOKENS_VERSION", "Cuts", "tokenize_job", "tokenize_shard"]

TOKENS_VERSION = 2
_BENCHMARK_PASSAGES = (CONTAMINATION, "passages")  # that `remove: passage` cuts
TOKENS_SCHEMA = pa.schema(
    [
        pa.field("tokens", pa.list_(pa.uint32())),
        pa.field("count", pa.uint32()),
        pa.field("digest", pa.uint64()),
        pa.field("cut_bytes", pa.int64()),
        pa.field("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Cuts:
    """What is cut from a source's texts: span columns (table, column), and the n-gram index that
    the cut text must be free of (path, fingerprint), or None.
    """

    columns: tuple[tuple[str, str], ...]
    index: tuple[str, str] | None


def tokenize_shard(
    task: TableTask,
    tokenizer: TokenizerSpec,
    cuts: Mapping[str, Cuts],
    fingerprint: str = "",
    middles: Mapping[str, FillInMiddle] = MappingProxyType({}),
) -> str:
    """Write the table `tokens` of a shard and its record; gives the task's name. `cuts` and
    `middles` (of those whose documents are rearranged to be filled in) are by source.
    """
    shard, its_cuts = task.shard, cuts[task.shard.source]
    its_middles = middles.get(shard.source)
    counts: list[Mapping[str, int]] = []

    def batches() -> Iterator[pa.RecordBatch]:
        columns = _columns(shard, its_cuts)
        columns["documents"] += ["id"] if its_middles else []
        for aligned in read_aligned(shard.paths(*columns), shard.file.rows_digest, columns):
            loaded = load_tokenizer(tokenizer, fingerprint)
            table, counted = _tokenize(aligned, its_cuts, loaded, its_middles)
            counts.extend([count_attributes(table), counted])
            yield table

    file = write_table(task.dataset, shard.file, TOKENS_SCHEMA, batches())
    task.dataset.write_record(TaskRecord(shard.task, [file], sum_counts(counts)))
    return task.name


def _columns(shard: PoolShard, cuts: Cuts) -> dict[str, list[str]]:
    columns = {"documents": ["text"], "candidates": ["candidate"]}
    for table in DUPLICATES:
        if table in shard.tables:
            columns[table] = ["duplicate_of"]
    for table, column in cuts.columns:
        columns[table] = [*columns.get(table, []), column]
    return columns


def _tokenize(
    aligned: Mapping[str, pa.RecordBatch],
    cuts: Cuts,
    tokenizer: Tokenizer,
    middles: FillInMiddle | None,
) -> tuple[pa.RecordBatch, dict[str, int]]:
    documents = aligned["documents"]
    rows_total = documents.num_rows
    pooled = in_pool(aligned)
    rows = np.flatnonzero(pooled)
    taken = pa.array(rows)
    spans = [aligned[table].column(column).take(taken) for table, column in cuts.columns]
    cut = cut_texts(documents.column("text").take(taken), spans, cuts.index)
    alive, texts = rows[cut.kept], cut.texts.filter(pa.array(cut.kept))
    rearranged = {}
    if middles:
        ids = documents.column("id").take(pa.array(alive))
        tokens, offsets, count = encode_with_middles(tokenizer, ids, texts, middles)
        rearranged = {"fill_in_middle.documents": count}
    else:
        tokens, offsets = tokenizer.encode(texts)

    lengths = np.zeros(rows_total, np.int64)
    lengths[alive] = np.diff(offsets)
    digest = np.zeros(rows_total, np.uint64)
    digest[alive] = hash_tokens(tokens, offsets[:-1], offsets[1:])
    absent = np.ones(rows_total, np.bool_)
    absent[alive] = False
    cut_bytes = np.zeros(rows_total, np.int64)
    cut_bytes[rows] = cut.cut_bytes
    table = pa.RecordBatch.from_arrays(
        [
            pa.ListArray.from_arrays(
                pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32()),
                pa.array(tokens, pa.uint32()),
                mask=pa.array(absent),
            ),
            pa.array((lengths + 1).astype(np.uint32), mask=absent),
            pa.array(digest, mask=absent),
            pa.array(cut_bytes, mask=~pooled),
            pa.array(np.full(rows_total, NOTHING_LEFT, object), pa.string(), mask=absent != pooled),
        ],
        schema=TOKENS_SCHEMA,
    )
    counts = {
        "candidates": len(rows),
        "removed": len(rows) - len(alive),
        f"removed.{NOTHING_LEFT}": len(rows) - len(alive),
        "kept": len(alive),
        "kept_text_bytes": int(pc.sum(pc.binary_length(texts)).as_py() or 0),
        "tokens": int(lengths.sum()) + len(alive),
        "cut_bytes": int(cut_bytes.sum()),
        **rearranged,
    }
    if _BENCHMARK_PASSAGES in cuts.columns:
        counts.update(_count_cut(spans[cuts.columns.index(_BENCHMARK_PASSAGES)]))
    return table, counts


def _count_cut(spans: pa.Array) -> dict[str, int]:
    """What is cut for benchmarks, for the funnel: passages, their documents and bytes."""
    flat = spans.flatten()
    sizes = pc.subtract(flat.field("end"), flat.field("start"))
    return {
        "cut.passages": len(flat),
        "cut.documents": int(pc.sum(pc.greater(pc.list_value_length(spans), 0)).as_py() or 0),
        "cut.bytes": int(pc.sum(sizes).as_py() or 0),
    }


def tokenize_job(
    workspace: Workspace,
    recipe: Mapping[str, Any],
    documents: Mapping[str, Manifest],
    shards: Sequence[PoolShard],
    tokenizer: TokenizerSpec,
    fingerprint: str,
    cuts: Mapping[str, Cuts],
    inputs: Mapping[str, Mapping[str, str]],
    middles: Mapping[str, FillInMiddle] = MappingProxyType({}),
) -> Job:
    """The job that tokenizes what is left of each source. `fingerprint`: of the tokenizer. `cuts`,
    `inputs` and `middles` are by source."""
    stages = table_stages(
        "tokens",
        lambda source: workspace.attributes("tokens", source),
        TOKENS_VERSION,
        shards,
        {
            source: _parameters(fingerprint, cuts[source], middles.get(source))
            for source in documents
        },
        inputs,
    )
    function = partial(
        tokenize_shard,
        tokenizer=tokenizer,
        fingerprint=fingerprint,
        cuts=cuts,
        middles=dict(middles),
    )
    return table_job(TOKENIZE, stages, shards, function, table_gate(documents, recipe))


def _parameters(tokenizer: str, cuts: Cuts, middles: FillInMiddle | None) -> dict[str, Any]:
    return {
        **({"fill_in_middle": asdict(middles)} if middles else {}),
        "tokenizer": tokenizer,
        "cuts": [list(column) for column in cuts.columns],
        "index": cuts.index[1] if cuts.index else None,
        "environment": environment(("tokenizers",)),
    }
