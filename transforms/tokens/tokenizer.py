"""Tokenizers: what a recipe names, loaded and ready to encode batches of texts.

A tokenizer is the path or URI of a `tokenizer.json` or of a tiktoken rank file, a tiktoken encoding
(`cl100k_base`), or a name on the Hugging Face hub (`org/name`). Byte-level BPE with a published
split pattern and no normalizer runs in `transforms.kernels.bpe`; any other runs in the `tokenizers`
library, `reason` says why, and the commands say so. Tokens are uint32 always, as OLMo-core reads
them for a vocabulary of more than 65,536. A text is only text: special tokens that it spells are
not parsed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tokenizers

from transforms import storage
from transforms.documents import text_buffers
from transforms.kernels.bpe import (
    MOST_IDS,
    MOST_MERGES,
    Cache,
    TokenBytes,
    Vocabulary,
    build_vocabulary,
    decode_tokens,
    encode_texts,
    new_cache,
    pack_tokens,
)
from transforms.kernels.split import PATTERNS, Pattern, find_pattern

__all__ = [
    "KernelTokenizer",
    "LibraryTokenizer",
    "Tokenizer",
    "TokenizerError",
    "TokenizerSpec",
    "as_file",
    "load_tokenizer",
]

# Tokens that close a document or fill a sequence, first of these that a `tokenizer.json` has,
# unless the recipe names one.
EOS_NAMES = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[EOS]")
PAD_NAMES = ("<|pad|>", "<|padding|>", "<pad>", "[PAD]")
LIBRARY_BATCH_BYTES = 1 << 20  # bytes of text that the library encodes at a time
# Split patterns of the encodings that tiktoken has by name.
TIKTOKEN_PATTERNS = {
    "cl100k_base": "cl100k",
    "gpt2": "gpt2",
    "o200k_base": "o200k",
    "o200k_harmony": "o200k",
    "p50k_base": "gpt2",
    "p50k_edit": "gpt2",
    "r50k_base": "gpt2",
}
_SPEC_KEYS = ("eos", "name", "pad", "pattern", "special_tokens")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

Tokens = npt.NDArray[np.uint32]
Bounds = npt.NDArray[np.int64]


class TokenizerError(ValueError):
    """A tokenizer that cannot be had as the recipe asks; one sentence that says what to do."""


@dataclass(frozen=True)
class TokenizerSpec:
    """What a recipe says of its tokenizer; small, hashable and picklable.

    `name`: see the module. `pattern` (a name in `kernels.split.PATTERNS`) and `special_tokens`
    (token, id) belong to rank files, which hold neither. `eos` and `pad` name tokens; when left out
    they are found by their usual names, and a tokenizer without padding pads with EOS.
    """

    name: str
    pattern: str | None = None
    special_tokens: tuple[tuple[str, int], ...] = ()
    eos: str | None = None
    pad: str | None = None

    @staticmethod
    def from_recipe(value: str | Mapping[str, Any]) -> TokenizerSpec:
        """From a name alone or a mapping of this class's fields, `special_tokens` as a mapping."""
        if isinstance(value, str):
            return TokenizerSpec(value)
        unknown = sorted(set(value) - set(_SPEC_KEYS))
        if unknown or not isinstance(value.get("name"), str):
            raise TokenizerError(
                f"'tokenizer' must be a name or have a 'name' and keys of {', '.join(_SPEC_KEYS)} "
                f"(got {', '.join(sorted(value)) or 'nothing'})"
            )
        for key in ("pattern", "eos", "pad"):
            if not isinstance(value.get(key), str | None):
                raise TokenizerError(f"'tokenizer.{key}' must be text (got {value[key]!r})")
        special = value.get("special_tokens") or {}
        if not isinstance(special, Mapping) or not all(
            isinstance(token, str) and type(number) is int and number >= 0
            for token, number in special.items()
        ):
            raise TokenizerError(
                f"'tokenizer.special_tokens' must map tokens to their ids (got {special!r})"
            )
        return TokenizerSpec(
            value["name"],
            value.get("pattern"),
            tuple(sorted(special.items())),
            value.get("eos"),
            value.get("pad"),
        )


