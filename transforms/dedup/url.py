"""Duplicates by address: documents that were read from the same URL.

`UrlHash` annotates each document with the 128-bit BLAKE2b hash of its URL as it is compared:
without scheme, `www.`, default port, fragment and a slash at the end, the host in lower case. Path
and query stay as they are, since servers tell their cases apart. A document without a URL has no
hash: it is nobody's duplicate. `exact.group_exact` finds who survives.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from transforms.dedup.exact import HASH_BYTES
from transforms.documents import DocumentBatch
from transforms.quality.url_lists import find_url

__all__ = ["UrlHash", "compared_url"]

# Scheme, user, host, port; then path and query; then the fragment.
_URL = re.compile(
    r"(?:https?:)?//(?:[^/?#@]*@)?(?:www\.)?([^/?#:@]+)(:\d*)?([/?][^#]*)?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!\d)")  # and no host with its port
_DEFAULT_PORTS = ("", ":", ":80", ":443")


def compared_url(url: str) -> str | None:
    """A URL as it is compared with others; None for one that is not of the web."""
    url = url.strip()
    whole = url.startswith("//") or _SCHEME.match(url)
    matched = _URL.fullmatch(url if whole else f"//{url}")
    if matched is None:
        return None
    host, port, rest = matched.groups(default="")
    host = host.lower().rstrip(".")
    shown = "" if port in _DEFAULT_PORTS else port
    return f"{host}{shown}{rest.rstrip('/')}" if host else None


@dataclass(frozen=True)
class UrlHash:
    """Annotator `url`: `url_hash`, BLAKE2b-128 of the URL of the metadata as it is compared; null
    where there is none."""

    name: ClassVar[str] = "url"
    version: ClassVar[int] = 1
    schema: ClassVar[pa.Schema] = pa.schema([pa.field("url_hash", pa.binary(HASH_BYTES))])

    def parameters(self) -> dict[str, Any]:
        return {}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        urls = [compared_url(find_url(one)) for one in batch.metadata]
        hashes = [
            None if url is None else hashlib.blake2b(url.encode(), digest_size=HASH_BYTES).digest()
            for url in urls
        ]
        column = pa.array(hashes, pa.binary(HASH_BYTES))
        return pa.record_batch([column], schema=self.schema)
