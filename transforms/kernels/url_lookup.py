"""URLs against lists of hosts, URLs, words and parts of words, by 64-bit hashes.

In: URLs of a batch in ASCII or UTF-8 (hosts that are not ASCII as punycode), and `UrlTables` of the
lists. Out: the first hit of each kind and where in the URL it stands. One reading of a URL serves
lists and documents alike: scheme, user and password, port, fragment, dots around the host and
slashes at the end are no part of it, and ASCII letters are compared in lower case; words and parts
of words are sought in all of the text, fragment and password too. A document's
host is also sought without a leading "www.", and URLs are compared without it. A list of n entries
hits a URL that is not in it with probability n / 2**64 a look-up: with 5 million entries once in
3.7 * 10**12. Time is linear in the URL (times the length of the longest part of a word sought).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit, uint64

from transforms.kernels.words import GOLDEN_RATIO, NGRAM_BASE, Words, find_words, mix, read_only

__all__ = [
    "KINDS",
    "MOST_ENTRY_BYTES",
    "UrlHits",
    "UrlTables",
    "find_entries",
    "hash_hosts",
    "hash_parts",
    "hash_phrases",
    "hash_urls",
    "look_up",
]

KINDS = ("domains", "subdomains", "urls", "words", "soft_words", "subwords")
DOMAIN, SUBDOMAIN, URL, WORD, SOFT_WORD, SUBWORD = range(len(KINDS))
MOST_ENTRY_BYTES = 255  # of a part of a word, without what is passed over


class UrlTables(NamedTuple):
    """Lists ready for look-ups: list l is hashes[bounds[l]:bounds[l + 1]], uint64, ascending, and
    holds entries of kinds[l] (int64, an index of KINDS, never that of "subdomains"). most_words:
    words of the longest phrase; starts bool[65536]: first two bytes (the first the higher) of parts
    of words that have two; lengths bool[256]: bytes that such parts have; subdomains: whether hosts
    below a listed one are sought."""

    hashes: npt.NDArray[np.uint64]
    bounds: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    most_words: int
    starts: npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.bool_]
    subdomains: bool


class UrlHits(NamedTuple):
    """Per URL and kind of KINDS, [urls, 6]: counts int64 (1 for the first hit of a kind, of soft
    words all), lists int64 (number of the list that holds the first, -1 where there is none),
    starts and ends int64 (bytes of the URL, half-open)."""

    counts: npt.NDArray[np.int64]
    lists: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


@njit(inline="always")
def _lower(c):  # type: ignore[no-untyped-def]
    return c | 0x20 if 65 <= c <= 90 else c


@njit(inline="always")
def _step(h, c):  # type: ignore[no-untyped-def]
    h = (h ^ uint64(c)) * GOLDEN_RATIO
    return h ^ (h >> uint64(29))


@njit(nogil=True, cache=True)
def _after_scheme(data, start, end):  # type: ignore[no-untyped-def]
    """Where what follows "scheme://" or "//" begins; `start` where there is no such thing."""
    i = start
    while i < end:
        c = _lower(data[i])
        if not (97 <= c <= 122 or (i > start and (48 <= c <= 57 or c == 43 or c == 45 or c == 46))):
            break
        i += 1
    if i > start:
        if i == end or data[i] != 58:
            return start
        i += 1
    return i + 2 if i + 1 < end and data[i] == 47 and data[i + 1] == 47 else start


@njit(nogil=True, cache=True)
def _split(data, start, end):  # type: ignore[no-untyped-def]
    """(host begins, its part behind "www." begins, host ends, path begins, path ends) of the URL
    data[start:end]; the path has the query and no fragment."""
    while start < end and data[start] <= 32:
        start += 1
    while end > start and data[end - 1] <= 32:
        end -= 1
    host = _after_scheme(data, start, end)
    path = host
    port = -1
    while path < end and data[path] not in (47, 63, 35, 92):
        if data[path] == 64:  # of several the last one ends the password
            host = path + 1
            port = -1
        elif data[path] == 58:
            port = path
        path += 1
    host_end = path
    if port >= host:
        host_end = port
        for i in range(port + 1, path):
            if not 48 <= data[i] <= 57:
                host_end = path  # a colon of an IPv6 address
    if host + 1 < host_end and data[host] == 42 and data[host + 1] == 46:
        host += 1  # "*." of a list
    while host < host_end and data[host] == 46:
        host += 1
    while host_end > host and data[host_end - 1] == 46:
        host_end -= 1
    bare = host
    if (
        host_end - host > 4
        and data[host + 3] == 46
        and _lower(data[host]) == 119
        and _lower(data[host + 1]) == 119
        and _lower(data[host + 2]) == 119
    ):
        for i in range(host + 4, host_end):
            if data[i] == 46:
                bare = host + 4
                break
    stop = path
    while stop < end and data[stop] != 35:
        stop += 1
    while stop > path and data[stop - 1] == 47:
        stop -= 1
    return host, bare, host_end, path, stop


@njit(nogil=True, cache=True)
def _url_hash(data, host, host_end, path, stop):  # type: ignore[no-untyped-def]
    h = uint64(0)
    for i in range(host, host_end):
        h = _step(h, _lower(data[i]))
    for i in range(path, stop):
        h = _step(h, _lower(data[i]))
    return mix(h)


@njit(nogil=True, cache=True)
def _hash_hosts(data, starts, ends, out):  # type: ignore[no-untyped-def]
    n = 0
    for k in range(len(starts)):
        host, _, host_end, _, _ = _split(data, starts[k], ends[k])
        if host_end > host:
            h = uint64(0)
            for i in range(host_end - 1, host - 1, -1):
                h = _step(h, _lower(data[i]))
            out[n] = mix(h)
            n += 1
    return n


@njit(nogil=True, cache=True)
def _hash_urls(data, starts, ends, out):  # type: ignore[no-untyped-def]
    for k in range(len(starts)):
        _, bare, host_end, path, stop = _split(data, starts[k], ends[k])
        out[k] = _url_hash(data, bare, host_end, path, stop)


@njit(inline="always")
def _passed_over(c):  # type: ignore[no-untyped-def]
    """Bytes within which parts of words are sought as if they were not there: "-" and "."."""
    return c == 45 or c == 46


@njit(nogil=True, cache=True)
def _hash_parts(data, starts, ends, out, first_bytes, lengths):  # type: ignore[no-untyped-def]
    n = 0
    for k in range(len(starts)):
        h = uint64(0)
        length = 0
        first = 0
        for i in range(starts[k], ends[k]):
            c = _lower(data[i])
            if not _passed_over(c):
                h = _step(h, c)
                if length < 2:
                    first = first << 8 | c
                length += 1
        if 0 < length <= MOST_ENTRY_BYTES:
            out[n] = mix(h)
            n += 1
            lengths[length] = True
            if length > 1:
                first_bytes[first] = True
    return n


@njit(nogil=True, cache=True)
def _hash_phrases(hashes, bounds, out):  # type: ignore[no-untyped-def]
    """(phrases, words of the longest) of words bounds[2 k]..bounds[2 k + 1]-1; what has no word is
    left out."""
    n = 0
    most = 0
    for k in range(0, len(bounds), 2):
        words = bounds[k + 1] - bounds[k]
        if words:
            h = uint64(0)
            for w in range(bounds[k], bounds[k + 1]):
                h = h * NGRAM_BASE + hashes[w]
            out[n] = mix(h)
            n += 1
            most = max(most, words)
    return n, most


@njit(nogil=True, cache=True)
def _find_entries(data, starts, ends):  # type: ignore[no-untyped-def]
    n = 0
    i = 0
    while i < len(data):
        start = i
        while i < len(data) and data[i] != 10:
            i += 1
        end = i
        i += 1
        while start < end and data[start] <= 32:
            start += 1
        while end > start and data[end - 1] <= 32:
            end -= 1
        if end > start and data[start] != 35:
            starts[n] = start
            ends[n] = end
            n += 1
    return n


def find_entries(
    data: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and ends int64[entries] of the lines of a list, white space at both ends aside; blank
    lines and those that begin with "#" are none."""
    data = read_only(data)
    most = int(np.count_nonzero(data == 10)) + 1
    starts, ends = np.empty(most, np.int64), np.empty(most, np.int64)
    found = _find_entries(data, starts, ends)
    return starts[:found], ends[:found]