class Tokenizer(Protocol):
    """Encodes and decodes batches; made by `load_tokenizer`, once a process."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that tokens depend on: the same from whichever path it came."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Highest id + 1, special tokens included."""
        ...

    @property
    def eos(self) -> int:
        """The token that closes each document."""
        ...

    @property
    def pad(self) -> int:
        """The token that fills a sequence; `eos` where a tokenizer has none."""
        ...

    @property
    def kernel(self) -> bool:
        """True when texts are encoded by `transforms.kernels.bpe`."""
        ...

    @property
    def reason(self) -> str:
        """Why the library encodes all or some texts; empty when the kernel encodes all."""
        ...

    @property
    def notice(self) -> str:
        """The same as a sentence for the user, who waits for it; empty when the kernel encodes
        all."""
        ...

    def encode(self, texts: pa.Array) -> tuple[Tokens, Bounds]:
        """Tokens of a large_string array without nulls: tokens uint32[], bounds int64[texts + 1];
        text d is tokens[bounds[d]:bounds[d + 1]], without EOS."""
        ...

    def decode(self, tokens: Tokens) -> bytes:
        """The bytes of a run of tokens; special tokens as their names."""
        ...

    def decode_documents(
        self, tokens: Tokens, bounds: Bounds
    ) -> tuple[npt.NDArray[np.uint8], Bounds]:
        """The bytes of documents tokens[bounds[d]:bounds[d + 1]]: data uint8[], offsets
        int64[documents + 1]. A token outside the vocabulary raises ValueError."""
        ...


class _Identity(NamedTuple):
    """What all tokenizers have."""

    fingerprint: str
    vocabulary_size: int
    eos: int
    pad: int


@dataclass(frozen=True)
class LibraryTokenizer:
    """A tokenizer that the `tokenizers` library runs, in batches of bounded size.

    `token_bytes` is None for what is not byte-level; then `decode` gives what the library gives,
    which is not always the text to the byte.
    """

    identity: _Identity
    library: tokenizers.Tokenizer
    reason: str
    token_bytes: TokenBytes | None
    kernel: bool = field(default=False, init=False)

    @property
    def fingerprint(self) -> str:
        return self.identity.fingerprint

    @property
    def vocabulary_size(self) -> int:
        return self.identity.vocabulary_size

    @property
    def eos(self) -> int:
        return self.identity.eos

    @property
    def pad(self) -> int:
        return self.identity.pad

    @property
    def notice(self) -> str:
        return (
            "the tokenizers library encodes all texts, some twenty times slower than the kernel,"
            f" because {self.reason}"
        )

    def encode(self, texts: pa.Array) -> tuple[Tokens, Bounds]:
        return _encode_by_library(self.library, texts)

    def decode(self, tokens: Tokens) -> bytes:
        return self.decode_documents(tokens, np.array([0, len(tokens)], np.int64))[0].tobytes()

    def decode_documents(
        self, tokens: Tokens, bounds: Bounds
    ) -> tuple[npt.NDArray[np.uint8], Bounds]:
        if self.token_bytes is not None:
            return decode_tokens(tokens, bounds, self.token_bytes)
        beyond = np.flatnonzero(tokens >= self.vocabulary_size)
        if len(beyond):
            raise ValueError(
                f"token {tokens[beyond[0]]} at place {beyond[0]} is outside the vocabulary of "
                f"{self.vocabulary_size} tokens"
            )
        texts = self.library.decode_batch(
            [tokens[bounds[d] : bounds[d + 1]].tolist() for d in range(len(bounds) - 1)],
            skip_special_tokens=False,
        )
        packed = pack_tokens([text.encode() for text in texts])
        return packed.data, packed.offsets


