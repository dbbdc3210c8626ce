"""The index: what it holds, what it leaves out and says so, and its file."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from transforms.decontamination import index as index_module
from transforms.decontamination.benchmarks import Item
from transforms.decontamination.index import (
    INDEX_VERSION,
    IndexParameters,
    NgramIndex,
    build_index,
    count_document_hits,
    load_index,
)
from transforms.kernels.unicode import WORDS_VERSION

QUESTION = "How many eggs does Janet sell at the market every day"


def index_of(*items: Item, **parameters: object) -> NgramIndex:
    return build_index(items, IndexParameters(**parameters))  # type: ignore[arg-type]


def hits(index: NgramIndex, *texts: str) -> list[int]:
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    return count_document_hits(index, np.frombuffer(b"".join(encoded), np.uint8), offsets).tolist()


def test_every_run_of_eight_words_hits_and_no_shorter_one() -> None:
    index = index_of(Item("b", "1", "question", QUESTION, True))
    words = QUESTION.split()
    assert len(words) == 11
    assert len(index.lookup.keys) == 4
    for first in range(4):
        assert hits(index, " ".join(words[first : first + 8])) == [1]
        assert hits(index, " ".join(words[first : first + 7])) == [0]
    assert hits(index, f"x {QUESTION} y", "", "!?") == [4, 0, 0]


@pytest.mark.parametrize(
    ("field", "whole", "text", "matched"),
    [
        ("question", True, "one two three four five six seven", True),
        ("question", True, "one two three four five", True),
        ("question", True, "one two three four", False),
        ("question+answer", True, "one two three four", True),
        ("question+answer", True, "one two three", False),
        ("answer", False, "one two three four five six seven", False),
        ("answer", False, "one two three four five six seven eight", True),
        ("answer", False, "True", False),
    ],
)
def test_short_texts_count_whole_by_the_rule(
    field: str, whole: bool, text: str, matched: bool
) -> None:
    index = index_of(Item("b", "1", field, text, whole))
    words = text.split()
    assert hits(index, text, f"x, {text.upper()}! y") == [int(matched)] * 2
    assert hits(index, " ".join(words[1:]), " ".join(words[:-1])) == [0, 0]
    n = len(words)
    coverage = index.coverage[0]
    assert (coverage.items, coverage.whole_items, coverage.unmatchable_items) == (
        1,
        int(matched and n < 8),
        int(not matched),
    )
    assert coverage.unmatchable == (() if matched else ("1",))


def test_short_texts_of_all_lengths_are_found_beside_ngrams() -> None:
    shorts = ["a b c d", "a b c d e", "a b c x y z", "q r s t u v w"]
    items = [Item("b", text, "q+a", text, True) for text in shorts]
    index = index_of(*items, Item("b", "long", "q", "a b c d e f g h", True))
    found = hits(index, *shorts, "a b c d e f g h", "a b c q r s t")
    assert found == [1, 2, 1, 1, 3, 0]


def test_joined_fields_own_only_what_crosses_the_seam() -> None:
    question, answer = "one two three four five six seven eight", "a b c d e f g h"
    index = index_of(
        Item("b", "1", "question", question, True),
        Item("b", "1", "answer", answer, False),
        Item("b", "1", "question+answer", f"{question}\n{answer}", True),
    )
    names = [index.field_names(0, int(mask)) for mask in index.owners.fields]
    assert sorted(names) == ["answer", "question", *["question+answer"] * 7]


def test_ngrams_inside_an_ignored_phrase_are_left_out() -> None:
    phrase = "Choose the best answer, and answer in one word."
    items = (
        Item("b", "1", "question", f"{phrase} Why is the sky so blue today?", True),
        Item("b", "2", "question", "Which of these is true?", True),
    )
    index = index_of(*items, ignore=(phrase, "which of these is true"))
    # Only what lies inside the phrase is left out: a run that goes on after it still counts.
    assert hits(index, f"{phrase} Thanks", f"{phrase} Why", "Which of these is true?") == [0, 1, 0]
    assert hits(index_of(*items), f"{phrase} Thanks", f"{phrase} Why") == [2, 3]
    assert index.left_out == 3
    assert index.coverage[0].unmatchable == ("2",)


def test_ngrams_of_one_word_repeated_count() -> None:
    item = Item("b", "1", "question", "0 " * 9 + "1 0 0 0 0 0 0 and so on", True)
    zeros, mixed = "0 " * 8, "0 0 0 0 0 0 1 0"
    assert hits(index_of(item), zeros, mixed) == [1, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ngram": 1}, "'ngram' must be 2 to 64"),
        ({"ngram": 65}, "'ngram' must be 2 to 64"),
        ({"ignore": ("all of them",)}, "'all of them' has no effect"),
    ],
)
def test_parameters_out_of_bounds_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        index_of(**parameters)


def test_other_ngram_lengths_work() -> None:
    item = Item("b", "1", "question", "one two three four five six", True)
    assert hits(index_of(item, ngram=3), "one two three", "two three", QUESTION) == [1, 0, 0]
    assert hits(index_of(item, ngram=13), "one two three four five six", "one two") == [1, 0]


def test_an_index_without_items_finds_nothing() -> None:
    assert hits(index_of(), QUESTION, "") == [0, 0]


def items() -> list[Item]:
    return [
        Item("b", "é", "question", QUESTION, True),
        Item("c", "2", "question", "one two three four five", True),
        Item("c", "3", "answer", "4", False),
    ]


def test_a_saved_index_comes_back_and_equal_indexes_are_equal_bytes(tmp_path: Path) -> None:
    index = index_of(*items(), ignore=("every day is a good day",))
    paths = [str(tmp_path / name) for name in ("one.arrow", "two.arrow")]
    index.save(paths[0])
    loaded = load_index(paths[0], index.fingerprint)
    loaded.save(paths[1])
    assert Path(paths[0]).read_bytes() == Path(paths[1]).read_bytes()
    assert loaded.report() == index.report()
    assert loaded.parameters == index.parameters
    texts = (QUESTION, "One, two: three; four! five?")
    assert hits(loaded, *texts) == hits(index, *texts) == [4, 1]


def test_the_fingerprint_is_of_items_and_parameters(tmp_path: Path) -> None:
    index = index_of(*items())
    assert index_of(*items()).fingerprint == index.fingerprint
    others = [
        index_of(*items()[:2]),
        index_of(*items(), ngram=7),
        index_of(*items(), ignore=("one two three four five six",)),
        index_of(*(item._replace(item_id=item.item_id + "x") for item in items())),
        index_of(*(item._replace(benchmark="d") for item in items())),
    ]
    assert len({one.fingerprint for one in [index, *others]}) == 6
    path = str(tmp_path / "index.arrow")
    index.save(path)
    with pytest.raises(ValueError, match="is another n-gram index"):
        load_index(path, others[0].fingerprint)


def test_a_file_that_is_no_whole_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.arrow"
    index_of(*items()).save(str(path))
    whole = path.read_bytes()
    key = index_of(*items()).lookup.keys[:1].tobytes()
    version = f"{INDEX_VERSION}.{WORDS_VERSION}.{unicodedata.unidata_version}".encode()
    for content, message in (
        (whole[:-30], "no n-gram index"),
        (b"", "no n-gram index"),
        (whole.replace(key, b"12345678"), "damaged"),
        (whole.replace(version, b"9" * len(version)), f"version 9+, not {version.decode()}"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            NgramIndex.load(str(path))


def test_an_index_of_other_tables_of_unicode_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is a word differs between them, so its n-grams would be missed."""
    path = str(tmp_path / "index.arrow")
    index_of(*items()).save(path)
    monkeypatch.setattr(index_module, "_STORED_VERSION", f"{INDEX_VERSION}.{WORDS_VERSION}.99.0.0")
    with pytest.raises(ValueError, match=r"not .*99\.0\.0: build it anew"):
        NgramIndex.load(path)


def test_more_fields_than_a_mask_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 32 fields"):
        index_of(*(Item("b", "1", f"f{k}", "x", False) for k in range(33)))
