"""Rank files as tiktoken reads them: a token in base64 and its rank, line by line.

They hold neither split pattern nor special tokens: a recipe says both, or the name of one of
tiktoken's encodings does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from transforms.kernels.bpe_tables import MOST_IDS, pack_tokens
from transforms.kernels.bpe_vocabulary import build_vocabulary
from transforms.kernels.split import PATTERNS
from transforms.tokens.specification import TokenizerError, TokenizerSpec, identify
from transforms.tokens.tokenizer import KernelTokenizer, Tokenizer

if TYPE_CHECKING:
    import tiktoken

__all__ = [
    "from_ranks",
    "read_ranks",
    "tiktoken_ranks",
    "tiktoken_special",
    "write_ranks",
]


def tiktoken_ranks(name: str) -> dict[bytes, int]:
    """Ranks of an encoding that tiktoken has by name; TokenizerError when it can not be
    downloaded."""
    encoding = _encoding(name)
    return {token: encoding.encode_single_token(token) for token in encoding.token_byte_values()}


def tiktoken_special(name: str) -> dict[str, int]:
    """Special tokens of such an encoding; TokenizerError likewise."""
    encoding = _encoding(name)
    return {token: encoding.encode_single_token(token) for token in encoding.special_tokens_set}


def _encoding(name: str) -> tiktoken.Encoding:
    import tiktoken  # only where a recipe names one of its encodings

    try:
        return tiktoken.get_encoding(name)
    except OSError as error:  # of requests, when there is no network
        raise TokenizerError(
            f"tokenizer {name!r} is not in tiktoken's cache and could not be downloaded "
            f"({type(error).__name__}): set TIKTOKEN_CACHE_DIR or give the path of its rank file"
        ) from error


def write_ranks(ranks: dict[bytes, int]) -> bytes:
    """The content of a rank file, in order of ranks."""
    return b"".join(
        b"%s %d\n" % (binascii.b2a_base64(token, newline=False), rank)
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
    )


def read_ranks(content: bytes, name: str) -> dict[bytes, int]:
    """The ranks of a file's content; `name` is for the TokenizerError that tells what is wrong."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise TokenizerError(
                f"{name}: line {number} must be a token in base64 and its rank (got {line[:60]!r})"
            ) from None
    if len(set(ranks.values())) != len(ranks) or min(ranks.values(), default=0) < 0:
        raise TokenizerError(f"{name}: ranks must be different and not negative")
    return ranks


def from_ranks(ranks: dict[bytes, int], special: dict[str, int], spec: TokenizerSpec) -> Tokenizer:
    """The tokenizer of ranks and special tokens (token -> id); TokenizerError when they make
    none."""
    pattern = next((pattern for pattern in PATTERNS if pattern.name == spec.pattern), None)
    if pattern is None:
        raise TokenizerError(
            f"tokenizer {spec.name!r} is a rank file and needs a 'pattern' of "
            f"{', '.join(pattern.name for pattern in PATTERNS)} (got {spec.pattern!r})"
        )
    numbers = {*ranks.values(), *special.values()}
    if len(numbers) != len(ranks) + len(special):
        raise TokenizerError(f"tokenizer {spec.name!r}: special tokens must have ids of their own")
    if max(numbers, default=-1) >= MOST_IDS:  # before tables of that length are made
        raise TokenizerError(
            f"tokenizer {spec.name!r}: ids must be below {MOST_IDS:,} (got {max(numbers):,})"
        )
    tokens = [b""] * (max(numbers, default=-1) + 1)
    for token, rank in ranks.items():
        tokens[rank] = token
    for name, number in special.items():
        tokens[number] = name.encode()
    mergeable = np.array(sorted(ranks.values()), np.int32)
    try:
        vocabulary = build_vocabulary(pack_tokens(tokens), mergeable, None, whole_pieces=True)
    except ValueError as error:
        raise TokenizerError(f"tokenizer {spec.name!r}: {error}") from None
    digest = hashlib.sha256(f"ranks {pattern.kind}\n".encode())
    for token, rank in sorted(ranks.items()):
        digest.update(f"{token.hex()} {rank}\n".encode())
    identity = identify(digest, len(tokens), special, spec)
    return KernelTokenizer(identity, vocabulary, pattern)
