"""Deduplication from shards to tables: the same story in every split, worker count and restart."""

import gzip
import os
import random
import tempfile
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dedup_pool import (
    CORPUS,
    ONE_WORKER,
    SOURCES,
    TWO_THREADS,
    make_pool,
    read_corpus,
    run,
    with_annotation,
)

from pipelines.dedup import graphs as dedup_graphs
from pipelines.dedup.components import Linking
from pipelines.dedup.graphs import build_exact, build_fuzzy
from transforms import storage
from transforms.checks.attributes import count_attributes
from transforms.datasets import Dataset
from transforms.dedup.exact import EXACT_SCHEMA
from transforms.dedup.fuzzy import FUZZY_SCHEMA
from transforms.dedup.minhash import BANDS
from transforms.dedup.passes import compare_components
from transforms.dedup.pool import PoolShard
from transforms.dedup.url import UrlHash
from transforms.documents import split_address


def prose(seed, words=120):
    """A text of random words that shares no 5-gram with those of other seeds."""
    rng = np.random.default_rng(seed)
    return " ".join(f"w{seed}x{k}" for k in rng.integers(0, 50, words))


def edited(text, changes, seed=0):
    """The text with some words replaced, spread over it."""
    words = text.split(" ")
    for k in np.random.default_rng(seed).choice(len(words), changes, replace=False):
        words[k] = f"edit{seed}n{k}"
    return " ".join(words)


def shingles(text):
    spaced = "".join(f" {c} " if "\u3400" <= c <= "\u9fff" else c for c in text.lower())
    words = "".join(c if c.isalnum() else " " for c in spaced).split()
    n = min(5, len(words))
    return {tuple(words[k : k + n]) for k in range(len(words) - n + 1)} if words else set()


def similarity(left, right):
    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def deduplicate(folder, pool, flags=ONE_WORKER, **settings):
    """Run both stages; gives the datasets by stage name and source."""
    exact = {s: Dataset(str(folder / "exact_duplicates" / s), "f") for s in SOURCES}
    fuzzy = {s: Dataset(str(folder / "fuzzy_duplicates" / s), "f") for s in SOURCES}
    common = {k: v for k, v in settings.items() if k == "most_bytes"}
    run(
        build_exact, flags, shards=pool, outputs=exact, work=str(folder / "work/exact"), ranks=2,
        **common,
    )  # fmt: skip
    pool = with_exact(pool, exact)
    Linking(pool, str(folder / "work/fuzzy"), BANDS, **settings).prepare(
        lambda build: run(build, flags)
    )
    run(
        build_fuzzy, flags, shards=pool, outputs=fuzzy, work=str(folder / "work/fuzzy"), ranks=2,
        **settings,
    )  # fmt: skip
    return {"exact": exact, "fuzzy": fuzzy}


def with_exact(pool, exact):
    return [
        PoolShard(
            s.number,
            s.source,
            s.documents,
            s.file,
            {**s.tables, "exact_duplicates": exact[s.source].path(s.file.path)},
        )
        for s in pool
    ]


def stories(pool, datasets):
    """id -> its row of evidence, with ids for addresses."""
    ids = {s.number: pq.read_table(s.documents)["id"].to_pylist() for s in pool}

    def id_of(address):
        if address is None:
            return None
        shard, row = split_address(address)
        return ids[shard][row]

    found = {}
    for shard in pool:
        rows = pq.read_table(datasets[shard.source].path(shard.file.path)).to_pylist()
        for identifier, row in zip(ids[shard.number], rows, strict=True):
            row["duplicate_of"] = id_of(row["duplicate_of"])
            assert identifier not in found
            found[identifier] = row
    return found


def output_bytes(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for stage in ("exact_duplicates", "fuzzy_duplicates")
        for path in sorted((folder / stage).rglob("*"))
        if path.is_file()
    }


def everything():
    """Documents of all kinds, (source, id, text)."""
    base = [prose(k) for k in range(12)]
    documents = [("web", f"base{k}", text) for k, text in enumerate(base)]
    documents += [("code", f"copy{k}", base[0]) for k in range(24)]
    documents += [("web", f"near{k}", edited(base[k], 1 + k % 2, seed=k)) for k in range(1, 8)]
    documents += [("code", f"far{k}", edited(base[k], 40, seed=k)) for k in range(1, 8)]
    documents += [("web", f"blank{k}", text) for k, text in enumerate(["", "", " \n", " \n"])]
    documents += [("web", f"dots{k}", text) for k, text in enumerate(["...", "...", "!?", "?!"])]
    documents += [("web", f"short{k}", t) for k, t in enumerate(["Read on", "read, on", "read of"])]
    return documents


