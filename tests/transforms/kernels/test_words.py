import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels import words as kernel
from transforms.kernels.unicode import IDEOGRAPH, INVISIBLE, MARK, WORD, class_table
from transforms.kernels.words import find_words, hash_words, roll_ngrams

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text("aB1\u00e9\u0301日の한 .-_'\n😀\xad\u200b"),
    st.text("aZ09 .@[`{/:\u00e9", min_size=6),  # neighbours of letters and digits, eight at a time
    st.text("\ufb01\uff21\u00df\u1e9b\u0323\u2167\u00bd\u00b2が\u3099葛\ufe00a "),
)
MASK = 2**64 - 1


def words_of(text):
    """The twin: words of a text, by Python's own predicates."""
    words, current, alone = [], "", False
    for char in text:
        kind = class_table()[ord(char)]
        if kind == INVISIBLE and current:
            continue
        if current and (kind == MARK or (kind == WORD and not alone)):
            current += char
            continue
        if current:
            words.append(current)
        current = char if kind in (WORD, IDEOGRAPH) else ""
        alone = kind == IDEOGRAPH
    return [*words, current] if current else words


def visible(word):
    return "".join(char for char in word if class_table()[ord(char)] != INVISIBLE)


def in_word(text):
    return all(char.isalnum() or class_table()[ord(char)] == MARK for char in text)


def folded(char):
    """The twin of a character's folding, as Unicode's D146 has it."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", char).casefold())
    plain = unicodedata.normalize("NFKD", plain.casefold())
    if not in_word(plain):
        plain = char.casefold()
    return plain if in_word(plain) else char


def hash_of(word):
    """The twin of a word's hash: UTF-8 of the foldings, eight bytes at a time."""
    encoded = "".join(map(folded, word)).encode()
    h = 0
    for k in range(0, len(encoded), 8):
        h = mixed(h ^ int.from_bytes(encoded[k : k + 8], "little"))
    return h


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
        ("か\u3099葛\ufe00x", ["か\u3099", "葛", "x"]),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße ÉTÉ ΣΟΦΟΣ", "STRASSE été σοφος"),
        ("caf\u00e9 \u0439 が 한", unicodedata.normalize("NFD", "caf\u00e9 \u0439 が 한")),
        ("ｆｕｌｌ　ｗｉｄｔｈ １２", "full width 12"),
        ("ﬁnd eﬀort o\ufb03ce", "find effort office"),
        ("x² H₂O 𝑥 ℝ ℎ Ⅷ", "x2 h2o x r h viii"),
        ("ｶﾞ", "ガ"),
    ],
)
def test_what_reads_alike_hashes_alike(one, other):
    assert hash_words(one).tolist() == hash_words(other).tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cafe", "café"),
        ("и", "й"),
        ("か", "が"),
        ("½", "12"),
        ("⑴", "1"),
        ("ab", "ba"),
        ("a", "aa"),
    ],
)
def test_what_reads_otherwise_hashes_otherwise(one, other):
    assert hash_words(one).tolist() != hash_words(other).tolist()


def test_hashes_of_words_of_up_to_eight_bytes_are_all_different():
    words = [f"{number:x}" for number in range(200_000)]
    assert len(set(hash_words(" ".join(words)).tolist())) == len(words)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5), st.integers(1, 3))
def test_words_are_the_same_when_room_runs_out(texts, room):
    data, offsets = batch_of(texts)
    whole = find_words(data, offsets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "BYTES_PER_WORD", 10 * room)
        parts = find_words(data, offsets)
        patch.setattr(kernel, "BYTES_PER_WORD", sys.maxsize)
        fewest = find_words(data, offsets)
    for column, same, again in zip(whole, parts, fewest, strict=True):
        assert column.tolist() == same.tolist() == again.tolist()


@pytest.mark.parametrize("text", ["a " * 5000, "日" * 5000, "é日" * 5000, "x日y " * 5000])
def test_no_text_has_more_words_than_room_is_made_for(text):
    found = find_words(*batch_of([text, text]))
    assert len(found.hashes) == 2 * len(words_of(text))
    assert found.bounds.tolist() == [0, len(words_of(text)), 2 * len(words_of(text))]


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
