"""Megatron, MDS, JSON lines and Parquet give back the documents that the token files hold.

JSON lines and Parquet are opened by `datasets`. Megatron's and MosaicML's own readers need torch;
here each has a reader of its own, written from the layout that the projects publish
(megatron/core/datasets/indexed_dataset.py; streaming/base/format/mds/reader.py, encodings.py) and
sharing nothing with the writer.
"""

import datetime
import json
import mmap
import struct
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms import storage
from transforms.tokens.mds import MdsPart, mds_index, read_mds
from transforms.tokens.megatron import MegatronPart, read_megatron
from transforms.tokens.parts import FILE_TOKENS, MixedDocuments, PartsWriter, close_documents
from transforms.tokens.text_files import (
    JsonLinesPart,
    ParquetPart,
    read_json_lines,
    read_parquet,
)
from transforms.tokens.token_files import TokenPart, read_document_bounds, read_token_file

EOS = 70_000
VOCABULARY = 70_001
ADDED = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, datetime.UTC)
TEXTS = ["one\ntwo", "", "äöü \U0001f600 \u2028 end", "x" * 400]


class Written(NamedTuple):
    """What is written: documents with their EOS, and ids."""

    documents: list[list[int]]
    ids: list[str]


def documents_of(tokens: list[list[int]], first: int = 0) -> MixedDocuments:
    count = len(tokens)
    rows = pa.RecordBatch.from_pydict(
        {
            "id": pa.array([f"é{first + n}" for n in range(count)], pa.string()),
            "path": pa.array(["documents/web/f/0.parquet"] * count, pa.string()),
            "line": pa.array(range(1, count + 1), pa.int64()),
            "text": pa.array([TEXTS[n % 4] for n in range(count)], pa.large_string()),
            "source": pa.array(["web"] * count, pa.string()),
            "added": pa.array([ADDED] * count, pa.timestamp("us", tz="UTC")),
            "created": pa.array([None] * count, pa.timestamp("us", tz="UTC")),
            "metadata": pa.array(['{"b": [1, 2], "a": "ü"}'] * count, pa.string()),
        }
    )
    flat = np.array([one for its in tokens for one in its], np.uint32)
    return close_documents(flat, np.cumsum([0, *map(len, tokens)], dtype=np.int64), EOS, rows)


def write(opened: Any, folder: Path, tokens: list[list[int]], most: int = FILE_TOKENS) -> Any:
    """Write in batches of three; gives the files."""
    with PartsWriter(partial(opened, str(folder)), "x/web", "000", most) as writer:
        for first in range(0, len(tokens), 3):
            writer.write(documents_of(tokens[first : first + 3], first))
    return writer.files


SOME = [[1, 2, 3], [65_535], [4] * 300, [5, 6], [7] * 70_000]
CLOSED = [[*its, EOS] for its in SOME]


# Megatron


def read_as_megatron_does(prefix: Path) -> tuple[np.dtype, list[list[int]], list[int]]:
    """Type, sequences and document indices, through memory maps and pointers."""
    with open(f"{prefix}.idx", "rb") as file:
        index = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert index[:9] == b"MMIDIDX\x00\x00"
    assert struct.unpack("<Q", index[9:17]) == (1,)
    kind = {
        1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16,
    }[index[17]]  # fmt: skip
    sequences, entries = struct.unpack("<QQ", index[18:34])
    lengths = np.frombuffer(index, np.int32, sequences, 34)
    pointers = np.frombuffer(index, np.int64, sequences, 34 + lengths.nbytes)
    documents = np.frombuffer(index, np.int64, entries, 34 + lengths.nbytes + pointers.nbytes)
    assert 34 + lengths.nbytes + pointers.nbytes + documents.nbytes == len(index)
    data = Path(f"{prefix}.bin").read_bytes()
    found = [
        np.frombuffer(data, kind, length, pointer).tolist()
        for length, pointer in zip(lengths, pointers, strict=True)
    ]
    return np.dtype(kind), found, documents.tolist()


def test_megatron_reads_the_documents(tmp_path: Path) -> None:
    files = write(partial(MegatronPart, vocabulary_size=VOCABULARY), tmp_path, SOME)
    assert [file.path for file in files] == ["x/web/part-000-00000.bin", "x/web/part-000-00000.idx"]
    kind, found, documents = read_as_megatron_does(tmp_path / "x/web/part-000-00000")
    assert kind == np.int32
    assert found == CLOSED
    assert documents == list(range(len(SOME) + 1))
    tokens, bounds = read_megatron(str(tmp_path / "x/web/part-000-00000"))
    assert tokens.tolist() == [one for its in CLOSED for one in its]
    assert np.diff(bounds).tolist() == [len(its) for its in CLOSED]


