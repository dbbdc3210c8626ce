"""A byte-level BPE of one's own, trained by the `tokenizers` library.

In go texts, out comes a `tokenizer.json` that the kernel runs: llama3's split pattern (cl100k's, as
the library spells it), all 256 bytes, `<|endoftext|>` as id 0 and `<|pad|>` as id 1. The same texts
in the same order give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from transforms import storage
from transforms.kernels.split import PATTERNS

__all__ = ["EOS", "PAD", "train_bpe"]

EOS = "<|endoftext|>"
PAD = "<|pad|>"
SMALLEST_VOCABULARY = 256 + 2  # bytes and the two special tokens


def train_bpe(texts: Iterator[str], vocabulary_size: int, path: str) -> None:
    """Train on `texts` and write a `tokenizer.json` to `path` (any Beam filesystem).

    `vocabulary_size` counts the 256 bytes and both special tokens; fewer tokens come out when the
    texts hold too few pairs.
    """
    if vocabulary_size < SMALLEST_VOCABULARY:
        raise ValueError(
            f"'vocabulary_size' must be at least {SMALLEST_VOCABULARY} (got {vocabulary_size})"
        )
    (pattern,) = next(pattern for pattern in PATTERNS if pattern.name == "llama3").expressions
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[EOS, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    storage.write_bytes(path, tokenizer.to_str(pretty=True).encode())
    storage.remove_empty_aside(path)
