"""E-mail addresses, IP addresses and telephone numbers in texts, found in one pass over the bytes.

In: texts of a batch. Out: spans of each kind, bytes from the start of each text. What counts is
written beside each search below. Characters are judged by the tables of the running Python: letters
of any script in e-mail addresses, decimal digits of any script in telephone numbers. Every place is
looked at a bounded number of times, so time is linear in the text whatever it holds. Dolma's tagger
`pii_regex_with_counts_fast_v2` looks for the same three kinds; docs/rules.md lists what differs.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from transforms.kernels.cut import Spans
from transforms.kernels.lines import last_code_point
from transforms.kernels.unicode import (
    MARK,
    NO_DIGIT,
    WORD,
    class_table,
    decode,
    digit_table,
    is_word_character,
)
from transforms.kernels.words import read_only

__all__ = ["Pii", "find_pii"]

MOST_LOCAL_CHARACTERS = 64  # of an e-mail address before "@" (RFC 5321, 4.5.3.1.1: octets)
MOST_DOMAIN_CHARACTERS = 253  # of a domain name (RFC 1035)
LEAST_PHONE_DIGITS, MOST_PHONE_DIGITS = 8, 15  # of an international number (E.164: at most 15)
LEAST_SHORTENED_GROUPS = 3  # of an IPv6 address with "::"; "1::2" is a slice of Python
EMAIL, IP_ADDRESS, PHONE_NUMBER = range(3)
_AT, _COLON, _PLUS, _PARENTHESIS, _DIGIT, _OTHER_DIGIT = range(1, 7)  # what a byte may belong to
_FIRST_CAPACITY = 256  # spans


class Pii(NamedTuple):
    """Spans of each kind; of one kind they are ascending and disjoint."""

    emails: Spans
    ip_addresses: Spans
    phone_numbers: Spans


@cache
def _triggers() -> npt.NDArray[np.uint8]:
    """uint8[256]: at which bytes something can be found, 0 for the others."""
    table = np.zeros(256, np.uint8)
    for code in np.flatnonzero(digit_table() <= 9).tolist():
        table[chr(code).encode()[0]] = _DIGIT if code < 0x80 else _OTHER_DIGIT
    for char, kind in (("@", _AT), (":", _COLON), ("+", _PLUS), ("(", _PARENTHESIS)):
        table[ord(char)] = kind
    return table


@njit(inline="always")
def _word_before(data, start, i, classes):  # type: ignore[no-untyped-def]
    return i > start and is_word_character(last_code_point(data, start, i), classes)


@njit(inline="always")
def _word_at(data, i, end, classes):  # type: ignore[no-untyped-def]
    return i < end and is_word_character(decode(data, i, end)[0], classes)


@njit(inline="always")
def _digit_at(data, i, end, digits):  # type: ignore[no-untyped-def]
    """(value, bytes) of the decimal digit at data[i], value above 9 where there is none."""
    if i >= end:
        return np.uint8(NO_DIGIT), 0
    code, width = decode(data, i, end)
    return digits[code], width


# E-mail addresses: a name of letters, digits, marks and . _ % + -, beginning with a letter, a
# digit or "_" that none of them stands before, of at most MOST_LOCAL_CHARACTERS; "@"; a domain.
# Ideographs are not part of either, since they follow without a blank.


@njit(inline="always")
def _in_name(code, classes):  # type: ignore[no-untyped-def]
    kind = classes[code]
    return kind in (WORD, MARK) or code == 95


@njit(nogil=True, cache=True)
def _email_start(data, start, floor, at, classes):  # type: ignore[no-untyped-def]
    """Where the name before the "@" at data[at] begins, -1 where there is none. The text begins at
    `start`, what is not taken yet at `floor`."""
    best = -1
    i = at
    for _ in range(MOST_LOCAL_CHARACTERS):
        if i <= floor:
            break
        code = last_code_point(data, start, i)
        if not (_in_name(code, classes) or code in (46, 37, 43, 45)):
            break
        i -= 1
        while i > floor and data[i] & 0xC0 == 0x80:
            i -= 1
        begins = classes[code] != MARK and _in_name(code, classes)
        if begins and (i == start or not _in_name(last_code_point(data, start, i), classes)):
            best = i
    return best


@njit(nogil=True, cache=True)
def _domain_end(data, i, end, classes, digits):  # type: ignore[no-untyped-def]
    """Where the domain that begins at data[i] ends, -1 where there is none.

    Labels of letters, digits and marks, with hyphens inside, joined by dots; it ends with the last
    label but the first that has two characters or more, none of them a digit or hyphen, or that
    begins with "xn--".
    """
    best = -1
    labels = 0
    characters = 0
    while True:
        first = i
        length = 0
        plain = True
        while i < end:
            if data[i] == 45 and length > 0:
                after = i
                while after < end and data[after] == 45:
                    after += 1
                if after == end or classes[decode(data, after, end)[0]] not in (WORD, MARK):
                    break
                length += after - i
                plain = False
                i = after
            code, width = decode(data, i, end)
            if classes[code] != WORD and classes[code] != MARK:
                break
            plain &= digits[code] == NO_DIGIT
            length += 1
            i += width
        characters += length
        if length == 0 or characters > MOST_DOMAIN_CHARACTERS:
            return best
        labels += 1
        punycode = (
            length > 4
            and data[first] | 0x20 == 120
            and data[first + 1] | 0x20 == 110
            and data[first + 2] == 45
            and data[first + 3] == 45
        )
        if labels > 1 and length > 1 and (plain or punycode):
            best = i
        if i >= end or data[i] != 46:
            return best
        characters += 1
        i += 1


# IP addresses: four numbers of 0 to 255 without leading zeros, or eight groups of up to four
# hexadecimal digits, or LEAST_SHORTENED_GROUPS to seven of them, one of which holds a digit of 0
# to 9, with "::" for those left out. No word character touches them, and neither does "." (before
# them, or behind them with a word character that follows), so that parts of longer numbers
# (versions, sections) are none; nor does ":" touch the hexadecimal ones.


@njit(nogil=True, cache=True)
def _ipv4_end(data, i, end):  # type: ignore[no-untyped-def]
    for part in range(4):
        value = 0
        first = i
        while i < end and i - first < 4 and 48 <= data[i] <= 57:
            value = value * 10 + data[i] - 48
            i += 1
        length = i - first
        if length == 0 or length > 3 or value > 255 or (length > 1 and data[first] == 48):
            return -1
        if part < 3:
            if i >= end or data[i] != 46:
                return -1
            i += 1
    return i


@njit(inline="always")
def _is_hex(c):  # type: ignore[no-untyped-def]
    return 48 <= c <= 57 or 97 <= c <= 102 or 65 <= c <= 70


@njit(nogil=True, cache=True)
def _ipv6_end(data, i, end):  # type: ignore[no-untyped-def]
    groups = 0
    shortened = False
    digit = False
    if data[i] == 58:  # the caller saw a second one
        shortened = True
        i += 2
    while True:
        first = i
        while i < end and i - first < 5 and _is_hex(data[i]):
            digit |= data[i] <= 57
            i += 1
        if i - first > 4 or groups > 8:
            return -1
        if i == first:
            break  # behind "::"
        groups += 1
        if groups == 8 and not shortened:
            break  # whole, whatever follows
        if i + 1 < end and data[i] == 58 and data[i + 1] == 58:
            if shortened:
                break
            shortened = True
            i += 2
        elif i + 1 < end and data[i] == 58 and _is_hex(data[i + 1]):
            i += 1
        else:
            break
    if shortened:
        return i if digit and LEAST_SHORTENED_GROUPS <= groups <= 7 else -1
    return i if groups == 8 else -1


@njit(nogil=True, cache=True)
def _ip_may_start(data, start, i, classes, colon):  # type: ignore[no-untyped-def]
    if i == start:
        return True
    code = last_code_point(data, start, i)
    return not (is_word_character(code, classes) or code == 46 or code == colon)


@njit(nogil=True, cache=True)
def _ip_may_end(data, i, end, classes, colon):  # type: ignore[no-untyped-def]
    if i < end and (data[i] == 46 or data[i] == colon):
        i += 1
    return not _word_at(data, i, end, classes)


# Telephone numbers of North America: "+1" with a separator or none, "1" with one, or neither; an
# area code, in parentheses or not, up to three separators, the exchange, a separator or none, and
# four digits; area code and exchange begin with 2 to 9. Ten bare digits are none: most are
# integers. International ones: "+", then LEAST_PHONE_DIGITS to MOST_PHONE_DIGITS digits, the
# first not 0, with up to three separators, parentheses or slashes between two of them. Neither
# touches a word character.


@njit(nogil=True, cache=True)
def _separator_at(data, i, end):  # type: ignore[no-untyped-def]
    """Bytes of the separator at data[i], 0 where there is none: a hyphen, dot or blank, also a
    hyphen or dash of U+2010 to U+2013 and a blank of U+00A0 or U+202F."""
    if i >= end:
        return 0
    if data[i] < 0x80:
        return 1 if data[i] in (45, 46, 32) else 0
    code, width = decode(data, i, end)
    return width if code == 0xA0 or code == 0x202F or 0x2010 <= code <= 0x2013 else 0


@njit(nogil=True, cache=True)
def _digits_end(data, i, end, digits, count, least):  # type: ignore[no-untyped-def]
    """Where `count` digits end that begin at data[i], the first of at least `least`; -1 where there
    are fewer."""
    for k in range(count):
        value, width = _digit_at(data, i, end, digits)
        if value > 9 or (k == 0 and value < least):
            return -1
        i += width
    return i


@njit(nogil=True, cache=True)
def _national_end(data, i, end, classes, digits):  # type: ignore[no-untyped-def]
    first = i
    plus = data[i] == 43
    i += plus
    value, width = _digit_at(data, i, end, digits)
    if plus and value != 1:
        return -1
    if value == 1:
        i += width
        separator = _separator_at(data, i, end)
        if separator == 0 and not plus:
            return -1
        i += separator
    parenthesis = i < end and data[i] == 40
    area = _digits_end(data, i + parenthesis, end, digits, 3, 2)
    if area < 0:
        return -1
    if parenthesis:
        if area == end or data[area] != 41:
            return -1
        area += 1
    i = area
    for _ in range(3):
        i += _separator_at(data, i, end)
    exchange = _digits_end(data, i, end, digits, 3, 2)
    if exchange < 0:
        return -1
    line = exchange + _separator_at(data, exchange, end)
    if i == area and line == exchange and data[first] not in (40, 43) and value != 1:
        return -1
    i = _digits_end(data, line, end, digits, 4, 0)
    if i < 0 or i == end:
        return i
    if data[i] == 64 or _word_at(data, i, end, classes):
        return -1
    if (data[i] == 45 or data[i] == 46) and _digit_at(data, i + 1, end, digits)[0] <= 9:
        return -1  # a part of a longer number
    return i


@njit(nogil=True, cache=True)
def _international_end(data, i, end, classes, digits):  # type: ignore[no-untyped-def]
    value, width = _digit_at(data, i + 1, end, digits)
    if value == 0 or value > 9:
        return -1
    i += 1 + width
    best = -1
    for count in range(2, MOST_PHONE_DIGITS + 1):
        for _ in range(3):
            if i < end and data[i] in (40, 41, 47):
                i += 1
            else:
                i += _separator_at(data, i, end)
        value, width = _digit_at(data, i, end, digits)
        if value > 9:
            break
        i += width
        if count >= LEAST_PHONE_DIGITS and (
            i == end or not (data[i] == 64 or _word_at(data, i, end, classes))
        ):
            best = i
    return best


@njit(nogil=True, cache=True)
def _national_may_start(data, start, i, classes):  # type: ignore[no-untyped-def]
    """Not behind a word character, nor behind what says that the number goes on or is none."""
    if i == start:
        return True
    code = last_code_point(data, start, i)
    # + - . / = # $ % @
    return not (is_word_character(code, classes) or code in (43, 45, 46, 47, 61, 35, 36, 37, 64))


@njit(nogil=True, cache=True)
def _put(found, n, kind, start, end):  # type: ignore[no-untyped-def]
    """Write a span behind the first n; gives the array, which may be a larger one."""
    if n == len(found):
        larger = np.empty((2 * n, 3), np.int64)
        larger[:n] = found
        found = larger
    found[n, 0], found[n, 1], found[n, 2] = kind, start, end
    return found


@njit(nogil=True, cache=True)
def _find(data, offsets, triggers, classes, digits, counts):  # type: ignore[no-untyped-def]
    """int64[spans, 3]: kind, start, end; counts int64[documents, 3] is filled."""
    found = np.empty((_FIRST_CAPACITY, 3), np.int64)
    n = 0
    for d in range(len(offsets) - 1):
        start, end = offsets[d], offsets[d + 1]
        emails, addresses, phones = start, start, start  # what is not taken yet, by kind
        for i in range(start, end):
            trigger = triggers[data[i]]
            if trigger == 0:
                continue
            if trigger == _AT:
                begin = _email_start(data, start, emails, i, classes)
                if begin < 0:
                    continue
                to = _domain_end(data, i + 1, end, classes, digits)
                if to >= 0:
                    found = _put(found, n, EMAIL, begin - start, to - start)
                    n += 1
                    counts[d, EMAIL] += 1
                    emails = to
            elif trigger == _COLON:
                if i + 1 == end or i < addresses or not (data[i + 1] == 58 or _is_hex(data[i + 1])):
                    continue
                begin = i
                while begin > addresses and i - begin < 5 and _is_hex(data[begin - 1]):
                    begin -= 1
                if i - begin > 4 or (i == begin and data[i + 1] != 58):
                    continue
                if not _ip_may_start(data, start, begin, classes, 58):
                    continue
                to = _ipv6_end(data, begin, end)
                if to >= 0 and _ip_may_end(data, to, end, classes, 58):
                    found = _put(found, n, IP_ADDRESS, begin - start, to - start)
                    n += 1
                    counts[d, IP_ADDRESS] += 1
                    addresses = to
            else:
                if trigger >= _DIGIT and i > start and 48 <= data[i - 1] <= 57:
                    continue  # inside a number
                if trigger == _DIGIT and i >= addresses:
                    to = _ipv4_end(data, i, end)
                    if (
                        to >= 0
                        and _ip_may_start(data, start, i, classes, 46)
                        and _ip_may_end(data, to, end, classes, 46)
                    ):
                        found = _put(found, n, IP_ADDRESS, i - start, to - start)
                        n += 1
                        counts[d, IP_ADDRESS] += 1
                        addresses = to
                if i < phones:
                    continue
                to = -1
                if trigger == _PLUS:
                    if not (
                        (i > start and data[i - 1] == 43) or _word_before(data, start, i, classes)
                    ):
                        to = _national_end(data, i, end, classes, digits)
                        if to < 0:
                            to = _international_end(data, i, end, classes, digits)
                elif _national_may_start(data, start, i, classes):
                    to = _national_end(data, i, end, classes, digits)
                if to >= 0:
                    found = _put(found, n, PHONE_NUMBER, i - start, to - start)
                    n += 1
                    counts[d, PHONE_NUMBER] += 1
                    phones = to
    return found[:n]


def find_pii(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Pii:
    """Find e-mail addresses, IP addresses and telephone numbers of documents
    data[offsets[d]:offsets[d + 1]]; see `Pii`.

    Spans of two kinds may overlap. Memory: 49 bytes a span at most, 24 bytes a document; a span
    has 6 bytes of text at least.
    """
    counts = np.zeros((len(offsets) - 1, 3), np.int64)
    found = _find(
        read_only(data), read_only(offsets), _triggers(), class_table(), digit_table(), counts
    )
    kinds = []
    for kind in (EMAIL, IP_ADDRESS, PHONE_NUMBER):
        bounds = np.zeros(len(offsets), np.int64)
        np.cumsum(counts[:, kind], out=bounds[1:])
        its = found[:, 0] == kind
        kinds.append(Spans(bounds, found[its, 1], found[its, 2]))
    return Pii(*kinds)
