"""Sequences of one length: every token stands once, documents stay apart, files are as they say."""

import gzip
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms.mixing import sequences
from transforms.mixing.sequences import (
    Sequencing,
    pack_documents,
    read_pieces,
    sequence_fault,
    write_sequences,
)

PAD, EOS = 0, 1
TOKENS = "tokens/web/part-000-00000.npy"
SEQUENCES = "sequences/web/part-000-00000.npy"


def documents_of(lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Documents of these many tokens, each token another, closed by EOS."""
    bounds = np.cumsum([0, *lengths], dtype=np.int64)
    tokens = np.arange(2, bounds[-1] + 2, dtype=np.uint32)
    tokens[bounds[1:] - 1] = EOS
    return tokens, bounds


def write(folder: Path, lengths: list[int], asked: Sequencing) -> dict[str, int]:
    return write_sequences(str(folder), TOKENS, *documents_of(lengths), PAD, asked)[1]


def fault(folder: Path, lengths: list[int], asked: Sequencing) -> str | None:
    return sequence_fault(str(folder / SEQUENCES), *documents_of(lengths), PAD, asked)


def read_as_olmo_core_does(path: Path, length: int) -> list[list[list[int]]]:
    """Per sequence of a fixed-length dataset its documents, told apart by EOS."""
    found = []
    for sequence in np.memmap(path, np.uint32, "r").reshape(-1, length):
        ends = [*(np.flatnonzero(sequence == EOS) + 1), length]
        parts = [sequence[a:b].tolist() for a, b in pairwise([0, *ends])]
        found.append([part for part in parts if set(part) - {PAD}])
    return found


def test_whole_documents_are_packed_where_they_fit_best(tmp_path: Path) -> None:
    counts = write(tmp_path, [4, 6, 5, 2, 3], Sequencing(10, "best_fit", "refuse"))
    assert counts == {
        "packed.sequences": 2, "packed.tokens": 20, "packed.room_tokens": 20,
        "packed.cut_tokens": 0, "packed.long_documents": 0,
    }  # fmt: skip
    tokens, bounds = documents_of([4, 6, 5, 2, 3])
    whole = [tokens[a:b].tolist() for a, b in pairwise(bounds)]
    found = read_as_olmo_core_does(tmp_path / SEQUENCES, 10)
    assert found == [[whole[1], whole[0]], [whole[2], whole[4], whole[3]]]


def test_a_long_document_is_split_or_cut(tmp_path: Path) -> None:
    tokens, _ = documents_of([23, 3])
    split = Sequencing(10, "best_fit", "split")
    assert write(tmp_path / "s", [23, 3], split)["packed.long_documents"] == 1
    found = read_as_olmo_core_does(tmp_path / "s" / SEQUENCES, 10)
    assert found == [[tokens[:10].tolist()], [tokens[10:20].tolist()],
                     [tokens[20:23].tolist(), tokens[23:].tolist()]]  # fmt: skip
    cut = Sequencing(10, "best_fit", "cut")
    assert write(tmp_path / "c", [23, 3], cut)["packed.cut_tokens"] == 13
    found = read_as_olmo_core_does(tmp_path / "c" / SEQUENCES, 10)
    assert found == [[tokens[:10].tolist()], [tokens[23:].tolist()]]


def test_concatenated_documents_follow_one_another(tmp_path: Path) -> None:
    lengths = [4, 9, 2, 12]
    write(tmp_path, lengths, Sequencing(10, "concatenate", "split"))
    stored = np.fromfile(tmp_path / SEQUENCES, np.uint32)
    assert stored.tolist() == [*documents_of(lengths)[0].tolist(), *[PAD] * 3]


asked = st.builds(
    Sequencing,
    st.integers(1, 30),
    st.sampled_from(["best_fit", "concatenate"]),
    st.sampled_from(["split", "cut"]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 70), max_size=25), asked)
def test_what_is_written_is_without_fault(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], asked: Sequencing
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    counts = write(folder, lengths, asked)
    assert fault(folder, lengths, asked) is None
    stored = np.fromfile(folder / SEQUENCES, np.uint32)
    assert len(stored) == counts["packed.sequences"] * asked.length
    placed = stored[stored != PAD]
    assert len(placed) == counts["packed.tokens"]
    tokens, bounds = documents_of(lengths)
    if asked.packing == "best_fit" and asked.long == "cut":
        offsets = np.arange(len(tokens)) - np.repeat(bounds[:-1], lengths)
        tokens = tokens[offsets < asked.length]
    assert sorted(placed.tolist()) == sorted(tokens.tolist())
    assert counts["packed.tokens"] + counts["packed.cut_tokens"] == sum(lengths)


LENGTHS = [4, 6, 5, 2, 3, 17]
SPLIT = Sequencing(10, "best_fit", "split")


def change_rows(folder: Path, old: str, new: str) -> None:
    path = folder / SEQUENCES.replace(".npy", ".csv.gz")
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new).encode()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: (f / SEQUENCES).write_bytes(bytes(36)), "does not hold whole sequences"),
        (lambda f: (f / SEQUENCES).write_bytes(bytes(160)), "holds other tokens"),
        (lambda f: change_rows(f, "0,10,5,0", "0,11,5,0"), "overlap or leave their sequence"),
        (lambda f: change_rows(f, "0,10,5,0", "0,10,9,0"), "documents that are not there"),
        (lambda f: change_rows(f, "0,10,5,0", "0,10,5,1"), "lacks tokens of its documents"),
        (lambda f: change_rows(f, "0,10,5,0\n", ""), "lacks tokens of its documents"),
        (lambda f: change_rows(f, "0,10,5,0\n", "x\n"), "holds no pieces of documents"),
    ],
)
def test_a_fault_is_told(tmp_path: Path, change, told: str) -> None:
    write(tmp_path, LENGTHS, SPLIT)
    assert fault(tmp_path, LENGTHS, SPLIT) is None
    change(tmp_path)
    assert told in (fault(tmp_path, LENGTHS, SPLIT) or "")


def test_pieces_are_in_the_order_of_their_places() -> None:
    pieces, count = pack_documents(np.array(LENGTHS), SPLIT)
    assert count == 4
    assert (np.diff(pieces.starts) > 0).all()


def test_pieces_of_nothing_are_read(tmp_path: Path) -> None:
    write(tmp_path, [], SPLIT)
    assert len(read_pieces(str(tmp_path / SEQUENCES.replace(".npy", ".csv.gz"))).starts) == 0
    assert fault(tmp_path, [], SPLIT) is None


# Buckets

BUCKETS = Sequencing(16, "buckets", "split", 4)


def bucket_files(folder: Path) -> dict[int, list[list[int]]]:
    return {
        int(path.parent.name): np.fromfile(path, np.uint32)
        .reshape(-1, int(path.parent.name))
        .tolist()
        for path in sorted((folder / "sequences/web").glob("*/*.npy"))
    }


def test_documents_are_decomposed_into_powers_of_two(tmp_path: Path) -> None:
    tokens, bounds = documents_of([39, 4, 2])
    counts = write(tmp_path, [39, 4, 2], BUCKETS)
    first, second, third = (tokens[a:b].tolist() for a, b in pairwise(bounds))
    assert bucket_files(tmp_path) == {
        16: [first[:16], first[16:32]],
        4: [first[32:36], [*first[36:], PAD], second, [*third, PAD, PAD]],
    }
    assert counts == {
        "packed.sequences": 6, "packed.tokens": 45, "packed.room_tokens": 48,
        "packed.cut_tokens": 0, "packed.long_documents": 1, "packed.sequences_of_16": 2,
        "packed.sequences_of_8": 0, "packed.sequences_of_4": 4,
    }  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 90), max_size=20), st.integers(0, 4), st.integers(0, 3))
def test_buckets_hold_every_token_in_pieces_of_one_document(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], shortest: int, more: int
) -> None:
    asked = Sequencing(1 << shortest + more, "buckets", "split", 1 << shortest)
    folder = tmp_path_factory.mktemp("buckets")
    counts = write(folder, lengths, asked)
    assert fault(folder, lengths, asked) is None
    found = bucket_files(folder)
    sequences = [one for its in found.values() for one in its]
    tokens, _ = documents_of(lengths)
    held = [[token for token in one if token != PAD] for one in sequences]
    assert sorted(token for one in held for token in one) == sorted(tokens.tolist())
    for one in held:
        # One document's, as they follow one another; EOS only at the end.
        assert EOS not in one[:-1]
        plain = [token for token in one if token != EOS]
        assert plain == list(range(plain[0], plain[0] + len(plain))) if plain else True
    padded = sum(map(len, sequences)) - len(tokens)
    assert padded == counts["packed.room_tokens"] - counts["packed.tokens"]
    assert padded <= len(lengths) * (asked.shortest - 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: (f / "16/part-000-00000.npy").unlink(), "lacks tokens of its documents"),
        (lambda f: (f / "4/part-000-00000.npy").write_bytes(bytes(64)), "holds other tokens"),
        (lambda f: (f / "4/part-000-00000.npy").write_bytes(bytes(96)), "not one piece of one"),
    ],
)
def test_a_fault_of_a_bucket_is_told(tmp_path: Path, change, told: str) -> None:
    write(tmp_path, [39, 4, 2], BUCKETS)
    change(tmp_path / "sequences/web")
    assert told in (fault(tmp_path, [39, 4, 2], BUCKETS) or "")


def test_a_file_is_held_against_its_documents_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few bytes a token would be forty times the block."""
    monkeypatch.setattr(sequences, "BLOCK_TOKENS", 1 << 14)
    lengths = [50_000] * 20
    asked = Sequencing(1 << 12, "best_fit", "split")
    write(tmp_path, lengths, asked)
    tokens, bounds = documents_of(lengths)
    tracemalloc.start()
    try:
        assert sequence_fault(str(tmp_path / SEQUENCES), tokens, bounds, PAD, asked) is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
