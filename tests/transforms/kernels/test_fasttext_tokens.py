import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.fasttext_tokens import divide_tokens, find_tokens, hash_byte_strings

BLANKS = " \n\r\t\v\f\0"
TEXTS = st.lists(
    st.sampled_from([*BLANKS, "</s>", "<", "<<", "</", "a", "ab", "\xa0", "\u3000", "\x1c", "\x85"])
    | st.characters(codec="utf-8"),
    max_size=60,
).map("".join)


def batch(texts):
    """Texts between others, so that offsets do not start at 0."""
    encoded = [text.encode() for text in ("before", *texts, "after")]
    offsets = np.array([0, *itertools.accumulate(map(len, encoded))], np.int64)[1:-1]
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def plain_hash(token):
    h = 2166136261
    for byte in token:
        h = ((h ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
    return h


def plain_tokens(text):
    text = text.replace("</s>", " ")
    for blank in BLANKS:
        text = text.replace(blank, " ")
    return [token.encode() for token in text.split(" ") if token]


def seen(data, tokens):
    """Tokens per document, as bytes; hashes are compared on the way."""
    found = [
        bytes(data[start : start + length])
        for start, length in zip(tokens.starts.tolist(), tokens.lengths.tolist(), strict=True)
    ]
    assert tokens.hashes.tolist() == [plain_hash(token) for token in found]
    return [found[a:b] for a, b in itertools.pairwise(tokens.bounds.tolist())]


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_tokens_are_those_of_a_plain_reading(texts):
    data, offsets = batch(texts)
    tokens = find_tokens(data, offsets)
    assert seen(data, tokens) == [plain_tokens(text) for text in texts]


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5), st.integers(4, 40))
def test_divided_tokens_are_those_of_a_plain_reading_of_the_beginning(texts, most_bytes):
    data, offsets = batch(texts)
    tokens = divide_tokens(data, offsets, find_tokens(data, offsets), most_bytes)
    expected = []
    for text in texts:
        # "</s>" is a blank where it stands whole, even if it is cut afterwards.
        beginning = text.replace("</s>", "    ").encode()[:most_bytes].decode(errors="ignore")
        for blank in BLANKS:
            beginning = beginning.replace(blank, " ")
        expected.append([token.encode() for token in beginning.split()])
    assert seen(data, tokens) == expected


def test_tokens_without_other_white_space_are_not_copied():
    data, offsets = batch(["one two", "three"])
    tokens = find_tokens(data, offsets)
    assert divide_tokens(data, offsets, tokens, 100) is tokens
    assert divide_tokens(data, offsets, tokens, 6) is not tokens


def test_known_hashes():
    """FNV-1a of short strings, and of bytes above 127, which fastText takes as negative."""
    data = np.frombuffer(b"a</s>\xc3\xa9", np.uint8)
    hashes = hash_byte_strings(data, np.array([0, 0, 1, 5, 7], np.int64))
    assert hashes.tolist() == [2166136261, 0xE40C292C, *map(plain_hash, (b"</s>", b"\xc3\xa9"))]
