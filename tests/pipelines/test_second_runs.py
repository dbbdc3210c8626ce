"""A run that is compared with published keys finds what a run over everything finds, without the
text of the earlier ones."""

import random

import numpy as np
import pytest
from dedup_pool import TWO_THREADS
from second_runs import SOURCES, deduplicate, run_after

from transforms.dedup.pool import published_from


def prose(seed, words=60):
    rng = np.random.default_rng(seed)
    return " ".join(f"w{seed}x{k}" for k in rng.integers(0, 50, words))


def edited(text, changes, seed):
    """The text with some words replaced; one more in 60 is some 0.85 similar."""
    words = text.split(" ")
    for k in np.random.default_rng(seed).choice(len(words), changes, replace=False):
        words[k] = f"edit{seed}n{k}"
    return " ".join(words)


def crawl(seed, count=120, themes=14):
    """Documents, (source, id, text) or with False: exact and near copies of few texts, edits of
    edits, equal URLs, shared lines, all dealt over the three sources by chance."""
    choice = random.Random(seed)
    texts = [prose(seed * 1000 + k) for k in range(themes)]
    documents = []
    for number in range(count):
        text = choice.choice(texts)
        if choice.random() < 0.6:
            text = edited(text, choice.choice([1, 1, 2, 3]), seed * 10_000 + number)
            if choice.random() < 0.5:
                texts.append(text)
        if choice.random() < 0.3:
            text += f"\nfooter {choice.randrange(3)}\nown line of {number}"
        url = f"|u{choice.randrange(40)}" if choice.random() < 0.4 else ""
        refused = (False,) if choice.random() < 0.1 else ()
        documents.append((choice.choice(SOURCES), f"d{number}{url}", text, *refused))
    return documents


def shards_of(documents, sources, count=2):
    """The documents of some sources, each dealt into so many shards."""
    return [
        (source, [one[1:] for one in documents if one[0] == source][k::count])
        for source in sources
        for k in range(count)
    ]


def in_turn(folder, documents, **settings):
    """Each source in a run of its own, compared with those before; the evidence of all."""
    found, runs = {}, []
    for source in SOURCES:
        its, keys = run_after(
            folder, source, shards_of(documents, [source]), tuple(runs), **settings
        )
        found.update(its)
        runs.append(keys)
    return found


DOCUMENTS = crawl(1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return in_turn(tmp_path_factory.mktemp("turns"), DOCUMENTS)


def test_runs_in_turn_find_what_one_run_over_all_finds(tmp_path, found):
    documents = DOCUMENTS
    _, whole = deduplicate(tmp_path, shards_of(documents, SOURCES))
    assert found.keys() == whole.keys()
    # The first run cannot know how large its clusters become; all else is the same.
    later = {one[1] for one in documents if one[0] != SOURCES[0]}
    last = {one[1] for one in documents if one[0] == SOURCES[-1]}
    for name, evidence in whole.items():
        for table, row in evidence.items():
            known = dict(row)
            if name not in last:
                known = {k: v for k, v in row.items() if k not in ("cluster_size", "stands_for")}
            assert found[name][table].items() >= known.items(), (name, table)
    # It says something: in each step documents of a later run give way to those of an earlier one.
    source = {one[1]: one[0] for one in documents}
    for table in ("url_duplicates", "exact_duplicates", "fuzzy_duplicates"):
        crossing = [
            name
            for name in later
            if (of := whole[name][table]["duplicate_of"]) and source[of] != source[name]
        ]
        assert len(crossing) > 2, table
    cut = [whole[name]["repeated_lines"]["first_in"] or [] for name in later]
    assert any(source[one] == SOURCES[0] for firsts in cut for one in firsts)


def test_the_ways_of_joining_and_workers_change_nothing(tmp_path, found):
    assert in_turn(tmp_path, DOCUMENTS, flags=TWO_THREADS, most_nodes=1) == found


def test_clusters_count_the_documents_that_published_ones_gave_way_to(tmp_path):
    base = prose(7)
    near, nearer = edited(base, 1, 1), edited(base, 1, 2)
    old = [("a0", base), ("a1", near), ("a2", near), ("a3", prose(8))]
    # n0 equals a1 or a2, which stand for each other and gave way to a0; n1 is like a0.
    new = [("n0", near), ("n1", nearer)]
    _, keys = run_after(tmp_path, "a", [("a", old)])
    found, _ = run_after(tmp_path, "b", [("b", new)], (keys,))
    exact, fuzzy = found["n0"]["exact_duplicates"], found["n1"]["fuzzy_duplicates"]
    assert exact["duplicate_of"] in ("a1", "a2")
    assert (exact["cluster_size"], exact["stands_for"]) == (3, 3)
    assert fuzzy["duplicate_of"] == "a0"
    assert (fuzzy["cluster_size"], fuzzy["stands_for"]) == (3, 5)


def test_a_chain_over_the_boundary_does_not_collapse(tmp_path):
    words = prose(9, 80).split()
    slid = [" ".join(words[k : k + 60]) for k in (0, 4, 8, 12)]  # 52 / 60, then 48 / 64, 44 / 68
    _, keys = run_after(tmp_path, "a", [("a", [("a0", slid[0]), ("a1", slid[1])])])
    found, _ = run_after(tmp_path, "b", [("b", [("n0", slid[2]), ("n1", slid[3])])], (keys,))
    gave_way = {name: its["fuzzy_duplicates"]["duplicate_of"] for name, its in found.items()}
    # a1 gave way to a0, so nobody gives way to it; n0 and n1 are alike.
    assert gave_way in ({"n0": None, "n1": "n0"}, {"n0": "n1", "n1": None})


def test_published_documents_stay_though_they_are_alike(tmp_path):
    """Two runs that were not compared with each other."""
    text = prose(10, 200)
    _, one = run_after(tmp_path, "a", [("a", [("a0", text)])])
    _, two = run_after(tmp_path, "b", [("b", [("b0", edited(text, 1, 5))])])
    found, _ = run_after(tmp_path, "c", [("c", [("c0", edited(text, 1, 6))])], (two, one))
    assert found["c0"]["fuzzy_duplicates"]["duplicate_of"] == "b0"


def test_published_shards_are_numbered_behind_the_pool(tmp_path):
    _, one = run_after(tmp_path, "a", [("a", [("a0", "x y")]), ("a", [("a1", "z w")])])
    shards, _ = deduplicate(tmp_path / "b", [("b", [("b0", "u v")])], (one,))
    assert [(s.number, s.source, s.is_published) for s in shards] == [
        (0, "b", False), (1, "@a", True), (2, "@a", True)
    ]  # fmt: skip
    assert published_from(shards) == 1 << 32