_Places = npt.NDArray[np.int64]


def hash_hosts(
    data: npt.NDArray[np.uint8], starts: _Places, ends: _Places
) -> npt.NDArray[np.uint64]:
    """Hashes of the hosts of entries data[starts[k]:ends[k]]; those without a host are left out."""
    out = np.empty(len(starts), np.uint64)
    return out[: _hash_hosts(read_only(data), starts, ends, out)]


def hash_urls(
    data: npt.NDArray[np.uint8], starts: _Places, ends: _Places
) -> npt.NDArray[np.uint64]:
    """Hashes of entries that are URLs."""
    out = np.empty(len(starts), np.uint64)
    _hash_urls(read_only(data), starts, ends, out)
    return out


def hash_phrases(
    data: npt.NDArray[np.uint8], starts: _Places, ends: _Places
) -> tuple[npt.NDArray[np.uint64], int]:
    """Hashes of entries that are words or several in a row, and the most words of one."""
    out = np.empty(len(starts), np.uint64)
    if len(starts) == 0:
        return out, 0
    # Every other text is what stands between two entries.
    words = find_words(data, np.stack((starts, ends), axis=1).ravel())
    found, most = _hash_phrases(words.hashes, words.bounds, out)
    return out[:found], int(most)


def hash_parts(
    data: npt.NDArray[np.uint8],
    starts: _Places,
    ends: _Places,
    first_bytes: npt.NDArray[np.bool_],
    lengths: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint64]:
    """Hashes of entries that are parts of words; marks their first bytes and their lengths (see
    `UrlTables`). Entries without a byte or with more than MOST_ENTRY_BYTES are left out."""
    out = np.empty(len(starts), np.uint64)
    return out[: _hash_parts(read_only(data), starts, ends, out, first_bytes, lengths)]


