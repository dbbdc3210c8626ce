"""JSON objects that carry a digest of their own content, so that a changed one counts as none.

Records of tasks and manifests are such. A manifest lists up to hundreds of thousands of files, so
what is written for each is put together by hand: the bytes are those of
`json.dumps(value, indent=1, sort_keys=True)`, which takes 25 times as long.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from json.encoder import encode_basestring  # type: ignore[attr-defined]
from typing import Any

from transforms import storage

__all__ = ["fingerprint_of", "read_sealed", "sealed"]

FINGERPRINT_HEX = 16  # 64 bits
LISTED = "files"  # the key whose value is a list of flat objects, as many as there are shards


def fingerprint_of(value: Any) -> str:
    """16 hex digits of a JSON-able value; equal values have equal fingerprints, whatever the order
    of their keys."""
    encoded = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.blake2b(encoded.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()[
        :FINGERPRINT_HEX
    ]


def sealed(value: Mapping[str, Any]) -> bytes:
    """The object as JSON, a key a line, sorted, with the fingerprint of the rest of it as `digest`.

    Where there is `files` it is a list of objects that hold strings and integers.
    """
    files = value.get(LISTED, [])
    rest = {key: one for key, one in value.items() if key != LISTED}
    rest = json.loads(json.dumps(rest))  # as it will be read: a tuple is a list, 1 as a key is "1"
    if LISTED in value:
        rest[LISTED] = files
    rest["digest"] = fingerprint_of(rest)
    if files:
        rest[LISTED] = []
    text = json.dumps(rest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if not files:
        return text.encode()
    # One space stands before a key of this level, more before all others.
    before, empty, after = text.partition(f'\n "{LISTED}": []')
    return b"".join([before.encode(), empty[:-1].encode(), *_lines(files), b"\n ]", after.encode()])


def _lines(files: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """What stands between the brackets of a list of flat objects, in blocks."""
    keys: tuple[str, ...] = ()
    template, separator = "", "\n"
    for file in files:
        if tuple(file) != keys:
            keys = tuple(file)
            named = (
                f"   {encode_basestring(key).replace('%', '%%')}: %({key})s" for key in sorted(keys)
            )
            template = "  {\n" + ",\n".join(named) + "\n  }"
        shown = {
            key: encode_basestring(one) if isinstance(one, str) else one
            for key, one in file.items()
        }
        yield (separator + template % shown).encode()
        separator = ",\n"


def read_sealed(path: str) -> dict[str, Any]:
    """What `sealed` gave and was stored, without its digest. DamagedFile when it is no JSON object
    or has another digest than it says."""
    value = storage.read_json(path)
    rest = dict(value) if isinstance(value, dict) else {}
    try:
        good = rest.pop("digest", None) == fingerprint_of(rest)
    except ValueError:  # NaN, say
        good = False
    if not good:
        raise storage.DamagedFile(f"{path} was cut or changed: delete it and run again")
    return rest