def split(documents, count):
    """The documents in `count` shards per source, dealt out in turn."""
    return [
        (source, [d[1:] for d in documents if d[0] == source][k::count])
        for source in SOURCES
        for k in range(count)
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    pool = make_pool(folder, split(everything(), 1))
    return folder, pool, deduplicate(folder, pool)


def test_copies_leave_one_survivor_of_the_first_source(undisturbed):
    _, pool, datasets = undisturbed
    exact = stories(pool, datasets["exact"])
    sizes = {"cluster_size": 25, "stands_for": 25}
    assert exact["base0"] == {"duplicate_of": None, "similarity": None, **sizes}
    for k in range(24):
        assert exact[f"copy{k}"] == {"duplicate_of": "base0", "similarity": 1.0, **sizes}
    alone = {"cluster_size": 1, "stands_for": 1}
    assert exact["far1"] == {"duplicate_of": None, "similarity": None, **alone}


def test_exact_duplicates_take_no_part_in_the_fuzzy_search(undisturbed):
    _, pool, datasets = undisturbed
    fuzzy = stories(pool, datasets["fuzzy"])
    assert all(value is None for k in range(24) for value in fuzzy[f"copy{k}"].values())
    assert fuzzy["base0"]["cluster_size"] == 1
    assert fuzzy["base0"]["stands_for"] == 25


def test_near_duplicates_carry_their_true_similarity(undisturbed):
    _, pool, datasets = undisturbed
    fuzzy = stories(pool, datasets["fuzzy"])
    texts = {d[1]: d[2] for d in everything()}
    for k in range(1, 8):
        base, near = f"base{k}", f"near{k}"
        expected = similarity(texts[base], texts[near])
        assert expected >= 0.8
        removed, survivor = (near, base) if fuzzy[near]["duplicate_of"] else (base, near)
        seen = fuzzy[removed]
        assert seen["duplicate_of"] == survivor
        assert seen["similarity"] == pytest.approx(expected, abs=1e-7)
        assert 1 <= seen["shared_bands"] < BANDS
        for column in ("duplicate_of", "similarity", "shared_bands"):
            assert fuzzy[survivor][column] is None
        assert [fuzzy[name]["cluster_size"] for name in (base, near, f"far{k}")] == [2, 2, 1]


@dataclass(frozen=True)
class Address:
    """Stands for the annotator of URLs: a document's id up to its first hyphen, or none."""

    name = "url"
    schema = UrlHash.schema

    def annotate(self, batch):
        ids = [one.partition("-") for one in batch.table.column("id").to_pylist()]
        column = [one.ljust(16).encode() if hyphen else None for one, hyphen, _ in ids]
        return pa.record_batch([pa.array(column, pa.binary(16))], schema=self.schema)


def test_by_url_one_stays_and_takes_no_part_in_what_comes_after(tmp_path):
    text = prose(1)
    documents = [("a-1", prose(2)), ("a-2", text), ("b-1", text), ("lone", text), ("other", "x y")]
    pool = make_pool(tmp_path, [("web", documents[:3]), ("code", documents[3:])])
    outputs = {s: Dataset(str(tmp_path / "url_duplicates" / s), "f") for s in SOURCES}
    hashed = with_annotation(tmp_path, pool, Address())
    run(
        build_exact, shards=hashed, outputs=outputs, work=str(tmp_path / "work/url"), ranks=2,
        hashed=("url", "url_hash"),
    )  # fmt: skip
    urls = stories(pool, outputs)
    (removed,) = [name for name in ("a-1", "a-2") if urls[name]["duplicate_of"]]
    (kept,) = {"a-1", "a-2"} - {removed}
    sizes = {"cluster_size": 2, "stands_for": 2}
    assert urls[removed] == {"duplicate_of": kept, "similarity": None, **sizes}
    assert {urls[name]["cluster_size"] for name in ("b-1", "lone", "other")} == {1}
    judged = [
        replace(s, tables={**s.tables, "url_duplicates": outputs[s.source].path(s.file.path)})
        for s in pool
    ]
    found = deduplicate(tmp_path, judged)
    exact = stories(pool, found["exact"])
    assert exact[removed]["cluster_size"] is None
    copies = {"a-2", "b-1", "lone"} - {removed}
    assert {exact[name]["cluster_size"] for name in copies} == {len(copies)}
    assert {exact[name]["stands_for"] for name in copies} == {len(copies) + ("a-2" in copies)}
    assert stories(pool, found["fuzzy"])[removed]["cluster_size"] is None


def test_blank_texts_are_nobodys_duplicates_and_short_ones_have_a_rule(undisturbed):
    _, pool, datasets = undisturbed
    exact, fuzzy = (stories(pool, datasets[stage]) for stage in ("exact", "fuzzy"))
    for k in range(4):
        for story in (exact, fuzzy):
            assert story[f"blank{k}"]["duplicate_of"] is None
            assert story[f"blank{k}"]["cluster_size"] == 1
    # Punctuation: equal bytes are duplicates, but without a word nothing is similar.
    assert {exact["dots0"]["duplicate_of"], exact["dots1"]["duplicate_of"]} in (
        {None, "dots0"}, {None, "dots1"}
    )  # fmt: skip
    assert exact["dots2"]["duplicate_of"] is exact["dots3"]["duplicate_of"] is None
    assert fuzzy["dots2"]["cluster_size"] == fuzzy["dots3"]["cluster_size"] == 1
    # Texts shorter than a shingle: near duplicates when all their words are equal.
    assert [fuzzy[f"short{k}"]["cluster_size"] for k in range(3)] == [2, 2, 1]
    assert {fuzzy[f"short{k}"]["similarity"] for k in range(2)} == {None, 1.0}


def test_tables_have_their_schema_and_records_count_what_they_hold(undisturbed):
    _, pool, datasets = undisturbed
    for stage, schema in (("exact", EXACT_SCHEMA), ("fuzzy", FUZZY_SCHEMA)):
        removed = 0
        for shard in pool:
            dataset = datasets[stage][shard.source]
            record = dataset.read_record(shard.task)
            table = pq.read_table(dataset.path(shard.file.path))
            assert table.schema.remove_metadata() == schema
            assert [file.rows for file in record.files] == [shard.file.rows]
            sizes = pq.read_table(shard.tables["size"])["bytes"].to_numpy()
            kept = table["cluster_size"].is_valid().to_numpy()
            kept &= table["duplicate_of"].is_null().to_numpy()
            assert record.counts == count_attributes(table.combine_chunks().to_batches()[0]) | {
                "documents": shard.file.rows,
                "candidates": shard.file.rows - table["cluster_size"].null_count,
                "removed": shard.file.rows - table["duplicate_of"].null_count,
                "kept_text_bytes": int(sizes[kept].sum()),
                "largest_cluster": max(table["cluster_size"].filter(pa.array(kept)).to_pylist()),
            }
            removed += record.counts["removed"]
        assert removed == {"exact": 25, "fuzzy": 8}[stage]


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        (TWO_THREADS, {}),
        (ONE_WORKER, {"most_bytes": 1000}),
        (TWO_THREADS, {"most_bytes": 1}),
        (ONE_WORKER, {"most_bytes": 1000, "most_nodes": 10}),  # links are joined in rounds
        ((*ONE_WORKER, "--exchange_carrier=groupbykey"), {}),
    ],
)
def test_workers_and_partitions_change_no_byte(undisturbed, tmp_path, flags, settings):
    folder, pool, _ = undisturbed
    deduplicate(tmp_path, pool, flags, **settings)
    assert output_bytes(tmp_path) == output_bytes(folder)


