"""Any amount of text, made of the benchmark corpus by repetition with changes.

In each turn after the first a fifth of the words of each document give way to others of the same
document, chosen by the turn and the document's id: some third of its 5-word shingles stay, so it is
compared with its like and stays, as one page of a template among others. One document in 50 is left
as it is, an exact copy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import orjson

from benchmarks.inputs import read_documents

__all__ = ["repeat_documents", "write_repeated"]

CHANGED = 0.2  # of the words
COPIED = 50  # one document in so many is not changed
FILE_BYTES = 64_000_000  # of text, in a file of the input


def repeat_documents(documents: list[dict[str, Any]], text_bytes: int) -> Iterator[dict[str, Any]]:
    """The documents, turn by turn, until there are so many bytes of text. Nothing is drawn by
    chance: the same documents give the same text."""
    total, turn = 0, 0
    while documents:
        for document in documents:
            if total >= text_bytes:
                return
            made = document if turn == 0 else _changed(document, turn)
            total += len(made["text"].encode())
            yield made
        turn += 1


def _changed(document: dict[str, Any], turn: int) -> dict[str, Any]:
    name = f"{turn}/{document['id']}"
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    words = document["text"].split(" ")
    if seed % COPIED:
        source = np.random.Generator(np.random.PCG64(seed))
        places = np.flatnonzero(source.random(len(words)) < CHANGED)
        others = source.integers(0, len(words), len(places))
        taken = [words[other] for other in others]
        for place, word in zip(places, taken, strict=True):
            words[place] = word
    return {**document, "id": name, "text": " ".join(words)}


def write_repeated(corpus: str, text_bytes: int, folder: str) -> tuple[int, int]:
    """Write so many bytes of text as JSONL files in Dolma's format; gives (documents, bytes of
    text). `corpus`: a folder of `build_corpus`."""
    os.makedirs(folder, exist_ok=True)
    documents = read_documents(corpus, text_bytes)
    count = total = number = 0
    in_file = 0
    with ExitStack() as stack:
        file = stack.enter_context(open(os.path.join(folder, f"{number:05}.jsonl"), "wb"))
        for one in repeat_documents(documents, text_bytes):
            if in_file >= FILE_BYTES:
                stack.close()
                number, in_file = number + 1, 0
                file = stack.enter_context(open(os.path.join(folder, f"{number:05}.jsonl"), "wb"))
            size = len(one["text"].encode())
            file.write(orjson.dumps(one) + b"\n")
            count, total, in_file = count + 1, total + size, in_file + size
    return count, total