@njit(nogil=True, cache=True)
def _list_with(tables, kind, wanted):  # type: ignore[no-untyped-def]
    """The first list of this kind that holds a hash, -1 where none does."""
    for one in range(len(tables.kinds)):
        if tables.kinds[one] != kind:
            continue
        low, high = tables.bounds[one], tables.bounds[one + 1]
        while low < high:
            middle = (low + high) >> 1
            if tables.hashes[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        if low < tables.bounds[one + 1] and tables.hashes[low] == wanted:
            return one
    return -1


@njit(nogil=True, cache=True)
def _note(hits, row, kind, one, start, end):  # type: ignore[no-untyped-def]
    """Count a hit; the first of its kind is kept, whatever comes later."""
    if hits.counts[row, kind] == 0:
        hits.lists[row, kind] = one
        hits.starts[row, kind] = start
        hits.ends[row, kind] = end
    hits.counts[row, kind] += 1


@njit(nogil=True, cache=True)
def _look_up(data, offsets, words, tables, wanted, hits):  # type: ignore[no-untyped-def]
    """`wanted` bool[6]: kinds of which there is a list."""
    for row in range(len(offsets) - 1):
        origin, end = offsets[row], offsets[row + 1]
        host, bare, host_end, path, stop = _split(data, origin, end)
        if wanted[DOMAIN] and host_end > host:
            # From the end: after each label the hash is that of a host above this one.
            h = uint64(0)
            exact, exact_at, below, below_at = -1, host, -1, host
            for i in range(host_end - 1, host - 1, -1):
                h = _step(h, _lower(data[i]))
                if i in (host, bare):
                    one = _list_with(tables, DOMAIN, mix(h))
                    if one >= 0:
                        exact, exact_at = one, i
                elif tables.subdomains and data[i - 1] == 46:
                    one = _list_with(tables, DOMAIN, mix(h))
                    if one >= 0:
                        below, below_at = one, i
            if exact >= 0:
                _note(hits, row, DOMAIN, exact, exact_at - origin, host_end - origin)
            if below >= 0:
                _note(hits, row, SUBDOMAIN, below, below_at - origin, host_end - origin)
        if wanted[URL] and host_end > host:
            one = _list_with(tables, URL, _url_hash(data, bare, host_end, path, stop))
            if one >= 0:
                _note(hits, row, URL, one, bare - origin, stop - origin)
        if wanted[WORD] or wanted[SOFT_WORD]:
            last = words.bounds[row + 1]
            for kind in (WORD, SOFT_WORD):
                first = words.bounds[row]
                while wanted[kind] and first < last:
                    h = uint64(0)
                    after = first + 1
                    for w in range(first, min(last, first + tables.most_words)):
                        h = h * NGRAM_BASE + words.hashes[w]
                        one = _list_with(tables, kind, mix(h))
                        if one >= 0:
                            to = words.ends[w] - origin
                            _note(hits, row, kind, one, words.starts[first] - origin, to)
                            after = w + 1
                            break
                    first = after
                    if kind == WORD and hits.counts[row, WORD]:
                        break
        if wanted[SUBWORD]:
            i = origin
            while i < end and hits.counts[row, SUBWORD] == 0:
                if not _passed_over(data[i]):
                    h = uint64(0)
                    length = 0
                    first_two = 0
                    for j in range(i, end):
                        c = _lower(data[j])
                        if _passed_over(c):
                            continue
                        h = _step(h, c)
                        length += 1
                        if length <= 2:
                            first_two = first_two << 8 | c
                            if length == 2 and not tables.starts[first_two]:
                                break
                        if length > MOST_ENTRY_BYTES:
                            break
                        if tables.lengths[length]:
                            one = _list_with(tables, SUBWORD, mix(h))
                            if one >= 0:
                                _note(hits, row, SUBWORD, one, i - origin, j + 1 - origin)
                                break
                i += 1


def look_up(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], tables: UrlTables
) -> UrlHits:
    """Look for what the lists hold in URLs data[offsets[u]:offsets[u + 1]]; see `UrlHits`.

    An empty URL has no hit. 192 bytes of memory a URL and those of its words.
    """
    data, offsets = read_only(data), read_only(offsets)
    urls = len(offsets) - 1
    shape = (urls, len(KINDS))
    hits = UrlHits(
        np.zeros(shape, np.int64),
        np.full(shape, -1, np.int64),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.int64),
    )
    wanted = np.zeros(len(KINDS), np.bool_)
    wanted[tables.kinds] = True
    if wanted[WORD] or wanted[SOFT_WORD]:
        words = find_words(data, offsets)
    else:
        nothing = np.empty(0, np.int64)
        words = Words(nothing.view(np.uint64), nothing, nothing, np.zeros_like(offsets))
    _look_up(data, offsets, words, tables, wanted, hits)
    return hits