@pytest.mark.parametrize("held_bytes", [1, 3 * 512, 40 * 512])
def test_components_that_do_not_fit_memory_tell_the_same_story(
    undisturbed, tmp_path, monkeypatch, held_bytes
):
    folder, pool, _ = undisturbed
    passes = partial(compare_components, most_bytes=held_bytes)
    monkeypatch.setattr(dedup_graphs, "compare_components", passes)
    deduplicate(tmp_path, pool)
    assert output_bytes(tmp_path) == output_bytes(folder)


def test_near_copies_have_one_survivor_though_few_fit_memory(tmp_path, monkeypatch):
    passes = partial(compare_components, most_bytes=2 * 512)
    monkeypatch.setattr(dedup_graphs, "compare_components", passes)
    text = prose(1)
    texts = [(f"near{k}", edited(text, 1, seed=k)) for k in range(40)]
    pool = make_pool(tmp_path, [("web", texts[:20]), ("code", texts[20:])])
    found = stories(pool, deduplicate(tmp_path, pool)["fuzzy"])
    assert sum(row["duplicate_of"] is None for row in found.values()) == 1


@pytest.mark.parametrize("turn", range(5))
def test_another_order_and_split_into_shards_tell_the_same_story(undisturbed, tmp_path, turn):
    _, pool, datasets = undisturbed
    documents = everything()
    random.Random(turn).shuffle(documents)
    documents = [d for d in documents if d[0] == "code"] + [d for d in documents if d[0] == "web"]
    other = make_pool(tmp_path, split(documents, turn + 2)[::-1])
    found = deduplicate(tmp_path, other, TWO_THREADS if turn % 2 else ONE_WORKER)
    for stage in ("exact", "fuzzy"):
        assert stories(other, found[stage]) == stories(pool, datasets[stage])


