import unicodedata

import numpy as np
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from transforms.kernels.unicode import (
    CODE_POINTS,
    FOLD_INDEX,
    IDEOGRAPH,
    INVISIBLE,
    MARK,
    NO_DIGIT,
    OTHER,
    REPLACEMENT,
    SPACE,
    WORD,
    class_table,
    decode,
    digit_table,
    fold_table,
    lower_table,
    upper_table,
)

EVERY = "".join(chr(code) for code in range(CODE_POINTS) if not 0xD800 <= code < 0xE000)
IGNORABLE = frozenset(regex.findall(r"\p{Default_Ignorable_Code_Point}", EVERY))


@njit
def decode_all(data, start, end):
    codes, widths = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    while start < end:
        code, width = decode(data, start, end)
        codes.append(np.int64(code))
        widths.append(np.int64(width))
        start += width
    return codes, widths


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_valid_utf8_decodes_to_the_code_points_of_the_string(text):
    encoded = text.encode()
    codes, widths = decode_all(np.frombuffer(encoded + b"\x80", np.uint8), 0, len(encoded))
    assert list(codes) == [ord(char) for char in text]
    assert list(widths) == [len(char.encode()) for char in text]


def test_every_code_point_that_utf8_can_hold_decodes():
    points = [code for code in range(CODE_POINTS) if not 0xD800 <= code < 0xE000]
    encoded = "".join(map(chr, points)).encode()
    codes, _ = decode_all(np.frombuffer(encoded, np.uint8), 0, len(encoded))
    assert list(codes) == points


@settings(deadline=None)
@given(st.binary(max_size=40), st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4))
def test_malformed_bytes_decode_alike_whatever_stands_past_the_end(data, tail, other):
    first = decode_all(np.frombuffer(data + tail, np.uint8), 0, len(data))
    second = decode_all(np.frombuffer(data + other, np.uint8), 0, len(data))
    assert list(first[0]) == list(second[0])
    assert sum(first[1]) == len(data), "a sequence that is cut counts as one byte"
    assert all(0 <= code < CODE_POINTS for code in first[0]), "tables are indexed by code point"


def test_a_truncated_sequence_is_one_replacement_a_byte():
    for text in ("é", "日", "😀"):
        cut = text.encode()[:-1]
        codes, widths = decode_all(np.frombuffer(cut, np.uint8), 0, len(cut))
        assert list(codes) == [REPLACEMENT] * len(cut)
        assert list(widths) == [1] * len(cut)


def test_classes_are_those_of_the_running_python():
    table = class_table()
    for code in range(0, CODE_POINTS):
        char = chr(code)
        if table[code] in (WORD, IDEOGRAPH):
            assert char.isalnum()
        elif table[code] == SPACE:
            assert char.isspace()
            assert not char.isalnum()
        elif table[code] == MARK:
            assert unicodedata.category(char).startswith("M")
        else:
            assert table[code] == (INVISIBLE if char in IGNORABLE else OTHER)
            assert char in IGNORABLE or not (char.isalnum() or char.isspace())


def test_each_kind_has_the_members_that_a_reader_expects():
    table = class_table()
    expected = {WORD: "aZ9é½カ한ا", SPACE: " \n\t\u3000\u2028", MARK: "\u0301\u0e31\u20dd"}
    expected |= {IDEOGRAPH: "日の𠀀", OTHER: "._-'€😀\x00", INVISIBLE: IGNORABLE}
    for kind, chars in expected.items():
        assert {char: int(table[ord(char)]) for char in chars} == dict.fromkeys(chars, kind)


def test_ideographs_are_the_letters_and_numbers_of_han_and_hiragana():
    table = class_table()
    assigned = (char for char in EVERY if unicodedata.category(char) != "Cn")
    for char in assigned:
        if char.isalnum() and regex.match(r"[\p{Script=Han}\p{Script=Hiragana}]", char):
            assert table[ord(char)] == IDEOGRAPH, (char, unicodedata.name(char))
        elif table[ord(char)] == IDEOGRAPH:  # compatibility forms that several scripts share
            assert unicodedata.name(char).startswith(("CJK ", "HIRAGANA ", "IDEOGRAPHIC "))


def test_lower_case_is_that_of_python_where_it_is_one_code_point():
    table = lower_table()
    for code in range(CODE_POINTS):
        lowered = chr(code).lower()
        assert table[code] == (ord(lowered) if len(lowered) == 1 else code)


def test_upper_case_is_that_of_python():
    table = upper_table()
    assert [code for code in range(CODE_POINTS) if table[code] != chr(code).isupper()] == []


def test_digits_are_those_of_the_running_python():
    table = digit_table()
    for code in range(CODE_POINTS):
        char = chr(code)
        value = int(char) if char.isdecimal() else 10 if char.isdigit() else NO_DIGIT
        assert table[code] == value


def folding(code):
    """A folding as the table has it."""
    table, longer = fold_table()
    value = int(table[code])
    if value >= FOLD_INDEX:
        place = value - FOLD_INDEX
        return bytes(longer[place + 1 : place + 1 + int(longer[place])]).decode()
    return value.to_bytes(4, "little").rstrip(b"\0").decode()


def test_every_code_point_of_a_word_folds_to_what_is_in_words_and_folds_to_itself():
    classes = class_table()
    for code in range(CODE_POINTS):
        folded = folding(code)
        assert bool(folded) == (classes[code] in (WORD, MARK, IDEOGRAPH))
        for char in folded:
            assert classes[ord(char)] in (WORD, MARK, IDEOGRAPH)
            assert folding(ord(char)) == char


def test_foldings_are_the_case_folded_compatibility_decompositions():
    expected = {"A": "a", "ß": "ss", "é": "e\u0301", "Ａ": "a", "ﬁ": "fi", "²": "2", "Ⅷ": "viii"}
    expected |= {"ς": "σ", "µ": "μ", "한": "\u1112\u1161\u11ab", "ﬃ": "ffi", "İ": "i\u0307"}
    expected |= {"½": "½", "⑴": "⑴", "Ŀ": "ŀ", "日": "日", "\uf900": "豈", "\u0345": "ι"}
    assert {char: folding(ord(char)) for char in expected} == expected
