"""Passages from shards to tables: what stood before is cut, in every split, worker count and
restart, and it is what the definition says."""

import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from dedup_pool import (
    ONE_WORKER,
    SOURCES,
    TWO_THREADS,
    make_pool,
    run,
)

from pipelines.dedup.passage_graphs import (
    Shape,
    _read_own,
    build_substring,
    build_units,
    unit_exchanges,
)
from transforms.datasets import Dataset
from transforms.dedup.passages import PASSAGES_SCHEMA
from transforms.dedup.substring import gram_of
from transforms.dedup.units import unit_dtype
from transforms.documents import split_address
from transforms.exchange import find_stored

SIZE = 40


def words(seed, count):
    rng = np.random.default_rng(seed)
    return " ".join(f"w{seed}{k}é" for k in rng.integers(0, 50, count))


def everything():
    """Documents that share passages of all kinds, (source, id, text)."""
    footer, menu = words(1, 20), words(2, 12)
    documents = [("web", f"page{k}", f"{menu}\n{words(100 + k, 30)}\n{footer}") for k in range(25)]
    documents += [("code", f"file{k}", f"{words(200 + k, 10)} {menu}") for k in range(5)]
    # Overlapping passages: what stands first in one, in another, and in both at once.
    a, b, c = words(3, 8), words(4, 8), words(5, 8)
    documents += [("code", "ab", a + b + "."), ("code", "bc", "," + b + c)]
    documents += [("code", "abc", a + b + c), ("code", "abc2", "." + a + b + c)]
    documents += [("web", "dashes", "-" * 300 + words(6, 3)), ("web", "lines", ("=~" * 90 + "\n"))]
    documents += [("web", "twice", f"{a[:60]} {words(7, 9)} {words(7, 9)}")]
    documents += [("web", "empty", ""), ("code", "short", "short")]
    return documents


def split(documents, count):
    return [
        (source, [d[1:] for d in documents if d[0] == source][k::count])
        for source in SOURCES
        for k in range(count)
    ]


def cut(folder, pool, flags=ONE_WORKER, size=SIZE, **more):
    outputs = {source: Dataset(str(folder / "repeated" / source), "f") for source in SOURCES}
    run(
        build_substring, flags, shards=pool, outputs=outputs, work=str(folder / "work"), ranks=2,
        size=size, **more,
    )  # fmt: skip
    return outputs


def output_bytes(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "repeated").rglob("*"))
        if path.is_file() and "/_aside/" not in str(path)
    }


def tables(pool, outputs):
    """id -> its row, with ids for addresses."""
    ids = {s.number: pq.read_table(s.documents)["id"].to_pylist() for s in pool}
    found = {}
    for shard in pool:
        table = pq.read_table(outputs[shard.source].path(shard.file.path))
        assert table.schema.remove_metadata() == PASSAGES_SCHEMA
        for identifier, row in zip(ids[shard.number], table.to_pylist(), strict=True):
            if row["spans"] is not None:
                row["spans"] = [(one["start"], one["end"]) for one in row["spans"]]
                places = map(split_address, row["first_in"])
                row["first_in"] = [ids[number][at] for number, at in places]
            found[identifier] = row
    return found


def reading_order(pool):
    """Ids of candidates in the order in which they survive."""
    ranked = []
    for shard in pool:
        ids = pq.read_table(shard.documents)["id"].to_pylist()
        for identifier, row in zip(
            ids, pq.read_table(shard.tables["candidates"]).to_pylist(), strict=True
        ):
            if row["candidate"]:
                ranked.append((row["rank_0"], row["rank_1"], identifier))
    return [one[2] for one in sorted(ranked)]


def by_definition(texts, order, size):
    """id -> spans: every window that stood before, without what it shares with its first place."""
    seen, found = {}, {}
    for name in order:
        text = texts[name].encode()
        marks = np.zeros(len(text) + 1, np.int8)
        for q in range(len(text) - size + 1):
            first = seen.setdefault(text[q : q + size], (name, q))
            if first != (name, q):
                marks[max(q, first[1] + size) if first[0] == name else q : q + size] = 1
        edges = np.flatnonzero(np.diff(marks, prepend=0))
        spans = []
        for start, end in edges.reshape(-1, 2).tolist():
            while start < end and text[start] & 0xC0 == 0x80:
                start += 1
            while start < end < len(text) and text[end] & 0xC0 == 0x80:
                end -= 1
            if start < end:
                spans.append((start, end))
        found[name] = spans
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    pool = make_pool(folder, split(everything(), 2))
    return folder, pool, cut(folder, pool)


def test_the_tables_hold_what_the_definition_says(undisturbed):
    _, pool, outputs = undisturbed
    texts = {d[1]: d[2] for d in everything()}
    found = tables(pool, outputs)
    wanted = by_definition(texts, reading_order(pool), SIZE)
    assert {name: row["spans"] for name, row in found.items()} == wanted
    assert sum(map(len, wanted.values())) > 50