def test_no_document_is_special_by_its_address_or_by_being_no_candidate(tmp_path):
    # The first document has address 0; who is no candidate neither survives nor is removed.
    text = prose(1)
    pool = make_pool(
        tmp_path,
        [
            ("web", [("a", text), ("b", text, False), ("c", text), ("d", edited(text, 1), False)]),
            ("code", [("e", text), ("f", edited(text, 1))]),
        ],
    )
    datasets = deduplicate(tmp_path, pool)
    exact, fuzzy = (stories(pool, datasets[stage]) for stage in ("exact", "fuzzy"))
    assert [exact[x]["cluster_size"] for x in "abcdef"] == [3, None, 3, None, 3, 1]
    survivor = next(x for x in "ac" if exact[x]["duplicate_of"] is None)
    assert {exact[x]["duplicate_of"] for x in "ace"} == {None, survivor}
    assert fuzzy["f"]["duplicate_of"] == survivor
    assert [fuzzy[x]["cluster_size"] for x in "bde"] == [None] * 3


def test_every_planted_near_duplicate_at_0_9_is_found(tmp_path):
    base = [prose(k, words=400) for k in range(150)]
    near = [edited(text, 1 + k % 4, seed=k) for k, text in enumerate(base)]
    planted = [k for k in range(150) if similarity(base[k], near[k]) >= 0.9]
    assert len(planted) > 100
    pool = make_pool(
        tmp_path,
        [
            ("web", [(f"b{k}", text) for k, text in enumerate(base)]),
            ("code", [(f"n{k}", text) for k, text in enumerate(near)]),
        ],
    )
    fuzzy = stories(pool, deduplicate(tmp_path, pool, TWO_THREADS)["fuzzy"])
    assert [k for k in planted if fuzzy[f"n{k}"]["duplicate_of"] != f"b{k}"] == []
    assert all(fuzzy[f"b{k}"]["duplicate_of"] is None for k in range(150))


def test_a_hot_group_of_five_thousand_has_one_survivor(tmp_path):
    # Equal words, other punctuation: no exact duplicates, and every band is shared by all.
    texts = [f"the same boilerplate{k * '.'} on each of the pages of a site" for k in range(5000)]
    assert len(set(texts)) == 5000
    half = [(f"t{k}", text) for k, text in enumerate(texts)]
    pool = make_pool(tmp_path, [("web", half[:2500]), ("code", half[2500:])], group_rows=1000)
    fuzzy = stories(pool, deduplicate(tmp_path, pool, TWO_THREADS)["fuzzy"])
    survivors = [name for name, row in fuzzy.items() if row["duplicate_of"] is None]
    assert len(survivors) == 1
    assert {row["cluster_size"] for row in fuzzy.values()} == {5000}
    assert {row["similarity"] for row in fuzzy.values()} == {None, 1.0}


class Killed(Exception):
    pass


