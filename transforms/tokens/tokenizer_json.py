"""A `tokenizer.json` (Hugging Face tokenizers) made ready: for the kernel where it can run it.

What the kernel runs is byte-level BPE whose split pattern is one of `kernels.split.PATTERNS`, with
no normalizer; its merges and its ids are read from the file as the library writes it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tokenizers

from transforms.kernels.bpe_tables import MOST_IDS, MOST_MERGES, TokenBytes, pack_tokens
from transforms.kernels.bpe_vocabulary import build_vocabulary
from transforms.kernels.split import PATTERNS, Pattern, find_pattern
from transforms.tokens.specification import TokenizerError, TokenizerSpec, identify
from transforms.tokens.tokenizer import KernelTokenizer, LibraryTokenizer, Tokenizer

__all__ = ["from_json"]


# Ids of any tokenizer, at most: one above it is a slip, and tables are as long as the highest id.
MOST_LIBRARY_IDS = 1 << 24
# What no vocabulary spells whole: letters of many scripts, signs, what is unassigned, a long word.
_PROBES = (
    *map(chr, (0x7E, 0xE9, 0x416, 0x5D0, 0x639, 0x905, 0xE01, 0x10D0, 0x4E2D, 0xAC00, 0x2200)),
    *map(chr, (0x1, 0x301, 0x378, 0x200B, 0xA66E, 0xE000, 0xFFFD, 0x1F600, 0x2F81A, 0x10FFFD)),
    "vineleaf" * 200,
)


class _ByteLevel(NamedTuple):
    """A `tokenizer.json` as the kernel wants it."""

    pattern: Pattern
    prefix_space: bool
    mergeable: npt.NDArray[np.int32]
    merges: npt.NDArray[np.int32]
    whole_pieces: bool


def from_json(content: bytes, spec: TokenizerSpec) -> Tokenizer:
    """The tokenizer of a file's content; TokenizerError when the library cannot read it, or cannot
    encode every text with it."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers share the cores already
    try:
        parsed = json.loads(content)
        for key in ("truncation", "padding", "version"):  # none of them makes another tokenizer
            parsed.pop(key, None)
        # What this library writes anew is the same for every version of the format.
        library = tokenizers.Tokenizer.from_str(json.dumps({**parsed, "version": "1.0"}))
        vocabulary: dict[str, int] = library.get_vocab(with_added_tokens=True)
        size = max(vocabulary.values(), default=-1) + 1
        if size > MOST_LIBRARY_IDS:  # asked before it is written, which visits each id below
            token = max(vocabulary, key=vocabulary.__getitem__)
            raise TokenizerError(
                f"tokenizer {spec.name!r}: ids must be below {MOST_LIBRARY_IDS:,}"
                f" ({token!r} has {size - 1:,})"
            )
        parsed = json.loads(library.to_str())
        added = {token["content"]: token["id"] for token in parsed["added_tokens"]}
    except TokenizerError:
        raise
    except Exception as error:  # the library raises plain Exception
        raise TokenizerError(
            f"tokenizer {spec.name!r} must be a tokenizer.json that the tokenizers library reads "
            f"({str(error)[:200]})"
        ) from error
    library.encode_special_tokens = True  # that is: as ordinary text
    digest = hashlib.sha256(json.dumps(parsed, sort_keys=True, ensure_ascii=False).encode())
    identity = identify(digest, size, {**vocabulary, **added}, spec)
    byte_level = _is_byte_level(parsed)
    token_bytes = _token_bytes(vocabulary, added, size) if byte_level else None
    found = _for_kernel(parsed, size) if byte_level else "it is not byte-level BPE"
    if isinstance(found, str) or token_bytes is None:
        _check_unknown(library, spec)
        return LibraryTokenizer(identity, library, str(found), token_bytes)
    plain = tuple(
        token["content"]
        for token in parsed["added_tokens"]
        if not token["special"] and token["content"]
    )
    try:
        kernel_vocabulary = build_vocabulary(
            token_bytes, found.mergeable, found.merges, found.whole_pieces
        )
    except ValueError as error:
        raise TokenizerError(f"tokenizer {spec.name!r}: {error}") from None
    return KernelTokenizer(
        identity,
        kernel_vocabulary,
        found.pattern,
        found.prefix_space,
        plain,
        library if plain else None,
    )