@dataclass(frozen=True)
class KernelTokenizer:
    """A byte-level BPE that the kernel runs.

    `prefix_space`: a text that does not begin with a blank gets one, as GPT-2's relatives ask for.
    `added` holds tokens that the tokenizer adds to its vocabulary without calling them special (a
    mask for telephone numbers, say): texts that spell one, which are few, go to the library.
    """

    identity: _Identity
    vocabulary: Vocabulary
    pattern: Pattern
    prefix_space: bool = False
    added: tuple[str, ...] = ()
    library: tokenizers.Tokenizer | None = None
    kernel: bool = field(default=True, init=False)
    _caches: threading.local = field(default_factory=threading.local, init=False, repr=False)

    @property
    def fingerprint(self) -> str:
        return self.identity.fingerprint

    @property
    def vocabulary_size(self) -> int:
        return self.identity.vocabulary_size

    @property
    def eos(self) -> int:
        return self.identity.eos

    @property
    def pad(self) -> int:
        return self.identity.pad

    @property
    def reason(self) -> str:
        if not self.added:
            return ""
        return f"texts that spell one of {len(self.added)} added tokens are left to the library"

    @property
    def notice(self) -> str:
        return self.reason

    def encode(self, texts: pa.Array) -> tuple[Tokens, Bounds]:
        if self.library is None:
            return self._encode(texts)
        spells = pc.match_substring_regex(texts, "|".join(map(re.escape, self.added)))
        if not pc.any(spells).as_py():
            return self._encode(texts)
        chosen = np.asarray(spells)
        return _interleave(
            chosen,
            self._encode(texts.filter(pc.invert(spells))),
            _encode_by_library(self.library, texts.filter(spells)),
        )

    def _encode(self, texts: pa.Array) -> tuple[Tokens, Bounds]:
        known: Cache | None = getattr(self._caches, "cache", None)
        if known is None:
            known = self._caches.cache = new_cache()
        if self.prefix_space:
            texts = _with_prefix_space(texts)
        return encode_texts(*text_buffers(texts), self.pattern.kind, self.vocabulary, known)

    def decode(self, tokens: Tokens) -> bytes:
        return self.decode_documents(tokens, np.array([0, len(tokens)], np.int64))[0].tobytes()

    def decode_documents(
        self, tokens: Tokens, bounds: Bounds
    ) -> tuple[npt.NDArray[np.uint8], Bounds]:
        return decode_tokens(tokens, bounds, self.vocabulary.token_bytes)


def _with_prefix_space(texts: pa.Array) -> pa.Array:
    complete = pc.or_(pc.starts_with(texts, " "), pc.equal(texts, ""))
    prefix = pa.scalar(" ", pa.large_string())
    nothing = pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(pc.if_else(complete, nothing, prefix), texts, nothing)


def _interleave(
    second: npt.NDArray[np.bool_], no: tuple[Tokens, Bounds], yes: tuple[Tokens, Bounds]
) -> tuple[Tokens, Bounds]:
    """Put the texts of two encodings in order again; `second[d]` says whose text d is."""
    lengths = np.empty(len(second), np.int64)
    lengths[~second], lengths[second] = np.diff(no[1]), np.diff(yes[1])
    bounds = np.zeros(len(second) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    is_second = np.repeat(second, lengths)
    tokens = np.empty(int(bounds[-1]), np.uint32)
    tokens[~is_second], tokens[is_second] = no[0], yes[0]
    return tokens, bounds


def _encode_by_library(library: tokenizers.Tokenizer, texts: pa.Array) -> tuple[Tokens, Bounds]:
    _, offsets = text_buffers(texts)
    parts: list[npt.NDArray[np.uint32]] = []
    first = 0
    while first < len(texts):
        last = int(np.searchsorted(offsets, offsets[first] + LIBRARY_BATCH_BYTES, "right")) - 1
        last = min(max(last, first + 1), len(texts))
        encodings = library.encode_batch_fast(
            texts[first:last].to_pylist(), add_special_tokens=False
        )
        parts.extend(np.array(encoding.ids, np.uint32) for encoding in encodings)
        first = last
    bounds = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=bounds[1:])
    return np.concatenate([np.empty(0, np.uint32), *parts]), bounds


