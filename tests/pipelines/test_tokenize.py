"""Tokenize: what is in the pool becomes tokens, cut spans do not, and everything is counted."""

import base64

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.tables import TableTask
from pipelines.tokenize import TOKENS_SCHEMA, Cuts, tokenize_shard
from transforms.annotators import SPANS
from transforms.attributes import AlignmentError, write_table
from transforms.datasets import Dataset, OutputFile
from transforms.dedup.exact import EXACT_SCHEMA
from transforms.dedup.fuzzy import FUZZY_SCHEMA
from transforms.dedup.pool import PoolShard
from transforms.documents import ROWS_DIGEST_KEY, SCHEMA, rows_digest
from transforms.mixing.cuts import NOTHING_LEFT
from transforms.tokens.specification import TokenizerSpec

TEXTS = ["plain text", "cut this out", "gone", "no candidate", "a copy", "nearly", "ünï 🍎", "..."]
ROWS = [
    # candidate, exact duplicate of, fuzzy duplicate of, spans to cut
    (True, None, None, []),
    (True, None, None, [(3, 8)]),
    (True, None, None, [(0, 4)]),
    (False, None, None, [(0, 2)]),
    (True, 0, None, []),
    (True, None, 0, []),
    (True, None, None, [(0, 1)]),
    (True, None, None, []),
]
ROWS[6] = (True, None, None, [(0, 2)])  # the first letter has two bytes


@pytest.fixture
def tokenizer(tmp_path):
    """A token per byte; so tokens are the bytes of what is left."""
    lines = [f"{base64.b64encode(bytes([byte])).decode()} {byte}" for byte in range(256)]
    path = tmp_path / "bytes.tiktoken"
    path.write_text("\n".join(lines))
    return TokenizerSpec(str(path), "cl100k", (("<|endoftext|>", 256),))


def write_shard(folder, group_rows, tables=("exact_duplicates", "fuzzy_duplicates")):
    ids = [f"id{k}" for k in range(len(TEXTS))]
    digest = rows_digest(ids)
    file = OutputFile("00000.parquet", 1, "x", len(ids), digest, 1)
    schema = SCHEMA.with_metadata({ROWS_DIGEST_KEY: digest.encode()})
    path = str(folder / "00000.parquet")
    with pq.ParquetWriter(path, schema) as writer:
        for k in range(0, len(ids), group_rows):
            rows = [
                {"id": ids[row], "text": TEXTS[row], "source": "web", "metadata": "{}"}
                for row in range(k, min(k + group_rows, len(ids)))
            ]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
    columns = {
        "candidates": (pa.schema([("candidate", pa.bool_())]), [{"candidate": r[0]} for r in ROWS]),
        "exact_duplicates": (EXACT_SCHEMA, [{"duplicate_of": r[1]} for r in ROWS]),
        "fuzzy_duplicates": (FUZZY_SCHEMA, [{"duplicate_of": r[2]} for r in ROWS]),
        "rule": (
            pa.schema([("spans", SPANS)]),
            [{"spans": [{"start": a, "end": b} for a, b in r[3]]} for r in ROWS],
        ),
        "contamination": (
            pa.schema([("passages", SPANS)]),
            [{"passages": [{"start": a, "end": b} for a, b in r[3]]} for r in ROWS],
        ),
    }
    paths = {}
    for table in ("candidates", "rule", *tables):
        its_schema, rows = columns[table]
        dataset = Dataset(str(folder / table), "f")
        groups = [
            pa.RecordBatch.from_pylist(rows[k : k + group_rows], its_schema)
            for k in range(0, len(rows), group_rows)
        ]
        write_table(dataset, file, its_schema, groups)
        paths[table] = dataset.path(file.path)
    return PoolShard(0, "web", path, file, paths)


def tokenized(folder, shard, tokenizer, cuts=(("rule", "spans"),)):
    dataset = Dataset(str(folder / "tokens"), "f")
    tokenize_shard(TableTask(shard, dataset), tokenizer, {"web": Cuts(tuple(cuts), None)})
    table = pq.read_table(dataset.path("00000.parquet"))
    assert table.schema.remove_metadata() == TOKENS_SCHEMA
    return table.to_pylist(), dataset.read_record("00000").counts


@pytest.mark.parametrize("group_rows", [3, 100])
def test_the_pool_is_tokenized_and_what_is_cut_is_not(tmp_path, tokenizer, group_rows):
    rows, counts = tokenized(tmp_path, write_shard(tmp_path, group_rows), tokenizer)
    texts = [None if row["tokens"] is None else bytes(row["tokens"]).decode() for row in rows]
    assert texts == ["plain text", "cut out", None, None, None, None, "nï 🍎", "..."]
    assert [row["count"] for row in rows] == [11, 8, None, None, None, None, 9, 4]
    assert [row["digest"] is None for row in rows] == [text is None for text in texts]
    assert [row["cut_bytes"] for row in rows] == [0, 5, 4, None, None, None, 2, 0]
    assert [row["reason"] for row in rows] == [None, None, NOTHING_LEFT, *[None] * 5]
    wanted = {
        "rows": 8, "candidates": 5, "removed": 1, f"removed.{NOTHING_LEFT}": 1, "kept": 4,
        "tokens": 32, "kept_text_bytes": 28, "cut_bytes": 11,
    }  # fmt: skip
    assert {name: counts[name] for name in wanted} == wanted


def test_what_is_cut_for_benchmarks_is_counted(tmp_path, tokenizer):
    tables = ("exact_duplicates", "fuzzy_duplicates", "contamination")
    shard = write_shard(tmp_path, 3, tables)
    _, counts = tokenized(tmp_path, shard, tokenizer, [("contamination", "passages")])
    cut = {"cut.documents": 3, "cut.passages": 3, "cut.bytes": 5 + 4 + 2}
    assert {name: counts[name] for name in cut} == cut
    assert counts["cut_bytes"] == counts["cut.bytes"]


def test_without_deduplication_and_cuts_all_candidates_are_whole(tmp_path, tokenizer):
    shard = write_shard(tmp_path, 3, tables=())
    rows, counts = tokenized(tmp_path, shard, tokenizer, cuts=())
    texts = [None if row["tokens"] is None else bytes(row["tokens"]).decode() for row in rows]
    assert texts == [text if text != "no candidate" else None for text in TEXTS]
    assert counts["cut_bytes"] == 0
    assert counts["kept"] == counts["candidates"] == 7


def test_a_table_of_other_documents_is_an_error(tmp_path, tokenizer):
    shard = write_shard(tmp_path, 3)
    other = OutputFile("00000.parquet", 1, "x", 8, rows_digest(["other"]), 1)
    schema = pa.schema([("candidate", pa.bool_())])
    groups = [
        pa.RecordBatch.from_pylist([{"candidate": True}] * rows, schema) for rows in (3, 3, 2)
    ]
    write_table(Dataset(str(tmp_path / "candidates"), "f"), other, schema, groups)
    with pytest.raises(AlignmentError):
        tokenized(tmp_path, shard, tokenizer)
    assert not (tmp_path / "tokens" / "f" / "records").exists()