def test_where_a_passage_stands_first_is_told(undisturbed):
    _, pool, outputs = undisturbed
    found, order = tables(pool, outputs), reading_order(pool)
    pages = [name for name in order if name.startswith("page")]
    # Menu and footer stay in the page that is read first.
    assert found[pages[0]]["spans"] == []
    for name in pages[1:]:
        assert found[name]["first_in"] == [pages[0], pages[0]]
    files = [name for name in order if name.startswith("file")]
    assert {tuple(found[name]["first_in"]) for name in files} == {(pages[0],)}
    assert found["dashes"]["first_in"] == ["dashes"]


def test_a_run_of_one_line_keeps_its_first_bytes(undisturbed):
    _, pool, outputs = undisturbed
    found = tables(pool, outputs)
    assert found["dashes"]["spans"] == [(SIZE, 300)]
    assert found["dashes"]["cut_bytes"] == 300 - SIZE


def test_records_count_what_the_tables_hold(undisturbed):
    _, pool, outputs = undisturbed
    for shard in pool:
        dataset = outputs[shard.source]
        counts = dataset.read_record(shard.task).counts
        rows = pq.read_table(dataset.path(shard.file.path)).to_pylist()
        cut_bytes = sum(one["cut_bytes"] for one in rows)
        assert counts["documents"] == counts["candidates"] == counts["rows"] == shard.file.rows
        assert counts["removed"] == 0
        assert counts["cut.documents"] == sum(bool(one["spans"]) for one in rows)
        assert counts["cut.passages"] == sum(len(one["spans"]) for one in rows)
        assert counts["cut.bytes"] == cut_bytes
        assert counts["kept_text_bytes"] == shard.file.text_bytes - cut_bytes


@pytest.mark.parametrize(
    ("flags", "most_bytes"), [(TWO_THREADS, 1 << 25), (ONE_WORKER, 500), (TWO_THREADS, 1)]
)
def test_workers_and_partitions_change_no_byte(undisturbed, tmp_path, flags, most_bytes):
    folder, pool, _ = undisturbed
    cut(tmp_path, pool, flags, most_bytes=most_bytes)
    assert output_bytes(tmp_path) == output_bytes(folder)


def test_another_split_into_shards_tells_the_same_story(undisturbed, tmp_path):
    _, pool, outputs = undisturbed
    other = make_pool(tmp_path, split(everything()[::-1], 5)[::-1])
    assert tables(other, cut(tmp_path, other)) == tables(pool, outputs)


@pytest.mark.parametrize("damage", [lambda own: own[:-1], lambda own: b"x" + own[1:], None])
def test_scratch_beside_the_runs_that_was_changed_or_lost_is_made_anew(
    undisturbed, tmp_path, damage
):
    folder, pool, _ = undisturbed
    (shard,) = [one for one in pool if "dashes" in pq.read_table(one.documents)["id"].to_pylist()]
    path = tmp_path / "own" / f"{shard.number:08d}"
    good = (folder / "work" / "own" / path.name).read_bytes()
    if damage is not None:
        path.parent.mkdir()
        path.write_bytes(damage(good))
    own = _read_own(shard, Shape(SIZE, gram_of(SIZE), 2), str(tmp_path))
    assert len(own) > 0
    assert path.read_bytes() == good


class Killed(Exception):
    pass


@pytest.mark.parametrize("writes", [2, 7, 16, 19, 28])
def test_killed_at_any_write_and_started_again_the_bytes_are_the_same(
    undisturbed, tmp_path, monkeypatch, writes
):
    folder, pool, _ = undisturbed
    left = [writes]
    replace = os.replace

    def replace_or_die(source, target):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)
    with pytest.raises(Exception, match="Killed"):
        cut(tmp_path, pool)
    monkeypatch.undo()
    cut(tmp_path, pool)
    assert output_bytes(tmp_path) == output_bytes(folder)


def test_what_is_exchanged_is_a_small_part_of_the_text(tmp_path):
    # 400 documents of 6 kB, a fifth of whose text stands in another one.
    shared = [words(k, 150) for k in range(40)]
    documents = [
        (f"d{k}", f"{words(1000 + k, 600)} {shared[k % 40]} {words(2000 + k, 120)}")
        for k in range(400)
    ]
    pool = make_pool(tmp_path, [("web", documents[:200]), ("code", documents[200:])])
    outputs = cut(tmp_path, pool, size=500)
    text_bytes = sum(shard.file.text_bytes for shard in pool)
    cut_bytes = sum(row["cut_bytes"] for row in tables(pool, outputs).values())
    assert 0.1 * text_bytes < cut_bytes < 0.2 * text_bytes
    runs = list((tmp_path / "work").rglob("*.run"))
    indexes = sum(int(path.stem.rpartition("-")[2]) * 16 for path in runs)  # of their buckets
    assert sum(path.stat().st_size for path in runs) - indexes <= 0.15 * text_bytes