@pytest.mark.parametrize(("size", "kind"), [(65_499, np.uint16), (65_500, np.int32)])
def test_megatrons_type_is_the_smallest_for_the_vocabulary(
    tmp_path: Path, size: int, kind: type
) -> None:
    part = MegatronPart(str(tmp_path), "a", size)
    part.write(documents_of([[1]])._replace(tokens=np.array([1, size - 1], np.uint32)))
    part.close()
    assert read_as_megatron_does(tmp_path / "a")[:2] == (np.dtype(kind), [[1, size - 1]])


@pytest.mark.parametrize("suffix", [".idx", ".bin"])
def test_a_megatron_file_that_is_cut_is_told(tmp_path: Path, suffix: str) -> None:
    write(partial(MegatronPart, vocabulary_size=VOCABULARY), tmp_path, SOME)
    path = tmp_path / f"x/web/part-000-00000{suffix}"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"part-000-00000\.idx"):
        read_megatron(str(path).removesuffix(suffix))


# MDS


def read_as_mosaicml_does(folder: Path) -> list[dict[str, Any]]:
    """Samples of all shards that a folder's index lists."""
    index = json.loads((folder / "index.json").read_text())
    assert index["version"] == 2
    samples = []
    for shard in index["shards"]:
        assert (shard["version"], shard["format"], shard["compression"]) == (2, "mds", None)
        raw = shard["raw_data"]
        assert (folder / raw["basename"]).stat().st_size == raw["bytes"]
        with open(folder / raw["basename"], "rb") as file:
            for number in range(shard["samples"]):
                file.seek((1 + number) * 4)
                begin, end = np.frombuffer(file.read(8), np.uint32)
                file.seek(begin)
                samples.append(decode_sample(shard, file.read(end - begin)))
    return samples


def decode_sample(shard: dict[str, Any], data: bytes) -> dict[str, Any]:
    sizes = np.frombuffer(data, np.uint32, len(shard["column_names"])).tolist()
    at, sample = 4 * len(sizes), {}
    for name, encoding, size in zip(
        shard["column_names"], shard["column_encodings"], sizes, strict=True
    ):
        value = data[at : at + size]
        at += size
        if encoding == "str":
            sample[name] = value.decode()
            continue
        assert encoding == "ndarray:uint32"
        axes, width = value[0] >> 2, 1 << (value[0] & 3)
        shape = np.frombuffer(value, f"<u{width}", axes, 1).tolist()
        sample[name] = np.frombuffer(value[1 + axes * width :], np.uint32).reshape(shape).tolist()
    assert at == len(data)
    return sample


def test_mosaicml_reads_the_documents(tmp_path: Path) -> None:
    files = write(MdsPart, tmp_path, SOME, most=400)
    assert len(files) == 2
    (tmp_path / "x/web/index.json").write_bytes(mds_index(files))
    samples = read_as_mosaicml_does(tmp_path / "x/web")
    assert samples == [{"id": f"é{n}", "tokens": its} for n, its in enumerate(CLOSED)]
    ids, tokens, bounds = read_mds(str(tmp_path / files[0].path))
    assert ids == ["é0", "é1", "é2", "é3"]
    assert tokens.tolist() == [one for its in CLOSED[:4] for one in its]
    assert np.diff(bounds).tolist() == [len(its) for its in CLOSED[:4]]


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b[:5], lambda b: b + b"x"])
def test_a_shard_that_is_cut_is_told(tmp_path: Path, change: Any) -> None:
    (file,) = write(MdsPart, tmp_path, SOME)
    path = tmp_path / file.path
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match="is no shard of ids and tokens"):
        read_mds(str(path))


# Text