@cache
def load_tokenizer(spec: TokenizerSpec, fingerprint: str = "") -> Tokenizer:
    """The tokenizer of a recipe, loaded once a process. TokenizerError says what is wrong.

    `fingerprint`: which one it must be, where an earlier stage has settled that.
    """
    tokenizer = _load(spec)
    if fingerprint and tokenizer.fingerprint != fingerprint:
        raise TokenizerError(
            f"tokenizer {spec.name!r} has changed since this run began: run the command again"
        )
    return tokenizer


def _load(spec: TokenizerSpec) -> Tokenizer:
    name = spec.name
    if "://" not in name and storage.exists(storage.join(name, "tokenizer.json")):
        name = storage.join(name, "tokenizer.json")
    if storage.exists(name):
        content = storage.read_bytes(name)
        if content.lstrip().startswith(b"{"):
            return _from_json(content, spec)
        return _from_ranks(_read_ranks(content, name), dict(spec.special_tokens), spec)
    if name in TIKTOKEN_PATTERNS:
        return _from_tiktoken(spec)
    if _HUB_NAME.fullmatch(name) and not name.endswith((".json", ".tiktoken")):
        return _from_json(_fetch_from_hub(name), spec)
    raise TokenizerError(
        f"tokenizer {name!r} must be a tokenizer.json or rank file that exists, one of "
        f"{', '.join(TIKTOKEN_PATTERNS)}, or a hub name like org/name"
    )


def as_file(spec: TokenizerSpec) -> tuple[bytes, TokenizerSpec]:
    """The content of a file from which the same tokenizer loads, and what to say of that file (all
    but its name). TokenizerError when it cannot be had."""
    name = spec.name
    if "://" not in name and storage.exists(storage.join(name, "tokenizer.json")):
        name = storage.join(name, "tokenizer.json")
    if storage.exists(name):
        return storage.read_bytes(name), spec
    if name not in TIKTOKEN_PATTERNS:
        return _fetch_from_hub(name), spec
    ranks, special = _tiktoken_ranks(spec)
    lines = [
        b"%s %d\n" % (base64.b64encode(token), rank)
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
    ]
    pattern = TIKTOKEN_PATTERNS[name]
    tokens = tuple(sorted(special.items()))
    return b"".join(lines), TokenizerSpec(name, pattern, tokens, spec.eos, spec.pad)


@cache  # what is stored beside a mix is what encoded it
def _fetch_from_hub(name: str) -> bytes:
    try:
        return tokenizers.Tokenizer.from_pretrained(name).to_str().encode()
    except Exception as error:  # the hub's client raises errors of many libraries
        raise TokenizerError(
            f"tokenizer {name!r} could not be fetched from the hub ({type(error).__name__}): check "
            "the name and the network, or give the path of its tokenizer.json"
        ) from error


def _from_tiktoken(spec: TokenizerSpec) -> Tokenizer:
    pattern = TIKTOKEN_PATTERNS[spec.name]
    named = TokenizerSpec(spec.name, pattern, (), spec.eos, spec.pad)
    return _from_ranks(*_tiktoken_ranks(spec), named)


def _tiktoken_ranks(spec: TokenizerSpec) -> tuple[dict[bytes, int], dict[str, int]]:
    """Ranks and special tokens of an encoding that tiktoken has by name."""
    import tiktoken  # only where a recipe names one of its encodings

    try:
        encoding = tiktoken.get_encoding(spec.name)
    except OSError as error:  # of requests, when there is no network
        raise TokenizerError(
            f"tokenizer {spec.name!r} is not in tiktoken's cache and could not be downloaded "
            f"({type(error).__name__}): set TIKTOKEN_CACHE_DIR or give the path of its rank file"
        ) from error
    ranks = {token: encoding.encode_single_token(token) for token in encoding.token_byte_values()}
    special = {token: encoding.encode_single_token(token) for token in encoding.special_tokens_set}
    return ranks, special


def _read_ranks(content: bytes, name: str) -> dict[bytes, int]:
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


