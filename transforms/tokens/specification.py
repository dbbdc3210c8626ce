"""What a recipe says of its tokenizer, and what a loaded one says of itself.

A recipe names a path, URI, tiktoken encoding or hub name, with what a rank file lacks. Loaded, it
has a fingerprint, a vocabulary size and the tokens that close a document and fill a sequence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["TIKTOKEN_PATTERNS", "Identity", "TokenizerError", "TokenizerSpec", "identify"]

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

# Tokens that close a document or fill a sequence, first of these that a `tokenizer.json` has,
# unless the recipe names one.
EOS_NAMES = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[EOS]")
PAD_NAMES = ("<|pad|>", "<|padding|>", "<pad>", "[PAD]")
_SPEC_KEYS = ("eos", "name", "pad", "pattern", "special_tokens")


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


@dataclass(frozen=True)
class Identity:
    """What the workflow must know of a tokenizer; small, with a JSON form.

    `fingerprint`: SHA-256 (hex) of all that tokens depend on, the same from whichever path the
    tokenizer came. `vocabulary_size`: highest id + 1, special tokens included. `eos` closes each
    document, `pad` fills a sequence (`eos` where a tokenizer has none).
    """

    fingerprint: str
    vocabulary_size: int
    eos: int
    pad: int


IDENTITY_VERSION = 1  # raised when the same file gets another fingerprint


def identify(
    digest: hashlib._Hash, vocabulary_size: int, ids: Mapping[str, int], spec: TokenizerSpec
) -> Identity:
    """The identity of a tokenizer whose tokens `digest` has read. `ids`: the tokens among which EOS
    and PAD are sought. TokenizerError when there is no EOS."""
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
    return Identity(digest.hexdigest(), vocabulary_size, eos, pad)


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