@pytest.mark.parametrize("writes", [0, 3, 6, 11, 13, 15])
def test_killed_at_any_write_and_started_again_the_bytes_are_the_same(
    undisturbed, tmp_path, monkeypatch, writes
):
    folder, pool, _ = undisturbed
    pool = with_exact(
        pool, {s: Dataset(str(folder / "exact_duplicates" / s), "f") for s in SOURCES}
    )
    outputs = {s: Dataset(str(tmp_path / "fuzzy_duplicates" / s), "f") for s in SOURCES}
    arguments = {"shards": pool, "outputs": outputs, "work": str(tmp_path / "work"), "ranks": 2}
    left = [writes]
    replace = os.replace

    def replace_or_die(source, target):
        if left[0] == 0:
            raise Killed("Killed")
        left[0] -= 1
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)
    with pytest.raises(Exception, match="Killed"):
        run(build_fuzzy, **arguments)
    monkeypatch.undo()
    run(build_fuzzy, **arguments)
    expected = {k: v for k, v in output_bytes(folder).items() if k.startswith("fuzzy")}
    seen = {k: v for k, v in output_bytes(tmp_path).items() if "/_aside/" not in k}
    assert seen == expected


@pytest.mark.parametrize(
    ("what", "files"),
    [("written", 2), ("written", 9), ("written", 20), ("sorted", 0), ("sorted", 9)],
)
def test_a_full_disk_is_told_and_with_room_the_bytes_are_the_same(
    undisturbed, tmp_path, monkeypatch, what, files
):
    folder, pool, _ = undisturbed
    create, spool, left = storage.FileSystems.create, tempfile.TemporaryFile, [files]

    def or_full(make, mode):
        def made(*arguments):
            left[0] -= 1
            return make(*arguments) if left[0] >= 0 else open("/dev/full", mode)

        return made

    if what == "written":
        monkeypatch.setattr(storage.FileSystems, "create", or_full(create, "wb"))
        told = f"No space left on device while writing {tmp_path}/.*; make room there or take"
    else:
        monkeypatch.setattr(tempfile, "TemporaryFile", or_full(spool, "r+b"))
        told = f"while writing temporary files in {tempfile.gettempdir()}; make room there or let"
    settings = {"most_bytes": 1}  # all that is exchanged is sorted through files
    with pytest.raises(Exception, match=told):
        deduplicate(tmp_path, pool, **settings)
    monkeypatch.undo()
    half = [path for path in tmp_path.rglob("_aside/*") if path.is_file()]
    assert half == []
    deduplicate(tmp_path, pool, **settings)
    assert {k: v for k, v in output_bytes(tmp_path).items() if "/_aside/" not in k} == output_bytes(
        folder
    )


def test_an_empty_pool_gives_nothing(tmp_path):
    datasets = deduplicate(tmp_path, [])
    assert output_bytes(tmp_path) == {}
    assert stories([], datasets["fuzzy"]) == {}


def test_a_similarity_outside_is_refused():
    for similarity_ in (0.0, 1.1):
        with pytest.raises(ValueError, match="similarity must be above 0"):
            build_fuzzy(None, [], {}, "work", 1, similarity=similarity_)


@pytest.mark.skipif(not CORPUS.exists(), reason="corpus: ../shared/corpus is not here")
def test_recall_and_precision_on_the_corpus(tmp_path):
    shards = [("web", read_corpus(path)) for path in sorted(CORPUS.glob("*.zst"))]
    pool = make_pool(tmp_path, shards, group_rows=1000)
    datasets = deduplicate(tmp_path, pool, TWO_THREADS)
    exact = stories(pool, datasets["exact"])
    fuzzy = stories(pool, datasets["fuzzy"])
    copies = {name for name, row in exact.items() if row["duplicate_of"]}
    removed = {name for name, row in fuzzy.items() if row["duplicate_of"]}
    with gzip.open(CORPUS / "pairs.tsv.gz", "rt") as file:
        pairs = [line.split("\t") for line in file.read().splitlines()]
    true = {frozenset(pair): float(s) for *pair, s in pairs}
    similar = [pair for pair, s in true.items() if s >= 0.8 and not pair & copies]
    assert len(similar) > 1000
    assert sum(bool(pair & removed) for pair in similar) / len(similar) >= 0.995
    texts = dict(document for _, documents in shards for document in documents)
    measured = {
        name: similarity(texts[name], texts[fuzzy[name]["duplicate_of"]]) for name in removed
    }
    assert sum(s >= 0.8 for s in measured.values()) / len(removed) >= 0.99
    near = [abs(fuzzy[name]["similarity"] - s) < 1e-6 for name, s in measured.items()]
    assert sum(near) / len(removed) >= 0.95  # marks and invisible characters are told apart
    survivors = exact.keys() - removed - copies
    assert sum(fuzzy[name]["stands_for"] for name in survivors) == len(exact)