def test_who_is_no_candidate_or_a_duplicate_neither_keeps_nor_is_cut(tmp_path):
    passage = words(1, 40)
    pool = make_pool(
        tmp_path,
        [
            ("web", [("refused", passage, False), ("a", passage + "a")]),
            ("code", [("b", passage + "b"), ("c", "c" + passage)]),
        ],
    )
    found = tables(pool, cut(tmp_path, pool))
    assert found["refused"] == {"spans": None, "first_in": None, "cut_bytes": None}
    assert found["a"]["spans"] == []
    assert found["b"]["spans"] == [(0, len(passage.encode()))]
    assert found["c"]["spans"] == [(1, 1 + len(passage.encode()))]
    assert found["b"]["first_in"] == found["c"]["first_in"] == ["a"]


def test_a_passage_of_five_thousand_pages_stays_in_one(tmp_path):
    passage = words(1, 20)
    half = [(f"t{k}", f"{words(10 + k, 4)}\n{passage}\n{words(9000 + k, 4)}") for k in range(5000)]
    pool = make_pool(tmp_path, [("web", half[:2500]), ("code", half[2500:])], group_rows=1000)
    found = tables(pool, cut(tmp_path, pool, TWO_THREADS))
    whole = [name for name, row in found.items() if not row["spans"]]
    assert len(whole) == 1
    assert {row["cut_bytes"] >= len(passage.encode()) for row in found.values()} == {True, False}
    assert {name for row in found.values() for name in row["first_in"]} >= set(whole)


def test_an_empty_pool_gives_nothing(tmp_path):
    cut(tmp_path, [])
    assert output_bytes(tmp_path) == {}
    pool = make_pool(tmp_path, [("web", [("a", ""), ("b", "short")]), ("code", [])])
    assert {tuple(row["spans"]) for row in tables(pool, cut(tmp_path, pool)).values()} == {()}


# Lines and paragraphs


UNITS = [
    ("web", "a", "Read more\n\nThe first line.\nA second one\n"),
    ("web", "b", "Another first line\nread, MORE!\n\n  the first line\na second one\n\nEnd"),
    ("web", "c", "---\nread more\n---\n\nRead more"),
    ("code", "d", "the first line a second one\n---\n"),
]


def repeated(folder, pool, paragraphs, least=1):
    outputs = {source: Dataset(str(folder / "repeated" / source), "f") for source in SOURCES}
    run(
        build_units, shards=pool, outputs=outputs, work=str(folder / "work"), ranks=2,
        paragraphs=paragraphs, words=least,
    )  # fmt: skip
    return outputs


def repeated_units(texts, order, paragraphs, least):
    """id -> spans of lines or paragraphs, with their line feed, whose words stood before."""
    seen, found = set(), {}
    for name in order:
        units, at, opened = [], 0, False
        for line in texts[name].splitlines(keepends=True):
            if line.strip():
                if opened and paragraphs:
                    units[-1][1] = at + len(line)
                else:
                    units.append([at, at + len(line)])
            opened = bool(line.strip())
            at += len(line)
        spans = []
        for start, end in units:
            text = "".join(c if c.isalnum() else " " for c in texts[name][start:end].lower())
            key = tuple(text.split())
            if len(key) >= least:
                if key in seen and spans and spans[-1][1] == start:
                    spans[-1] = (spans[-1][0], end)
                elif key in seen:
                    spans.append((start, end))
                seen.add(key)
        found[name] = spans
    return found


@pytest.mark.parametrize(
    "text",
    ["a\nb\nc\nd", "a b\nc d\n", "\u4e00\u4e8c\n\u4e09\u56db", "a\n\nb\n\nc", "Read more\n" * 9],
)
@pytest.mark.parametrize("least", [1, 2])
def test_short_lines_are_no_more_than_planned(tmp_path, text, least):
    pool = make_pool(tmp_path, [("web", [(f"d{k}", text) for k in range(5)])])
    repeated(tmp_path, pool, False, least)
    rows = find_stored(str(tmp_path / "work/units"), unit_dtype(2)).rows
    planned = unit_exchanges(pool, 2, least)["units"].most_bytes
    assert rows * unit_dtype(2).itemsize <= planned
    assert rows * unit_dtype(2).itemsize == planned or text != "a\nb\nc\nd" or least > 1


@pytest.mark.parametrize("paragraphs", [False, True])
@pytest.mark.parametrize("least", [1, 3])
def test_units_whose_words_stood_before_are_cut(tmp_path, paragraphs, least):
    pool = make_pool(tmp_path, split(UNITS, 2))
    found = tables(pool, repeated(tmp_path, pool, paragraphs, least))
    texts = {one[1]: one[2] for one in UNITS}
    wanted = repeated_units(texts, reading_order(pool), paragraphs, least)
    assert {name: row["spans"] for name, row in found.items()} == wanted
    assert any(wanted.values())
    other = make_pool(tmp_path / "other", split(UNITS[::-1], 3)[::-1])
    outputs = repeated(tmp_path / "other", other, paragraphs, least)
    assert tables(other, outputs) == found
