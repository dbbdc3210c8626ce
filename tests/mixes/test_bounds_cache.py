"""Bounds in memory: a file is read once while there is room, and never too many stay."""

import numpy as np

from mixes.bounds_cache import BoundsCache, CompactBounds
from transforms.tokens.token_files import DocumentBounds


def bounds_of(path: str) -> DocumentBounds:
    numbers = np.arange(100, dtype=np.int64)
    return DocumentBounds(
        numbers, numbers + 1, [f"{path}-{n}" for n in numbers], [path] * 100, numbers
    )


def test_files_are_read_once_while_there_is_room_and_the_oldest_go_first() -> None:
    read: list[str] = []

    def reading(path: str) -> DocumentBounds:
        read.append(path)
        return bounds_of(path)

    one = CompactBounds.of(bounds_of("a")).size_bytes
    cache = BoundsCache(reading, int(2.5 * one))
    for path in ("a", "b", "a", "b", "a", "c", "a", "b"):
        found = cache(path)
        assert found.ids.to_pylist() == bounds_of(path).ids
        assert found.paths.to_pylist() == bounds_of(path).paths
        assert found.starts.tolist() == list(range(100))
    assert read == ["a", "b", "c", "b"]


def test_a_file_larger_than_the_room_is_read_all_the_same() -> None:
    cache = BoundsCache(bounds_of, 1)
    assert cache("a").ids[0].as_py() == "a-0"
    assert cache("b").ids[99].as_py() == "b-99"
