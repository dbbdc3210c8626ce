"""Loading the tokenizer that a recipe names.

That is the path or URI of a `tokenizer.json` or of a tiktoken rank file, a tiktoken encoding
(`cl100k_base`), or a name on the Hugging Face hub (`org/name`).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from typing import NamedTuple

import tokenizers

from transforms import storage
from transforms.datasets import fingerprint_of
from transforms.once import once_per_process
from transforms.tokens.ranks import (
    from_ranks,
    read_ranks,
    tiktoken_ranks,
    tiktoken_special,
    write_ranks,
)
from transforms.tokens.specification import (
    IDENTITY_VERSION,
    TIKTOKEN_PATTERNS,
    TokenizerError,
    TokenizerSpec,
)
from transforms.tokens.tokenizer import Tokenizer
from transforms.tokens.tokenizer_json import from_json

__all__ = ["Description", "describe_tokenizer", "file_content", "file_spec", "load_tokenizer"]

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class Description(NamedTuple):
    """A tokenizer's identity (`transforms.tokens.specification`), and the sentence for the user who
    waits for it, "" for none."""

    fingerprint: str
    vocabulary_size: int
    eos: int
    pad: int
    notice: str


def load_tokenizer(spec: TokenizerSpec, fingerprint: str = "") -> Tokenizer:
    """The tokenizer of a recipe, loaded once a process. TokenizerError says what is wrong.

    `fingerprint`: which one it must be, where an earlier stage has settled that.
    """
    tokenizer = _load(spec)
    if fingerprint and tokenizer.identity.fingerprint != fingerprint:
        raise TokenizerError(
            f"tokenizer {spec.name!r} has changed since this run began: run the command again"
        )
    return tokenizer


@once_per_process
def _load(spec: TokenizerSpec) -> Tokenizer:
    path = _file_of(spec)
    if path:
        content = storage.read_bytes(path).removeprefix(codecs.BOM_UTF8)
        begin = content.lstrip()[:20]
        if begin.startswith(b"{"):
            return from_json(content, spec)
        if not begin or begin.startswith((b"[", b'"')) or path.endswith(".json"):
            raise TokenizerError(
                f"{path} must be a tokenizer.json, a JSON object as the tokenizers library writes"
                " it, or a rank file, lines of a token in base64 and its rank"
                f" ({f'it begins with {begin!r}' if begin else 'it is empty'})"
            )
        return from_ranks(read_ranks(content, path), dict(spec.special_tokens), spec)
    if spec.name in TIKTOKEN_PATTERNS:
        ranks, special = tiktoken_ranks(spec.name), tiktoken_special(spec.name)
        return from_ranks(ranks, special, replace(spec, pattern=TIKTOKEN_PATTERNS[spec.name]))
    if _HUB_NAME.fullmatch(spec.name) and not spec.name.endswith((".json", ".tiktoken")):
        return from_json(_fetch_from_hub(spec.name), spec)
    raise TokenizerError(
        f"tokenizer {spec.name!r} must be a tokenizer.json or rank file that exists, one of "
        f"{', '.join(TIKTOKEN_PATTERNS)}, or a hub name like org/name"
    )


def _file_of(spec: TokenizerSpec) -> str:
    """Path of the file that a name stands for, "" where it is no file."""
    if "://" not in spec.name:
        inside = storage.join(spec.name, "tokenizer.json")
        if storage.exists(inside):
            return inside
    return spec.name if storage.exists(spec.name) else ""


def file_content(spec: TokenizerSpec) -> bytes:
    """The content of a file from which the same tokenizer loads by its `file_spec`. TokenizerError
    when it cannot be had."""
    path = _file_of(spec)
    if path:
        return storage.read_bytes(path)
    if spec.name not in TIKTOKEN_PATTERNS:
        return _fetch_from_hub(spec.name)
    return write_ranks(tiktoken_ranks(spec.name))


def file_spec(spec: TokenizerSpec) -> TokenizerSpec:
    """What to say of the file that holds `file_content`: all but its name, which is as it was."""
    if spec.name not in TIKTOKEN_PATTERNS or _file_of(spec):
        return spec
    special = tuple(sorted(tiktoken_special(spec.name).items()))
    return replace(spec, pattern=TIKTOKEN_PATTERNS[spec.name], special_tokens=special)


def describe_tokenizer(spec: TokenizerSpec, memory: str) -> Description:
    """What `load_tokenizer` would tell of a tokenizer, without loading a file that was described
    before: its tables take a second.

    `memory`: the folder that remembers descriptions, each under the digest of the file and of all
    else that it depends on; an encoding of tiktoken's under its name. What the hub has is loaded.
    TokenizerError as `load_tokenizer`.
    """
    path = _file_of(spec)
    if path:
        content = storage.content_digest(path)
    elif spec.name in TIKTOKEN_PATTERNS:  # whose ranks tiktoken holds against a hash of its own
        content = f"{spec.name} of tiktoken {version('tiktoken')}"
    else:
        return _describe(spec)
    said = {**asdict(spec), "name": content}
    key = fingerprint_of([said, IDENTITY_VERSION, version("vineleaf"), version("tokenizers")])
    remembered = storage.join(memory, f"{key}.json")
    if storage.exists(remembered):
        try:
            return Description(**storage.read_json(remembered))
        except (storage.DamagedFile, TypeError):
            pass  # it is written anew
    description = _describe(spec)
    storage.write_json(remembered, description._asdict())
    return description


def _describe(spec: TokenizerSpec) -> Description:
    tokenizer = load_tokenizer(spec)
    return Description(**asdict(tokenizer.identity), notice=tokenizer.notice)


@cache  # what is stored beside a mix is what encoded it
def _fetch_from_hub(name: str) -> bytes:
    try:
        return tokenizers.Tokenizer.from_pretrained(name).to_str().encode()
    except Exception as error:  # the hub's client raises errors of many libraries
        raise TokenizerError(
            f"tokenizer {name!r} could not be fetched from the hub ({type(error).__name__}): check "
            "the name and the network, or give the path of its tokenizer.json"
        ) from error
