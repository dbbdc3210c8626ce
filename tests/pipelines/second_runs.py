"""Runs over pools of the tests that are compared with earlier ones, graph by graph, without the
workflow: what they find, and the keys that they publish.
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from dedup_pool import ONE_WORKER, make_pool, run, with_annotation

from pipelines.dedup.components import Linking
from pipelines.dedup.gone_documents import gather_gone
from pipelines.dedup.graphs import build_exact, build_fuzzy
from pipelines.dedup.passage_graphs import build_units
from pipelines.dedup.publish_keys import Compared, KeysTask, keys_shard
from pipelines.recipes.pool_part import Fuzzy
from transforms.datasets import Dataset, Manifest, sum_counts
from transforms.dedup.minhash import BANDS, NGRAM, ROWS
from transforms.dedup.published import KEYS_STAGE, KEYS_VERSION, Published, published_shards
from transforms.documents import split_address

SOURCES = ["a", "b", "c"]
COMPARED = Compared(True, "text", Fuzzy(NGRAM, BANDS, ROWS, 0.8), {"lines": 1})
TABLES = ("url_duplicates", "exact_duplicates", "fuzzy_duplicates", "repeated_lines")
RANKS = 2  # source, id


@dataclass(frozen=True)
class UrlOfId:
    """Stands for the annotator of URLs: documents `x|u` and `y|u` have the same one."""

    name: ClassVar[str] = "url"
    schema: ClassVar[pa.Schema] = pa.schema([("url_hash", pa.binary(16))])

    def annotate(self, batch):
        urls = [one.partition("|")[2] for one in batch.table.column("id").to_pylist()]
        hashes = [hashlib.md5(url.encode()).digest() if url else None for url in urls]
        return pa.record_batch([pa.array(hashes, pa.binary(16))], schema=self.schema)


def deduplicate(folder, shards, published=(), flags=ONE_WORKER, **settings):
    """Make a pool and take it through all steps; gives its shards and its evidence by id.
    `shards`: as `make_pool` has them."""
    pool = with_annotation(folder, make_pool(folder, shards, sources=SOURCES), UrlOfId())
    own = [replace(shard, place=len(published)) for shard in pool]
    everyone = [*own, *published_shards(published, len(own))]
    ranks = RANKS + bool(published)

    def made(table, of):
        return {s: Dataset(str(folder / table / s), "f") for s in {one.source for one in of}}

    def extended(table, outputs):
        return [
            replace(s, tables={**s.tables, table: outputs[s.source].path(s.file.path)})
            if s.source in outputs
            else s
            for s in everyone
        ]

    for table, hashed in (
        ("url_duplicates", ("url", "url_hash")),
        ("exact_duplicates", ("exact", "text_hash")),
    ):
        outputs = made(table, everyone)
        work = str(folder / "work" / table)
        run(
            build_exact, flags, shards=everyone, outputs=outputs, work=work, ranks=ranks,
            hashed=hashed,
        )  # fmt: skip
        everyone = extended(table, outputs)
    outputs, work = made("fuzzy_duplicates", own), str(folder / "work/fuzzy")
    gather_gone(lambda build: run(build, flags), everyone, work)
    Linking(everyone, work, BANDS, **settings).prepare(lambda build: run(build, flags))
    run(
        build_fuzzy, flags, shards=everyone, outputs=outputs, work=work, ranks=ranks, **settings
    )  # fmt: skip
    everyone = extended("fuzzy_duplicates", outputs)
    outputs, work = made("repeated_lines", own), str(folder / "work/lines")
    run(
        build_units, flags, shards=everyone, outputs=outputs, work=work, ranks=ranks,
        paragraphs=False, words=1,
    )  # fmt: skip
    everyone = extended("repeated_lines", outputs)
    return everyone, _evidence(everyone)


def _evidence(shards):
    """id -> table -> row, with ids for addresses, of what is not published."""
    ids = {one.number: pq.read_table(one.documents)["id"].to_pylist() for one in shards}

    def named(address):
        if address is None:
            return None
        number, row = split_address(address)
        return ids[number][row]

    found = {}
    for shard in shards:
        if shard.is_published:
            continue
        its = {name: {} for name in ids[shard.number]}
        for table in TABLES:
            rows = pq.read_table(shard.tables[table]).to_pylist()
            for name, row in zip(its, rows, strict=True):
                if "duplicate_of" in row:
                    row["duplicate_of"] = named(row["duplicate_of"])
                if row.get("first_in") is not None:
                    row["first_in"] = [named(one) for one in row["first_in"]]
                its[name][table] = row
        found.update(its)
    return found


def publish(folder, shards, recipe, published=()):
    """Publish the keys of a pool as its job does."""
    own = [shard for shard in shards if not shard.is_published]
    dataset = Dataset(str(folder / "keys" / recipe), f"f-{recipe}")
    for shard in own:
        keys_shard(KeysTask(shard, dataset, COMPARED, RANKS))
    records = [dataset.read_record(f"{shard.number:05d}") for shard in own]
    manifest = Manifest(
        stage=KEYS_STAGE,
        fingerprint=dataset.fingerprint,
        version=KEYS_VERSION,
        parameters={
            "recipe": recipe,
            "compared": COMPARED.to_json(),
            "ranks": RANKS,
            "against": [[one.manifest.fingerprint, len(one.shards)] for one in published],
        },
        inputs={},
        files=[file for record in records for file in record.files],
        counts=sum_counts(record.counts for record in records),
        gate={},
        bounds={},
        code="0",
    )
    dataset.publish(manifest)
    return Published(f"@{recipe}", dataset.folder, manifest)


def run_after(folder, name, shards, published=(), **settings):
    """A run that publishes its keys; of the rest nothing stays. Gives its evidence and keys."""
    shards, found = deduplicate(folder / name, shards, published, **settings)
    keys = publish(folder, shards, name, published)
    shutil.rmtree(folder / name)
    return found, keys
