"""Byte-pair encoders of cl100k_base: tiktoken, bpe-openai, rs-bpe and Hugging Face tokenizers.

Each answer is a digest of each document's tokens (uint32).
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence

from benchmarks.inputs import read_documents
from benchmarks.work import Task, Work

__all__ = ["bpe_openai", "rs_bpe", "tiktoken", "tokenizers"]

Encoded = Sequence[Sequence[int]]


def _encode_all(task: Task, encode: Callable[[list[str]], Encoded]) -> Work:
    texts = [one["text"] for one in read_documents(task.corpus, task.text_bytes)]

    def answer(encoded: Encoded) -> list[str]:
        return [hashlib.sha256(array("I", tokens).tobytes()).hexdigest() for tokens in encoded]

    return Work(
        run=lambda: encode(texts),
        run_bytes=sum(len(text.encode()) for text in texts),
        warm=lambda: encode(texts[:20]),
        answer=answer,
    )


def tiktoken(task: Task) -> Work:
    """`encode_ordinary`."""
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    return _encode_all(task, lambda texts: [encoding.encode_ordinary(text) for text in texts])


def bpe_openai(task: Task) -> Work:
    """`encode_ordinary` of the package bpe-openai."""
    import bpe_openai

    encoding = bpe_openai.get_encoding("cl100k_base")
    return _encode_all(task, lambda texts: [encoding.encode_ordinary(text) for text in texts])


def rs_bpe(task: Task) -> Work:
    """`encode` of rs-bpe."""
    from rs_bpe.bpe import openai

    encoding = openai.cl100k_base()
    return _encode_all(task, lambda texts: [encoding.encode(text) for text in texts])


def tokenizers(task: Task) -> Work:
    """`encode_batch_fast`, 100 texts at a time, of `options["tokenizer"]`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(task.options["tokenizer"])

    def encode(texts: list[str]) -> Encoded:
        return [
            encoding.ids
            for first in range(0, len(texts), 100)
            for encoding in tokenizer.encode_batch_fast(
                texts[first : first + 100], add_special_tokens=False
            )
        ]

    return _encode_all(task, encode)
