"""Token files: the layout byte by byte, where files are cut, and what readers refuse."""

import csv
import gzip
import hashlib
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.checks.tokens import check_tokens
from transforms.tokens.parts import FILE_TOKENS, PartsWriter, close_documents
from transforms.tokens.token_files import TokenPart, read_document_bounds, read_token_file

# Of no time: parameters' ids must be the same in every process.
compress = partial(gzip.compress, mtime=0)

EOS = 9
VOCABULARY = 10
COUNTED = {"rescan.files", "rescan.tokens", "rescan.documents", "rescan.empty_documents"}


def writer_of(folder, place: str, group: str, most_tokens: int = FILE_TOKENS) -> PartsWriter:
    return PartsWriter(lambda path: TokenPart(str(folder), path), place, group, most_tokens)


def closed(tokens: list[int], bounds, ids: list[str], paths: list[str], lines: list[int]):
    rows = pa.RecordBatch.from_pydict(
        {
            "id": pa.array(ids, pa.string()),
            "path": pa.array(paths, pa.string()),
            "line": pa.array(lines, pa.int64()),
        }
    )
    return close_documents(np.array(tokens, np.uint32), np.asarray(bounds, np.int64), EOS, rows)


def write(folder, documents: list[list[int]], batch: int = 100, **options):
    """Write documents (of tokens below EOS) in batches; returns the finished files."""
    with writer_of(folder, "tokens/web", "00003", **options) as writer:
        for first in range(0, len(documents), batch):
            part = documents[first : first + batch]
            bounds = np.cumsum([0, *map(len, part)], dtype=np.int64)
            numbers = range(first, first + len(part))
            writer.write(
                closed(
                    [t for document in part for t in document],
                    bounds,
                    [f"id{n}" for n in numbers],
                    [f"in/{n % 2}.jsonl" for n in numbers],
                    [n + 1 for n in numbers],
                )
            )
    return writer.files