def _from_ranks(ranks: dict[bytes, int], special: dict[str, int], spec: TokenizerSpec) -> Tokenizer:
    pattern = next((pattern for pattern in PATTERNS if pattern.name == spec.pattern), None)
    if pattern is None:
        raise TokenizerError(
            f"tokenizer {spec.name!r} is a rank file and needs a 'pattern' of "
            f"{', '.join(pattern.name for pattern in PATTERNS)} (got {spec.pattern!r})"
        )
    numbers = {*ranks.values(), *special.values()}
    if len(numbers) != len(ranks) + len(special):
        raise TokenizerError(f"tokenizer {spec.name!r}: special tokens must have ids of their own")
    tokens = [b""] * (max(numbers) + 1)
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
    identity = _identify(digest, len(tokens), special, spec)
    return KernelTokenizer(identity, vocabulary, pattern)


def _identify(
    digest: hashlib._Hash, vocabulary_size: int, ids: Mapping[str, int], spec: TokenizerSpec
) -> _Identity:
    """`ids`: the tokens among which EOS and PAD are sought."""
    eos = _find(spec.eos, EOS_NAMES, ids, spec, "eos")
    if eos is None:
        raise TokenizerError(
            f"tokenizer {spec.name!r} must say which token closes a document: set 'eos' to one of "
            f"its tokens (none of {', '.join(EOS_NAMES)} is among them)"
        )
    pad = _find(spec.pad, PAD_NAMES, ids, spec, "pad")
    pad = eos if pad is None else pad
    special = json.dumps([sorted(ids.items()), eos, pad], ensure_ascii=False)
    digest.update(special.encode("utf-8", "surrogatepass"))
    return _Identity(digest.hexdigest(), vocabulary_size, eos, pad)


def _find(
    wanted: str | None,
    usual: Sequence[str],
    ids: Mapping[str, int],
    spec: TokenizerSpec,
    key: str,
) -> int | None:
    if wanted is None:
        return next((ids[name] for name in usual if name in ids), None)
    if wanted not in ids:
        raise TokenizerError(f"tokenizer {spec.name!r} must hold its '{key}' token {wanted!r}")
    return ids[wanted]


class _ByteLevel(NamedTuple):
    """A `tokenizer.json` as the kernel wants it."""

    pattern: Pattern
    prefix_space: bool
    mergeable: npt.NDArray[np.int32]
    merges: npt.NDArray[np.int32]
    whole_pieces: bool


def _from_json(content: bytes, spec: TokenizerSpec) -> Tokenizer:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers share the cores already
    try:
        parsed = json.loads(content)
        for key in ("truncation", "padding", "version"):  # none of them makes another tokenizer
            parsed.pop(key, None)
        # What this library writes anew is the same for every version of the format.
        library = tokenizers.Tokenizer.from_str(json.dumps({**parsed, "version": "1.0"}))
        parsed = json.loads(library.to_str())
        added = {token["content"]: token["id"] for token in parsed["added_tokens"]}
    except Exception as error:  # the library raises plain Exception
        raise TokenizerError(
            f"tokenizer {spec.name!r} must be a tokenizer.json that the tokenizers library reads "
            f"({str(error)[:200]})"
        ) from error
    library.encode_special_tokens = True  # that is: as ordinary text
    vocabulary: dict[str, int] = library.get_vocab(with_added_tokens=True)
    size = max(vocabulary.values(), default=-1) + 1
    digest = hashlib.sha256(json.dumps(parsed, sort_keys=True, ensure_ascii=False).encode())
    identity = _identify(digest, size, {**vocabulary, **added}, spec)
    byte_level = _is_byte_level(parsed)
    token_bytes = _token_bytes(vocabulary, added, size) if byte_level else None
    found = _for_kernel(parsed, size) if byte_level else "it is not byte-level BPE"
    if isinstance(found, str) or token_bytes is None:
        return LibraryTokenizer(identity, library, str(found), token_bytes)
    plain = tuple(
        token["content"]
        for token in parsed["added_tokens"]
        if not token["special"] and token["content"]
    )
    return KernelTokenizer(
        identity,
        build_vocabulary(token_bytes, found.mergeable, found.merges, found.whole_pieces),
        found.pattern,
        found.prefix_space,
        plain,
        library if plain else None,
    )


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
