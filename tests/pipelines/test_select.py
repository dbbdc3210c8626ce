"""Selection: the same documents in every split, tokens to within one document, sources by share."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.recipe import Mix
from pipelines.select import SELECTION_SCHEMA, Choice, find_budgets, select_shard, select_stages
from pipelines.tables import TableTask
from pipelines.tokenize import TOKENS_SCHEMA
from pipelines.workspace import Workspace
from transforms.attributes import write_table
from transforms.checks.documents import id_hashes
from transforms.datasets import Dataset, OutputFile
from transforms.dedup.pool import PoolShard
from transforms.documents import ROWS_DIGEST_KEY, SCHEMA, rows_digest
from transforms.mixing.budget import BudgetError, order_key
from transforms.quality.size import Size

OPTIONS = PipelineOptions(["--direct_num_workers=1"])
GROUP_ROWS = 40
SCHEMAS = {"size": Size().schema, "tokens": TOKENS_SCHEMA}


def documents_of(source, rows, seed):
    """id -> tokens (None: not in the pool) and bytes."""
    random = np.random.default_rng(seed)
    counts = random.integers(2, 60, rows).tolist()
    return [(f"{source}-{k}", None if k % 7 == 3 else count, k) for k, count in enumerate(counts)]


POOL = {"web": documents_of("web", 150, 1), "code": documents_of("code", 90, 2), "pdf": []}


def write_pool(folder, splits):
    """The pool in so many shards per source, documents dealt out in turn."""
    shards = []
    for source, documents in POOL.items():
        for part in range(splits):
            its = documents[part::splits]
            file = write_documents(folder, source, part, [one[0] for one in its])
            tables = {}
            for table, schema, rows in (
                ("tokens", TOKENS_SCHEMA, [tokens_row(count) for _, count, _ in its]),
                ("size", Size().schema, [{"bytes": size, "words": 1} for _, _, size in its]),
            ):
                dataset = Dataset(f"{folder}/{table}/{source}", "f")
                groups = [
                    pa.RecordBatch.from_pylist(rows[k : k + GROUP_ROWS], schema)
                    for k in range(0, len(rows), GROUP_ROWS)
                ]
                write_table(dataset, file, schema, groups)
                tables[table] = dataset.path(file.path)
            path = f"{folder}/documents/{source}/{file.path}"
            shards.append(PoolShard(len(shards), source, path, file, tables))
    return shards


def write_documents(folder, source, part, ids):
    digest = rows_digest(ids)
    schema = SCHEMA.with_metadata({ROWS_DIGEST_KEY: digest.encode()})
    path = folder / "documents" / source / f"{part:05d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": one, "text": "x", "source": source, "metadata": "{}"} for one in ids]
    with pq.ParquetWriter(path, schema) as writer:
        for k in range(0, len(rows), GROUP_ROWS):
            writer.write_batch(pa.RecordBatch.from_pylist(rows[k : k + GROUP_ROWS], schema))
    return OutputFile(path.name, 1, "x", len(ids), digest, len(ids))


def tokens_row(count):
    if count is None:
        return dict.fromkeys(TOKENS_SCHEMA.names)
    tokens = [0] * (count - 1)
    return {"tokens": tokens, "count": count, "digest": count, "cut_bytes": 0, "reason": None}


def mix_of(tokens, **more):
    fields = {
        "tokens": tokens,
        "tokenizer": "x",
        "shares": {"web": 0.75, "code": 0.25},
        "where": None,
        "exclude": (),
        "max_epochs": {"web": 4.0, "code": 4.0},
        "seed": 0,
        "file_tokens": 100,
        "outputs": ("tokens",),
    }
    return Mix(**{**fields, **more})


def run(folder, mix, splits=1):
    """Copies by id, budgets and counts by source."""
    shards = write_pool(folder, splits)
    choice = Choice(mix.where, mix.seed, SCHEMAS)
    budgets = find_budgets(Workspace(str(folder / "w")), mix, shards, choice, OPTIONS)
    copies, counts = {}, {}
    for shard in shards:
        dataset = Dataset(f"{folder}/selection/{shard.source}", "f")
        select_shard(TableTask(shard, dataset), choice, budgets)
        table = pq.read_table(dataset.path(shard.file.path))
        assert table.schema.remove_metadata() == SELECTION_SCHEMA
        ids = pq.read_table(shard.documents)["id"].to_pylist()
        copies.update(zip(ids, table["copies"].to_pylist(), strict=True))
        counts.setdefault(shard.source, []).append(dataset.read_record(shard.task).counts)
    return copies, budgets, counts


def tokens_taken(copies, source):
    return sum(copies[name] * (count or 0) for name, count, _ in POOL[source])


@pytest.mark.parametrize("total", [200, 3000, 9000])
def test_each_source_is_met_to_within_one_document_below_and_above_an_epoch(tmp_path, total):
    copies, budgets, counts = run(tmp_path, mix_of(total))
    for source, share in (("web", 0.75), ("code", 0.25)):
        wanted = total * share
        taken = tokens_taken(copies, source)
        longest = max(count for _, count, _ in POOL[source] if count)
        assert wanted - longest < taken <= wanted
        assert taken == budgets[source].taken_tokens == counts[source][0]["tokens"]
    assert all(copies[name] == 0 for one in POOL.values() for name, count, _ in one if not count)


def test_the_split_into_shards_changes_no_choice(tmp_path):
    one, budgets, _ = run(tmp_path / "one", mix_of(2000))
    three, budgets_of_three, _ = run(tmp_path / "three", mix_of(2000), splits=3)
    assert three == one
    assert budgets_of_three == budgets


def test_the_digest_tells_which_documents_are_taken_however_they_are_split(tmp_path):
    digests = []
    for name, total, splits in (("one", 2000, 1), ("three", 2000, 3), ("more", 3000, 1)):
        _, _, counts = run(tmp_path / name, mix_of(total), splits)
        digests.append(sum(one["documents_digest"] for one in counts["web"]) % (1 << 64))
    assert digests[0] == digests[1]
    assert digests[2] not in (0, digests[0])


def test_a_source_that_would_hold_nothing_is_an_error_that_says_so(tmp_path):
    first = find_first(tmp_path, "code")
    with pytest.raises(BudgetError, match=rf"^code: .* {first - 1:,} tokens.*\({first:,}\)"):
        run(tmp_path / "less", mix_of(4 * (first - 1)))


def find_first(folder, source):
    """Tokens of the first document that is taken of a source."""
    copies, _, _ = run(folder / "all", mix_of(3000))
    order = {
        name: int(order_key(id_hashes(pa.array([name]))[0], 0)[0])
        for name, count, _ in POOL[source]
        if count
    }
    first = min(order, key=order.get)
    assert copies[first]
    return next(count for name, count, _ in POOL[source] if name == first)


def test_another_seed_is_another_choice(tmp_path):
    first, _, _ = run(tmp_path / "a", mix_of(2000))
    second, _, _ = run(tmp_path / "b", mix_of(2000, seed=1))
    assert first != second


def test_only_documents_that_meet_where_are_taken_and_the_others_counted(tmp_path):
    copies, budgets, counts = run(tmp_path, mix_of(1000, where="size.bytes >= 50"))
    sizes = {name: size for one in POOL.values() for name, _, size in one}
    assert all(sizes[name] >= 50 for name, number in copies.items() if number)
    unmet = [name for name, count, size in POOL["web"] if count and size < 50]
    (web,) = counts["web"]
    assert web["removed.where"] == len(unmet)
    eligible = [count for _, count, size in POOL["web"] if count and size >= 50]
    assert budgets["web"].available_tokens == sum(eligible)
    assert web["candidates"] == web["kept"] + web["removed"]


def test_an_excluded_source_gives_nothing_and_the_others_fill_the_mix(tmp_path):
    copies, budgets, counts = run(tmp_path, mix_of(1000, exclude=("web",)))
    assert set(budgets) == {"code"}
    assert tokens_taken(copies, "web") == 0
    assert budgets["code"].wanted_tokens == 1000
    (web,) = counts["web"]
    assert web["removed.not in this mix"] == web["candidates"] == web["removed"]


def test_all_sources_that_hold_too_little_are_told_at_once(tmp_path):
    mix = mix_of(10**6, shares={"web": 0.5, "code": 0.3, "pdf": 0.2})
    mix.max_epochs["pdf"] = 1.0
    with pytest.raises(BudgetError) as raised:
        run(tmp_path, mix)
    sentence = str(raised.value)
    assert all(f"{source}: the recipe asks for" in sentence for source in ("web", "code", "pdf"))
    assert "pdf: the recipe asks for 200,000 tokens but no document is left" in sentence


def test_a_stage_depends_on_its_sources_part_of_the_mix_alone(tmp_path):
    def fingerprints(mix, inputs="f"):
        stages = select_stages(
            Workspace(str(tmp_path)), "tiny", mix, dict.fromkeys(POOL), [],
            {source: {"tokens": inputs} for source in POOL},
        )  # fmt: skip
        return {source: stage.fingerprint for source, stage in stages.items()}

    before = fingerprints(mix_of(1000))
    assert fingerprints(mix_of(1000)) == before
    for other in (mix_of(2000), mix_of(1000, seed=1), mix_of(1000, where="true")):
        assert all(fingerprints(other)[source] != before[source] for source in ("web", "code"))
    assert fingerprints(mix_of(1000, file_tokens=5)) == before
    assert all(one != before[source] for source, one in fingerprints(mix_of(1000), "g").items())