def read_as_olmo_core_does(npy: Path, eos: int) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Documents by their EOS in the array, and the first two columns of the csv: the two ways in
    which OLMo-core finds documents."""
    array = np.memmap(npy, mode="r", dtype=np.uint32)
    ends = ((array == eos).nonzero()[0] + 1).tolist()
    documents = [array[start:end].tolist() for start, end in pairwise([0, *ends])]
    with gzip.open(npy.with_name(npy.name.replace(".npy", ".csv.gz")), "rt") as file:
        rows = [line.split(",") for line in file]
    return documents, [(int(start), int(end)) for start, end, *_ in rows]


def test_the_layout_is_that_of_olmo_core(tmp_path):
    files = write(tmp_path, [[1, 2, 3], [], [4]])
    assert [file.path for file in files] == [
        "tokens/web/part-00003-00000.npy",
        "tokens/web/part-00003-00000.csv.gz",
    ]
    npy = tmp_path / files[0].path
    assert npy.read_bytes() == np.array([1, 2, 3, 9, 9, 4, 9], "<u4").tobytes()
    rows = gzip.decompress((tmp_path / files[1].path).read_bytes()).decode()
    assert rows == "0,4,id0,in/0.jsonl,1\n4,5,id1,in/1.jsonl,2\n5,7,id2,in/0.jsonl,3\n"
    documents, bounds = read_as_olmo_core_does(npy, EOS)
    assert documents == [[1, 2, 3, 9], [9], [4, 9]]
    assert bounds == [(0, 4), (4, 5), (5, 7)]


def test_finished_files_know_their_size_hash_and_documents(tmp_path):
    for file in write(tmp_path, [[1], [2, 3]]):
        content = (tmp_path / file.path).read_bytes()
        assert (file.size_bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert file.rows == 2


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 12), max_size=12),
    most=st.integers(1, 20),
    batch=st.integers(1, 5),
)
def test_files_are_cut_by_documents_alone(tmp_path_factory, lengths, most, batch):
    documents = [[n % EOS] * length for n, length in enumerate(lengths)]
    folder = tmp_path_factory.mktemp("cut")
    files = write(folder, documents, batch, most_tokens=most)
    again = write(tmp_path_factory.mktemp("cut"), documents, 100, most_tokens=most)
    assert files == again
    found = []
    for index, file in enumerate(files[::2]):
        assert file.path == f"tokens/web/part-00003-{index:05d}.npy"
        held, _ = read_as_olmo_core_does(folder / file.path, EOS)
        assert file.size_bytes <= 4 * most or len(held) == 1
        tokens = read_token_file(str(folder / file.path))
        bounds = read_document_bounds(str(folder / files[2 * index + 1].path))
        counts = check_tokens(tokens, bounds.starts, bounds.ends, VOCABULARY, EOS)
        assert {key for key, count in counts.items() if count} <= COUNTED
        found.append(held)
    assert [d[:-1] for held in found for d in held] == documents
    # No file could have taken the first document of the next one.
    assert all(
        sum(map(len, held)) + len(following[0]) > most for held, following in pairwise(found)
    )


def test_a_document_longer_than_a_file_has_one_of_its_own(tmp_path):
    files = write(tmp_path, [[1], [2] * 50, [3], [4]], most_tokens=10)
    assert [file.size_bytes // 4 for file in files[::2]] == [2, 51, 4]


def test_no_document_makes_no_file(tmp_path):
    assert write(tmp_path, []) == []
    assert list(tmp_path.iterdir()) == []


def test_a_slice_of_a_batch_is_written_from_its_own_bounds(tmp_path):
    with writer_of(tmp_path, "", "a") as writer:
        writer.write(closed([7, 7, 1, 2, 8], [2, 3, 4], ["x", "y"], ["p", "p"], [1, 2]))
    assert writer.files[0].path == "part-a-00000.npy"
    assert read_token_file(str(tmp_path / "part-a-00000.npy")).tolist() == [1, EOS, 2, EOS]


def test_names_with_commas_and_quotes_stay_what_they_are(tmp_path):
    ids, paths = ['a,"b"', "c\td", "", "NA"], ["x,y", " z", "é", "null"]
    with writer_of(tmp_path, "", "a") as writer:
        writer.write(closed([1, 2, 3, 4], range(5), ids, paths, [1, 2, 3, 4]))
    found = read_document_bounds(str(tmp_path / "part-a-00000.csv.gz"))
    assert (found.ids, found.paths) == (ids, paths)
    with gzip.open(tmp_path / "part-a-00000.csv.gz", "rt", newline="") as file:
        rows = list(csv.reader(file))
    assert ([row[2] for row in rows], [row[3] for row in rows]) == (ids, paths)
    assert found.starts.tolist() == [0, 2, 4, 6]
    assert found.ends.tolist() == [2, 4, 6, 8]
    assert found.lines.tolist() == [1, 2, 3, 4]
    _, bounds = read_as_olmo_core_does(tmp_path / "part-a-00000.npy", EOS)
    assert len(bounds) == 4


@pytest.mark.parametrize("name", ["c\r\nd", "\n", "e\r"])
@pytest.mark.parametrize("place", [0, 1])
def test_names_with_line_breaks_are_refused(tmp_path, name, place):
    names = [["x"], ["p"]]
    names[place] = [name]
    with pytest.raises(ValueError, match="must be without a line break"):
        closed([1], [0, 1], *names, [1])


def write_until_cut_off(folder: Path) -> None:
    with writer_of(folder, "", "a") as writer:
        writer.write(closed([1], [0, 1], ["x"], ["p"], [1]))
        raise RuntimeError("cut off")


def test_an_error_while_writing_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError, match="cut off"):
        write_until_cut_off(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_names_must_be_as_many_as_documents(tmp_path):
    with pytest.raises(ValueError, match=r"must name 1 documents \(got 2\)"):
        closed([1], [0, 1], ["x", "y"], ["p", "q"], [1, 2])
    with pytest.raises(ValueError, match=r"'most_tokens' must be at least 1 \(got 0\)"):
        writer_of(tmp_path, "", "a", most_tokens=0)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (compress(b"0,three,x,p,1\n"), "must hold rows of start, end, id, path, line"),
        (compress(b"0,3,x,p\n"), "must hold rows of start, end, id, path, line"),
        (compress(b"0,,x,p,1\n"), "must have a number for 'end' in each row"),
        (b"\x1f\x8b broken", "must hold rows"),
        (compress(b"0,3,x,p,1\n")[:-9], "must hold rows"),
        (compress(b"0,3,x,p,1\n")[:10] + b"\xff" * 20, "must hold rows"),
    ],
)
def test_bounds_that_are_not_of_the_layout_are_told(tmp_path, content, told):
    path = tmp_path / "part-a-00000.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=told) as raised:
        read_document_bounds(str(path))
    assert str(raised.value).startswith(str(path))


def test_a_file_that_does_not_hold_whole_tokens_is_told(tmp_path):
    path = tmp_path / "part-a-00000.npy"
    path.write_bytes(bytes(10))
    with pytest.raises(ValueError, match=r"must hold whole tokens of 4 bytes \(got 10 bytes\)"):
        read_token_file(str(path))


def test_a_file_of_nothing_is_read(tmp_path):
    (tmp_path / "empty.npy").write_bytes(b"")
    assert read_token_file(str(tmp_path / "empty.npy")).tolist() == []
    (tmp_path / "empty.csv.gz").write_bytes(compress(b""))
    assert read_document_bounds(str(tmp_path / "empty.csv.gz")).ids == []
