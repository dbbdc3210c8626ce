"""Split patterns against regular-expression engines, piece for piece."""

import itertools
import unicodedata

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from transforms.kernels import split
from transforms.kernels.split import PATTERNS, find_pattern, find_pieces, piece_classes
from transforms.kernels.words import read_only

CASES = [(pattern, expression) for pattern in PATTERNS for expression in pattern.expressions]
TRICKY = (
    " \t\n\r\f\x0b\x85\xa0\u3000\u2028'’sStTdDmMlLrRvVeE\u017f019٣Ⅳ²aAzéÉßﬁǅʰªか中ا"
    "\u0301\u0903!/.-_€\0😀\ue000\u212akﬅẞİ"
)


def assigned(char: str) -> bool:
    """The Python package regex may know newer characters than Unicode 16."""
    return unicodedata.category(char) not in ("Cn", "Cs")


texts = st.one_of(
    st.text(st.sampled_from(TRICKY), max_size=30),
    st.text(st.characters().filter(assigned), max_size=20),
    st.text(st.sampled_from(" \n'sSlLea1!/"), max_size=40),
)


def pack(documents: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Data and offsets as buffers of Arrow give them."""
    offsets = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    return np.frombuffer(b"".join(documents), np.uint8), read_only(offsets)


def pieces(text: str, kind: int, room: int = 1000) -> list[str]:
    data = text.encode()
    buffer, offsets = pack([data])
    found, at, ends = [], 0, np.empty(room, np.int64)
    while at < len(data):
        n, text_number, after = find_pieces(buffer, offsets, 0, at, kind, ends)
        assert text_number == (after == len(data))
        for end in ends[:n].tolist():
            found.append(data[at:end].decode())
            at = end
        assert at == after
    return found


@pytest.mark.parametrize(("pattern", "expression"), CASES, ids=lambda case: str(case)[:20])
@settings(deadline=None, max_examples=400)
@given(text=texts)
@example(text="it's IT'S it'ſ I'LL we've 'sure x'")
@example(text="a\n  ")
@example(text="a \n \n  b  c\r\n\r\nd \t")
@example(text="12345678 x1234 ٣٣٣٣")
@example(text="HelloWorld HTTPServer中A ́A ́a ǅabc'sX!\n//y")
@example(text="   'sx  !x\n\n!!\r\n")
def test_pieces_are_the_matches_of_the_expression(pattern, expression, text):
    assert pieces(text, pattern.kind) == [match[0] for match in regex.finditer(expression, text)]


def plain_split(name: str) -> pre_tokenizers.PreTokenizer:
    pattern = next(pattern for pattern in PATTERNS if pattern.name == name)
    return pre_tokenizers.Split(Regex(pattern.expressions[-1]), "isolated")


def byte_level(*before: pre_tokenizers.PreTokenizer) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(add_prefix_space=False)])


FORMS = {
    "llama3": plain_split("llama3"),
    "qwen2": plain_split("qwen2"),
    "o200k": plain_split("o200k"),
    "gpt2": byte_level(),
    "gpt2_numbers": byte_level(pre_tokenizers.Digits(individual_digits=False)),
    "gpt2_digits": byte_level(pre_tokenizers.Digits(individual_digits=True)),
}


@pytest.mark.parametrize("name", FORMS)
@settings(deadline=None, max_examples=300)
@given(text=st.one_of(texts, st.text(st.characters(exclude_categories=("Cs",)), max_size=20)))
@example(text="it's IT'S it'ſ I'LL 'ſx x'\u212a 12'ſ3")
@example(text="a  12 b'1s x²Ⅳ٣ \n3\r\n4\u30005  ")
@example(text="中文A ́A ́a ǅabc'sX!\n//y 各 8か月")
def test_pieces_are_those_of_the_tokenizers_library(name, text):
    kind = next(pattern.kind for pattern in PATTERNS if pattern.name == name)
    cut = [text[start:end] for _, (start, end) in FORMS[name].pre_tokenize_str(text)]
    assert pieces(text, kind) == cut


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
@settings(deadline=None, max_examples=50)
@given(text=texts)
def test_room_for_one_piece_at_a_time_gives_the_same_pieces(pattern, text):
    assert pieces(text, pattern.kind, room=1) == pieces(text, pattern.kind)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=30))
@example(data=b"'\xc5")
@example(data=b"a\xe4\xb8")
@example(data=b" \xf0\x9f\x98")
def test_malformed_utf8_is_cut_without_reading_past_the_end(pattern, data):
    offsets, ends = pack([data])[1], np.empty(100, np.int64)
    cuts = []
    for buffer in (data + b"\xbf\xbf\xbf", data):
        n, *_ = find_pieces(pack([buffer])[0], offsets, 0, 0, pattern.kind, ends)
        cuts.append([0, *ends[:n].tolist()])
    assert cuts[0] == cuts[1]
    assert cuts[0][-1] == len(data)
    assert all(a < b for a, b in itertools.pairwise(cuts[0]))


@settings(deadline=None, max_examples=100)
@given(texts_of_batch=st.lists(texts, max_size=6), room=st.integers(1, 12))
def test_pieces_of_a_batch_are_those_of_its_texts(texts_of_batch, room):
    kind = PATTERNS[0].kind
    packed = [text.encode() for text in texts_of_batch]
    data, offsets = pack(packed)
    d, i, found, ends = 0, 0, [], np.empty(room, np.int64)
    while d < len(packed):
        n, d, i = find_pieces(data, offsets, d, i, kind, ends)
        found.extend(ends[:n].tolist())
    cut = [len(piece.encode()) for text in texts_of_batch for piece in pieces(text, kind)]
    assert found == np.cumsum(cut).tolist()


@pytest.mark.parametrize(
    ("kind", "expression"),
    [
        (split.MARK, r"\p{M}"),
        (split.NUMBER, r"\p{N}"),
        (split.SPACE, r"[^\S\r\n]"),
        (split.NEWLINE, r"[\r\n]"),
        (split.UPPER, r"[\p{Lu}\p{Lt}]"),
        (split.LOWER, r"\p{Ll}"),
        (split.LETTER, r"[\p{Lm}\p{Lo}]"),
    ],
)
def test_classes_are_those_of_the_tokenizers_library(kind, expression):
    cut = pre_tokenizers.Split(Regex(expression + "+"), "removed")
    wanted = np.ones(split.CODE_POINTS, np.bool_)
    wanted[0xD800:0xE000] = False
    for first in range(0, split.CODE_POINTS, 1 << 16):
        codes = [c for c in range(first, first + (1 << 16)) if not 0xD800 <= c < 0xE000]
        for piece, _ in cut.pre_tokenize_str("".join(map(chr, codes))):
            wanted[[ord(char) for char in piece]] = False
    np.testing.assert_array_equal(piece_classes() == kind, wanted)


def test_an_unknown_expression_has_no_pattern():
    assert find_pattern(r"\w+|\s+") is None
    assert find_pattern(PATTERNS[0].expressions[0]) is PATTERNS[0]
