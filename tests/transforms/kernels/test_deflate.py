"""Reckoned sizes against a plain twin, and against zlib."""

import argparse
import heapq
import random
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels import deflate
from transforms.kernels.deflate import BLOCK_SYMBOLS, WINDOW_BYTES, deflated_bytes


def batch_of(texts, before=b"before"):
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


def sizes(texts):
    return deflated_bytes(*batch_of(texts)).tolist()


# The twin: matches by a dictionary, codes by a heap, tables as RFC 1951 prints them

LENGTH_BASES = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
]  # fmt: skip
LENGTH_BITS = [0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0]
DISTANCE_BASES = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049,
    3073, 4097, 6145, 8193, 12289, 16385, 24577,
]  # fmt: skip
DISTANCE_BITS = [0, 0, *(bits for bits in range(14) for _ in (0, 1))]


def code(bases, bits, value):
    row = max(row for row, base in enumerate(bases) if base <= value)
    return row, bits[row]


def huffman(counts):
    heap = list(counts.values())
    if len(heap) == 1:
        return heap[0]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, both)
        total += both
    return total


def slot(four):
    return (int.from_bytes(four, "little") * 0x9E3779B1 & 0xFFFFFFFF) >> 18


def twin(text):
    places, symbols = {}, []
    i = 0
    while i < len(text):
        four, length = text[i : i + 4], 1
        if len(four) == 4:
            place = places.get(slot(four))
            places[slot(four)] = i
            if place is not None and i - place <= WINDOW_BYTES and text[place : place + 4] == four:
                length = 4
                while length < min(258, len(text) - i) and text[place + length] == text[i + length]:
                    length += 1
                for j in range(i + 1, i + length):
                    if j + 4 <= len(text):
                        places[slot(text[j : j + 4])] = j
        symbols.append((text[i], None, 1) if length == 1 else (length, i - place, length))
        i += length
    bits = 0
    for first in range(0, len(symbols), BLOCK_SYMBOLS):
        block = symbols[first : first + BLOCK_SYMBOLS]
        literals, distances, extra = Counter({256: 1}), Counter(), 0
        for value, distance, _ in block:
            if distance is None:
                literals[value] += 1
                continue
            row, more = code(LENGTH_BASES, LENGTH_BITS, value)
            literals[257 + row] += 1
            extra += more
            row, more = code(DISTANCE_BASES, DISTANCE_BITS, distance)
            distances[row] += 1
            extra += more
        fixed = sum(
            count * (8 if one < 144 or one >= 280 else 9 if one < 256 else 7)
            for one, count in literals.items()
        )
        own = huffman(literals) + (huffman(distances) if distances else 0)
        own += 71 + 4 * (len(literals) + len(distances))
        stored = 37 + 8 * sum(size for _, _, size in block)
        bits += 3 + min(extra + fixed + 5 * distances.total(), extra + own, stored)
    return -(-bits // 8)


TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(
        st.sampled_from(["the ", "cat ", "abcd", "é", "x" * 300, "\n", "日本"]), max_size=60
    ).map("".join),
)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=3))
def test_sizes_are_those_of_a_plain_reckoning(texts):
    assert sizes(texts) == [twin(text.encode()) for text in texts]


def test_sizes_of_long_texts_are_those_of_a_plain_reckoning():
    choice = random.Random("deflate")
    words = ["".join(choice.choices("abcdefgh", k=6)) for _ in range(3000)]
    text = " ".join(choice.choices(words, k=20_000))  # many blocks, matches beyond the window
    assert sizes([text]) == [twin(text.encode())]


def test_sizes_are_near_those_of_zlib():
    texts = [Path(module.__file__).read_bytes() for module in (argparse, random, heapq, zipfile)]
    for reckoned, text in zip(sizes(texts), texts, strict=True):
        assert 0.85 < reckoned / len(zlib.compress(text, 1)) < 1.15
        assert 0.85 < reckoned / len(zlib.compress(text, 6)) < 1.3


def test_what_does_not_compress_takes_its_own_size():
    text = random.Random("noise").randbytes(100_000)
    assert len(text) <= sizes([text])[0] <= len(text) + 200


def test_one_byte_again_and_again_takes_next_to_nothing():
    assert sizes(["a" * 1_000_000])[0] < 3000


def test_a_text_is_reckoned_alone():
    text = "What stood in another document is not there to be referred to. "
    assert sizes([text, text, "", text])[1:] == [*sizes([text, ""]), *sizes([text])]


def test_memory_does_not_depend_on_the_text():
    assert (1 << deflate.HASH_BITS) * 8 + 3 * 8 * deflate.LITERALS + 8 * 30 < 138 << 10
