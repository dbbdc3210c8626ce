"""Tokenizers that encode and decode batches of texts: by the kernel or by the library.

Byte-level BPE with a published split pattern and no normalizer runs in `transforms.kernels.bpe`;
any other runs in the `tokenizers` library, `reason` says why, and the commands say so. Tokens are
uint32 always, as OLMo-core reads them for a vocabulary of more than 65,536. A text is only text:
special tokens that it spells are not parsed. `transforms.tokens.loading` makes them.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import tokenizers

from transforms.documents import text_buffers
from transforms.kernels.bpe import Cache, encode_texts, new_cache
from transforms.kernels.bpe_decoding import decode_tokens
from transforms.kernels.bpe_tables import TokenBytes, Vocabulary, pack_tokens
from transforms.kernels.split import Pattern
from transforms.tokens.specification import Identity

__all__ = ["KernelTokenizer", "LibraryTokenizer", "Tokenizer"]

LIBRARY_BATCH_BYTES = 1 << 20  # bytes of text that the library encodes at a time

Tokens = npt.NDArray[np.uint32]
Bounds = npt.NDArray[np.int64]


class Tokenizer(Protocol):
    """Encodes and decodes batches; made by `loading.load_tokenizer`, once a process."""

    @property
    def identity(self) -> Identity:
        """What names it; see `transforms.tokens.specification`."""
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


@dataclass(frozen=True)
class LibraryTokenizer:
    """A tokenizer that the `tokenizers` library runs, in batches of bounded size.

    `token_bytes` is None for what is not byte-level; then `decode` gives what the library gives,
    which is not always the text to the byte.
    """

    identity: Identity
    library: tokenizers.Tokenizer
    reason: str
    token_bytes: TokenBytes | None
    kernel: bool = field(default=False, init=False)

    @property
    def notice(self) -> str:
        return (
            "the tokenizers library encodes all texts, some thirty times slower than the kernel,"
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
        beyond = np.flatnonzero(tokens >= self.identity.vocabulary_size)
        if len(beyond):
            raise ValueError(
                f"token {tokens[beyond[0]]} at place {beyond[0]} is outside the vocabulary of "
                f"{self.identity.vocabulary_size} tokens"
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

    identity: Identity
    vocabulary: Vocabulary
    pattern: Pattern
    prefix_space: bool = False
    added: tuple[str, ...] = ()
    library: tokenizers.Tokenizer | None = None
    kernel: bool = field(default=True, init=False)
    _caches: threading.local = field(default_factory=threading.local, init=False, repr=False)

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