def test_datasets_reads_json_lines(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = write(JsonLinesPart, tmp_path, SOME)
    read = datasets.load_dataset(
        "json", data_files=[str(tmp_path / file.path) for file in files], streaming=True,
        split="train",
    )  # fmt: skip
    rows = list(read)
    assert [row["id"] for row in rows] == [f"é{n}" for n in range(len(SOME))]
    assert [row["text"] for row in rows] == [TEXTS[n % 3] for n in (0, 1, 2, 0, 1)]
    assert {row["source"] for row in rows} == {"web"}


def test_json_lines_are_documents_of_dolma(tmp_path: Path) -> None:
    (file,) = write(JsonLinesPart, tmp_path, SOME[:1])
    lines = zstandard.decompress((tmp_path / file.path).read_bytes(), 1 << 20)
    assert json.loads(lines) == {
        "id": "é0",
        "text": "one\ntwo",
        "source": "web",
        "added": "2024-05-06T07:08:09.123456Z",
        "metadata": {"a": "ü", "b": [1, 2]},
    }
    assert read_json_lines(str(tmp_path / file.path)) == (["é0"], ["one\ntwo"])


def test_datasets_reads_parquet(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = write(ParquetPart, tmp_path, SOME)
    read = datasets.load_dataset(
        "parquet", data_files=[str(tmp_path / file.path) for file in files], streaming=True,
        split="train",
    )  # fmt: skip
    rows = list(read)
    assert [row["tokens"] for row in rows] == CLOSED
    assert rows[0]["added"].replace(tzinfo=datetime.UTC) == ADDED
    ids, texts, tokens, bounds = read_parquet(str(tmp_path / files[0].path))
    assert (ids, texts) == ([row["id"] for row in rows], [row["text"] for row in rows])
    assert tokens.tolist() == [one for its in CLOSED for one in its]
    assert np.diff(bounds).tolist() == [len(its) for its in CLOSED]


@pytest.mark.parametrize(
    ("opened", "read"), [(JsonLinesPart, read_json_lines), (ParquetPart, read_parquet)]
)
def test_a_text_file_that_is_cut_is_told(tmp_path: Path, opened: Any, read: Any) -> None:
    (file,) = write(opened, tmp_path, SOME)
    path = tmp_path / file.path
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="of documents"):
        read(str(path))


# All of them

OPENED = {
    "megatron": partial(MegatronPart, vocabulary_size=VOCABULARY),
    "mds": MdsPart,
    "json lines": JsonLinesPart,
    "parquet": ParquetPart,
}


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    tokens=st.lists(st.lists(st.integers(0, EOS - 1), min_size=1, max_size=9), max_size=12),
    most=st.integers(1, 30),
)
def test_parts_are_cut_alike_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[list[int]], most: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    files = write(TokenPart, folder / "tokens", tokens, most)
    wanted = []
    for npy in files[::2]:
        held = read_token_file(str(folder / "tokens" / npy.path))
        bounds = read_document_bounds(str(folder / "tokens" / npy.path.replace("npy", "csv.gz")))
        wanted.append((npy.rows, bounds.ids, held.tolist()))
    for name, opened in OPENED.items():
        its = write(opened, folder / name, tokens, most)
        parts = its[::2] if name == "megatron" else its
        assert [one.rows for one in parts] == [rows for rows, _, _ in wanted], name
        for part, (_, ids, held) in zip(parts, wanted, strict=True):
            path = str(folder / name / part.path)
            if name == "megatron":
                assert read_megatron(path.removesuffix(".bin"))[0].tolist() == held
            elif name == "mds":
                assert (read_mds(path)[0], read_mds(path)[1].tolist()) == (ids, held)
            elif name == "parquet":
                assert (read_parquet(path)[0], read_parquet(path)[2].tolist()) == (ids, held)
            else:
                assert read_json_lines(path)[0] == ids


@pytest.mark.parametrize("name", [*OPENED])
def test_the_same_documents_are_the_same_bytes_in_any_batches_on_any_filesystem(
    folder: str, tmp_path: Path, name: str
) -> None:
    here = write(OPENED[name], tmp_path / "a", SOME, 400)
    there = write(lambda _, path: OPENED[name](folder, path), tmp_path, SOME, 400)
    assert [one.sha256 for one in here] == [one.sha256 for one in there]
    for one in there:
        assert len(storage.read_bytes(f"{folder}/{one.path}")) == one.size_bytes


@pytest.mark.parametrize("name", [*OPENED])
def test_an_error_while_writing_leaves_no_file(tmp_path: Path, name: str) -> None:
    def cut_off() -> None:
        opened = partial(OPENED[name], str(tmp_path))
        with PartsWriter(opened, "", "a", FILE_TOKENS) as writer:
            writer.write(documents_of(SOME))
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        cut_off()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
