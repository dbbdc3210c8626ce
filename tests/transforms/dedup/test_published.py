"""Published shards in the pool of a later run."""

from dataclasses import replace

import numpy as np

from transforms.datasets import Manifest, OutputFile
from transforms.dedup.published import Published, published_shards, renumber


def published(name, shards, against=()):
    files = [
        OutputFile(f"{table}/{k:05d}.parquet", 1, "x", 10 + k, f"{name}{k}", 100)
        for k in range(shards)
        for table in ("exact", "ids")
    ]
    parameters = {"recipe": name, "ranks": 2, "against": [list(one) for one in against]}
    manifest = Manifest("keys", f"f-{name}", 1, parameters, {}, files, {}, {}, {}, "0")
    return Published(f"@{name}", f"/keys/{name}", manifest)


def addresses(*pairs):
    return np.array([(number << 32) | row for number, row in pairs], np.uint64)


def test_shards_follow_in_the_order_of_runs_with_the_tables_that_there_are():
    shards = published_shards([published("a", 2), published("b", 1)], 3)
    assert [(one.number, one.source, one.place) for one in shards] == [
        (3, "@a", 0), (4, "@a", 0), (5, "@b", 1)
    ]  # fmt: skip
    second = shards[1]
    assert second.tables["exact"] == "/keys/a/f-a/exact/00001.parquet"
    assert second.documents == "/keys/a/f-a/ids/00001.parquet"
    assert (second.task, second.file.rows, second.is_published) == ("00001", 11, True)
    assert second.judged_by == ("candidates",)  # so that equal texts are grouped anew


def test_addresses_of_a_run_lead_to_its_own_shards_and_to_those_it_was_compared_with():
    one, two = published("a", 2), published("b", 3)
    third = published("c", 1, against=[("f-a", 2), ("f-b", 3)])
    shard = published_shards([two, one, third], 10)[-1]
    # There c's only shard was 0, a's were 1 and 2, b's 3 to 5; here b's are 10 to 12, a's 13, 14.
    seen = renumber(addresses((0, 7), (1, 8), (2, 0), (3, 1), (5, 2**32 - 1)), shard.numbering)
    assert seen.tolist() == addresses((15, 7), (13, 8), (14, 0), (10, 1), (12, 2**32 - 1)).tolist()


def test_documents_have_the_names_that_tables_of_the_pool_have():
    run = published("a", 2)
    assert [file.path for file in run.documents.files] == ["00000.parquet", "00001.parquet"]
    assert run.documents.counts == {"documents": 21}
    assert run.documents == replace(
        run.manifest, files=run.documents.files, counts={"documents": 21}
    )