def _check_unknown(library: tokenizers.Tokenizer, spec: TokenizerSpec) -> None:
    """TokenizerError where the library fails at characters that the vocabulary lacks."""
    try:
        library.encode_batch_fast(list(_PROBES), add_special_tokens=False)
    except Exception as error:  # the library raises plain Exception
        raise TokenizerError(
            f"tokenizer {spec.name!r} cannot encode what its vocabulary lacks ({error}): its model"
            " must name an unknown token that its vocabulary holds"
        ) from error


@cache
def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in byte-level vocabularies (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {
        **{chr(byte): byte for byte in printable},
        **{chr(256 + i): byte for i, byte in enumerate(others)},
    }


def _spelled(token: str) -> bytes | None:
    letters = _byte_letters()
    if not all(letter in letters for letter in token):
        return None
    return bytes(letters[letter] for letter in token)


def _is_byte_level(parsed: Mapping[str, Any]) -> bool:
    decoder = parsed["decoder"] or {}
    return parsed["model"]["type"] == "BPE" and decoder.get("type") == "ByteLevel"


def _token_bytes(vocabulary: Mapping[str, int], added: Mapping[str, int], size: int) -> TokenBytes:
    tokens = [b""] * size
    for token, number in vocabulary.items():
        spelled = None if token in added else _spelled(token)
        tokens[number] = token.encode() if spelled is None else spelled
    return pack_tokens(tokens)


def _for_kernel(parsed: Mapping[str, Any], size: int) -> _ByteLevel | str:
    """The parts of a byte-level `tokenizer.json` that the kernel runs, or why it cannot."""
    model = parsed["model"]
    if parsed["normalizer"] is not None:
        return f"its normalizer ({parsed['normalizer']['type']}) changes texts"
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(key):
            return f"its model sets {key}"
    if size > MOST_IDS or len(model["merges"]) > MOST_MERGES:
        return f"it has more than {MOST_IDS:,} ids or {MOST_MERGES:,} merges"
    pattern, prefix_space = _pattern_of(parsed["pre_tokenizer"])
    if pattern is None:
        return "its pre-tokenizer is none of the split patterns that are compiled"
    for token in parsed["added_tokens"]:
        spelled = _spelled(token["content"])
        if token["content"] in model["vocab"] and spelled not in (None, token["content"].encode()):
            return f"{token['content']!r} is a token of its vocabulary and an added one"
    ids = {}
    for token, number in model["vocab"].items():
        spelled = _spelled(token)
        if spelled:
            ids[number] = spelled
    if len({spelled for spelled in ids.values() if len(spelled) == 1}) < 256:
        return "its vocabulary lacks single bytes"
    vocabulary = model["vocab"]
    merges = np.empty((len(model["merges"]), 3), np.int32)
    for i, merge in enumerate(model["merges"]):
        left, right = merge
        merges[i] = vocabulary[left], vocabulary[right], vocabulary[left + right]
    mergeable = np.array(sorted(ids), np.int32)
    whole_pieces = bool(model.get("ignore_merges"))
    return _ByteLevel(pattern, prefix_space, mergeable, merges, whole_pieces)


def _pattern_of(pre_tokenizer: Mapping[str, Any] | None) -> tuple[Pattern | None, bool]:
    """The split pattern of a `tokenizer.json`, None where none is compiled; and whether texts get
    a blank before them."""
    if pre_tokenizer is None:
        return None, False
    steps = (
        pre_tokenizer["pretokenizers"] if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]
    )
    last = steps[-1] if steps else {}
    if last.get("type") != "ByteLevel":
        return None, False
    if len(steps) == 1 and last["use_regex"]:
        return _named("gpt2"), last["add_prefix_space"]
    if len(steps) != 2 or last["add_prefix_space"]:  # here it would be a blank before each piece
        return None, False
    first = steps[0]
    if first["type"] == "Digits" and last["use_regex"]:
        return _named("gpt2_digits" if first["individual_digits"] else "gpt2_numbers"), False
    # Patterns match every character, so what is kept is the same in both of these forms.
    if (
        first["type"] == "Split"
        and (first["behavior"], first["invert"]) in (("Isolated", False), ("Removed", True))
        and not last["use_regex"]
    ):
        return find_pattern(first["pattern"].get("Regex", "")), False
    return None, False


def _named(name: str) -> Pattern:
    return next(pattern for pattern in PATTERNS if pattern.name == name)
