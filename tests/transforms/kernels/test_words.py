import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.unicode import IDEOGRAPH, INVISIBLE, MARK, WORD, class_table
from transforms.kernels.words import find_words, hash_words, roll_ngrams

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text("aB1é\u0301日の한 .-_'\n😀\xad\u200b"),
)
MASK = 2**64 - 1


def words_of(text):
    """The twin: words of a text, by Python's own predicates."""
    words, current = [], ""
    for char in text:
        kind = class_table()[ord(char)]
        if kind == WORD or (kind == MARK and current):
            current += char
            continue
        if kind == INVISIBLE and current:
            continue
        if current:
            words.append(current)
        current = ""
        if kind == IDEOGRAPH:
            words.append(char)
    return [*words, current] if current else words


def visible(word):
    return "".join(char for char in word if class_table()[ord(char)] != INVISIBLE)


def hash_of(word):
    """The twin of a word's hash: lower case, multiply and shift, MurmurHash3's finaliser."""
    h = 0
    for char in word:
        lowered = char.lower() if len(char.lower()) == 1 else char
        h = ((h ^ ord(lowered)) * 0x9E3779B97F4A7C15) & MASK
        h ^= h >> 29
    return mixed(h)


def mixed(h):
    h = ((h ^ h >> 33) * 0xFF51AFD7ED558CCD) & MASK
    h = ((h ^ h >> 33) * 0xC4CEB9FE1A85EC53) & MASK
    return h ^ h >> 33


def batch_of(texts, before=b""):
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    offsets = len(before) + np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(before + b"".join(encoded), np.uint8), offsets.astype(np.int64)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" .,-\n", []),
        ("Don't stop", ["Don", "t", "stop"]),
        ("snake_case x2", ["snake", "case", "x2"]),
        ("e\u0301t\u00e9", ["e\u0301t\u00e9"]),
        ("\u0301a", ["a"]),
        ("日本のカナ", ["日", "本", "の", "カナ"]),
        ("x日y", ["x", "日", "y"]),
        ("so\xadft \u200bx\u200b y", ["so\xadft", "x", "y"]),
    ],
)
def test_words_of_small_texts(text, words):
    data, offsets = batch_of([text])
    found = find_words(data, offsets)
    spans = zip(found.starts, found.ends, strict=True)
    assert [bytes(data[start:end]).decode() for start, end in spans] == words


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5), st.binary(max_size=5))
def test_words_and_hashes_equal_the_twins(texts, before):
    data, offsets = batch_of(texts, before)
    found = find_words(data, offsets)
    for d, text in enumerate(texts):
        span = slice(found.bounds[d], found.bounds[d + 1])
        places = zip(found.starts[span], found.ends[span], strict=True)
        words = words_of(text)
        seen = [bytes(data[start:end]).decode() for start, end in places]
        assert [visible(word) for word in seen] == words
        assert found.hashes[span].tolist() == [hash_of(word) for word in words]
    assert found.bounds[-1] == len(found.hashes)


@settings(deadline=None)
@given(TEXTS)
def test_a_word_hashes_alike_alone_and_in_a_batch(text):
    found = find_words(*batch_of(["x y", text, "z"]))
    assert (found.hashes[2:-1] == hash_words(text)).all()


def test_what_cannot_be_seen_does_not_change_a_hash():
    assert (hash_words("so\xadft zero\u200bwidth\ufeff") == hash_words("soft zerowidth")).all()


def test_case_does_not_change_a_hash():
    assert (hash_words("Straße ÉTÉ") == hash_words("straße été")).all()


def test_a_character_whose_lower_case_is_longer_stands_for_itself():
    assert hash_words("\u0130")[0] != hash_words("i\u0307")[0]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), max_size=4), st.binary(max_size=4), st.binary(max_size=4))
def test_malformed_bytes_are_read_within_their_document(documents, tail, other):
    data, offsets = batch_of(documents)
    found = find_words(np.concatenate((data, np.frombuffer(tail, np.uint8))), offsets)
    again = find_words(np.concatenate((data, np.frombuffer(other, np.uint8))), offsets)
    for column, same in zip(found, again, strict=True):
        assert column.tolist() == same.tolist()
    for d in range(len(documents)):
        span = slice(found.bounds[d], found.bounds[d + 1])
        assert (found.starts[span] >= offsets[d]).all()
        assert (found.ends[span] <= offsets[d + 1]).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, MASK), max_size=12), st.integers(1, 13))
def test_rolled_ngrams_equal_ngrams_hashed_one_by_one(hashes, n):
    out = np.zeros(max(0, len(hashes) - n + 1), np.uint64)
    roll_ngrams(np.array(hashes, np.uint64), n, out)
    expected = []
    for k in range(len(hashes) - n + 1):
        h = 0
        for word in hashes[k : k + n]:
            h = (h * 0x2545F4914F6CDD1D + word) & MASK
        expected.append(mixed(h))
    assert out.tolist() == expected
