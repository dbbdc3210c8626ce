"""Selection: the same documents in every split, tokens to within one document, sources by share."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.mixing.budgets import find_budgets
from pipelines.mixing.eligible import Choice, Grade
from pipelines.mixing.select import select_shard, select_stages
from pipelines.mixing.selection_table import selection_schema, stage_columns
from pipelines.mixing.windows import find_windows
from pipelines.recipes.mix_part import Mix
from pipelines.tables import TableTask
from pipelines.tokenize import TOKENS_SCHEMA
from pipelines.workspace import Workspace
from transforms.attributes import write_table
from transforms.checks.documents import id_hashes
from transforms.datasets import Dataset, OutputFile
from transforms.dedup.pool import PoolShard
from transforms.documents import ROWS_DIGEST_KEY, SCHEMA, rows_digest
from transforms.mixing.budget import BudgetError, divide_tokens, order_key
from transforms.mixing.cells import GradedBudget, budget_from_json
from transforms.mixing.curriculum import (
    Curriculum,
    CurriculumStage,
    shares_in_stage,
    tokens_by_stage,
)
from transforms.mixing.partition import Quality, Repeat
from transforms.mixing.window import Window
from transforms.quality.size import Size

OPTIONS = PipelineOptions(["--direct_num_workers=1"])
GROUP_ROWS = 40
SCHEMAS = {"size": Size().schema, "tokens": TOKENS_SCHEMA}
CHOICE = Choice(None, 0, SCHEMAS)


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


def run(folder, mix, splits=1, grades=None):
    """Copies by id, budgets and counts by source."""
    copies, budgets, counts, _ = run_staged(folder, mix, splits, grades)
    return copies, budgets, counts


def run_staged(folder, mix, splits=1, grades=None):
    """The same, and copies by id in each stage of a curriculum; with bounds of windows where the
    mix has some."""
    stages = len(mix.curriculum.stages) if mix.curriculum else 0
    shards = write_pool(folder, splits)
    choice = Choice(mix.where, mix.seed, SCHEMAS, grades or {}, mix.windows)
    bounds = find_windows(Workspace(str(folder / "w")), shards, choice, OPTIONS)
    choice = replace(choice, bounds=bounds)
    budgets = find_budgets(Workspace(str(folder / "w")), mix, shards, choice, OPTIONS)
    copies, counts = {}, {}
    in_stage = [{} for _ in range(stages)]
    for shard in shards:
        dataset = Dataset(f"{folder}/selection/{shard.source}", "f")
        select_shard(TableTask(shard, dataset), choice, budgets)
        table = pq.read_table(dataset.path(shard.file.path))
        assert table.schema.remove_metadata() == selection_schema(
            stages, shard.source in choice.windows
        )
        ids = pq.read_table(shard.documents)["id"].to_pylist()
        copies.update(zip(ids, table["copies"].to_pylist(), strict=True))
        for its, name in zip(in_stage, stage_columns(stages), strict=True):
            its.update(zip(ids, table[name].to_pylist(), strict=True))
        counts.setdefault(shard.source, []).append(dataset.read_record(shard.task).counts)
    return copies, budgets, counts, in_stage


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


def by_brute_force(mix):
    """Copies by id, by following the words of the recipe reference: documents in the order of their
    hashes, one by one, until the next would pass the number; what one lacks others give token by
    token."""
    copies = {}
    there = {
        source: sum(count or 0 for _, count, _ in POOL[source]) * mix.max_epochs[source]
        for source in mix.shares
    }
    wanted = divide_tokens(mix.tokens, mix.shares)
    if mix.shortage == "less":
        total = mix.tokens
        scale = sum(Fraction(share) for share in mix.shares.values())
        while any(total * Fraction(mix.shares[one]) / scale > there[one] for one in there):
            total -= 1
        wanted = divide_tokens(total, mix.shares)
    if mix.shortage == "share_out":
        full = {}
        while any(wanted[one] > there[one] for one in wanted):
            full.update({one: int(there[one]) for one in wanted if wanted[one] > there[one]})
            others = {one: share for one, share in mix.shares.items() if one not in full}
            wanted = {**full, **divide_tokens(mix.tokens - sum(full.values()), others)}
    for source, asked in wanted.items():
        names = [name for name, count, _ in POOL[source] if count]
        hashes = order_key(id_hashes(pa.array(names))[0], mix.seed).tolist()
        counts = {name: count for name, count, _ in POOL[source]}
        its, taken = dict.fromkeys(names, 0), 0
        in_order = [name for _, name in sorted(zip(hashes, names, strict=True))]
        place = 0
        while taken + counts[in_order[place % len(names)]] <= asked:
            its[in_order[place % len(names)]] += 1
            taken += counts[in_order[place % len(names)]]
            place += 1
        copies.update(its)
    return copies


@pytest.mark.parametrize("number", range(10))
def test_a_random_recipe_takes_what_brute_force_takes(tmp_path, number):
    random = np.random.default_rng(number)
    share = float(random.uniform(0.2, 0.8))
    mix = mix_of(
        int(random.integers(300, 9000)),
        shares={"web": share, "code": 1 - share},
        max_epochs={"web": float(random.integers(1, 4)), "code": float(random.integers(1, 4))},
        seed=int(random.integers(0, 99)),
        shortage=str(random.choice(["share_out", "less"])),
    )
    copies, budgets, _ = run(tmp_path, mix, splits=int(random.integers(1, 4)))
    wanted = by_brute_force(mix)
    assert {name: number for name, number in copies.items() if name in wanted} == wanted
    for source, budget in budgets.items():
        assert budget.taken_tokens == tokens_taken(copies, source)
        assert budget.wanted_tokens - budget.taken_tokens < max(budget.next_document_tokens, 1)


def test_a_source_more_changes_no_choice_of_the_others(tmp_path):
    """As long as they are asked for the same tokens."""
    two, _, _ = run(tmp_path / "two", mix_of(2000))
    alone = mix_of(500, shares={"code": 1.0})
    one, _, _ = run(tmp_path / "one", alone)
    of_code = {name: number for name, number in two.items() if name.startswith("code-")}
    assert {name: number for name, number in one.items() if name.startswith("code-")} == of_code


@pytest.mark.parametrize("rule", ["share_out", "less"])
def test_by_a_rule_of_shortage_no_source_is_refused(tmp_path, rule):
    mix = mix_of(4000, max_epochs={"web": 4.0, "code": 0.25}, shortage=rule)
    _, budgets, _ = run(tmp_path, mix)
    code = budgets["code"]
    assert code.wanted_tokens <= code.most_tokens == int(code.available_tokens * 0.25) < 1000
    total = sum(budget.wanted_tokens for budget in budgets.values())
    assert total == 4000 if rule == "share_out" else total < 4000
    if rule == "less":
        assert abs(code.wanted_tokens / total - 0.25) < 1 / total
    else:
        assert code.wanted_tokens == code.most_tokens


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
            Workspace(str(tmp_path)), "tiny", mix, CHOICE, dict.fromkeys(POOL), [],
            {source: {"tokens": inputs} for source in POOL},
        )  # fmt: skip
        return {source: stage.fingerprint for source, stage in stages.items()}

    before = fingerprints(mix_of(1000))
    assert fingerprints(mix_of(1000)) == before
    for other in (mix_of(2000), mix_of(1000, seed=1), mix_of(1000, where="true")):
        assert all(fingerprints(other)[source] != before[source] for source in ("web", "code"))
    assert fingerprints(mix_of(1000, file_tokens=5)) == before
    assert all(one != before[source] for source, one in fingerprints(mix_of(1000), "g").items())


def test_a_stage_that_may_have_to_give_for_others_depends_on_their_tokens(tmp_path):
    def fingerprint(mix, of_web):
        inputs = {"web": {"tokens web": of_web}, "code": {"tokens code": "f"}}
        its = select_stages(
            Workspace(str(tmp_path)), "tiny", mix, CHOICE, dict.fromkeys(inputs), [], inputs
        )
        return its["code"].fingerprint

    for rule in ("share_out", "less"):
        mix = mix_of(1000, shortage=rule)
        assert fingerprint(mix, "f") != fingerprint(mix, "g")
    assert fingerprint(mix_of(1000), "f") == fingerprint(mix_of(1000), "g")


# Quality and repetition: the size in bytes is the score, k % 3 the topic, k % 5 the repetition

QUALITY = Quality("size.bytes", "x", 5, 0.4, 3.0, ("web",), {})
GRADES = {
    "web": Grade(
        "size.bytes",
        "CASE size.bytes % 3 WHEN 0 THEN 'art' WHEN 1 THEN 'law' END",
        "size.bytes % 5",
        ((0, 1), (3, 2)),
    )
}


def graded(tokens, **more):
    return mix_of(tokens, quality=QUALITY, repeat=Repeat(None, ((3, 2),)), **more)


def test_quality_decides_how_often_each_document_is_taken(tmp_path):
    copies, budgets, counts = run(tmp_path, graded(3000), grades=GRADES)
    web, code = budgets["web"], budgets["code"]
    assert not isinstance(code, GradedBudget)
    assert tokens_taken(copies, "web") == web.taken_tokens == counts["web"][0]["tokens"]
    assert 0 <= web.wanted_tokens - web.taken_tokens < web.next_document_tokens
    assert web.partition.topics == ("", "art", "law")
    by_cell = {}
    for name, count, size in POOL["web"]:
        if count:
            topic = {0: "art", 1: "law"}.get(size % 3, "")
            fits = [
                n
                for n, cell in enumerate(web.cells)
                if cell.place.topic == topic
                and (cell.place.low is None or size > cell.place.low)
                and (cell.place.high is None or size <= cell.place.high)
                and cell.place.times == (2 if size % 5 >= 3 else 1)
            ]
            by_cell.setdefault(fits[0], []).append((copies[name], count))
            assert len(fits) == 1
    for number, its in by_cell.items():
        cell = web.cells[number]
        assert sum(count for _, count in its) == cell.budget.available_tokens
        assert sum(times * count for times, count in its) == cell.budget.taken_tokens
        assert cell.budget.taken_tokens <= 3.0 * cell.place.times * cell.budget.available_tokens
    nothing = [n for n, cell in enumerate(web.cells) if not cell.budget.wanted_tokens]
    assert counts["web"][0]["removed.quality"] == sum(len(by_cell.get(n, ())) for n in nothing) > 0


def test_bins_and_choice_do_not_depend_on_the_split(tmp_path):
    one, budgets, _ = run(tmp_path / "one", graded(3000), 1, GRADES)
    four, of_four, _ = run(tmp_path / "four", graded(3000), 4, GRADES)
    assert one == four
    assert budgets == of_four


def test_the_cell_of_each_document_is_stored(tmp_path):
    run(tmp_path, graded(3000), grades=GRADES)
    (path,) = (tmp_path / "selection" / "web").rglob("*.parquet")
    table = pq.read_table(path)
    assert set(table["cell"].is_null().to_pylist()) == {True, False}
    assert table["cell"].is_valid().to_pylist() == table["eligible"].to_pylist()


def test_a_source_that_quality_leaves_too_little_is_told_with_the_numbers(tmp_path):
    with pytest.raises(BudgetError) as raised:
        run(tmp_path, graded(40_000, max_epochs={"web": 9.0, "code": 9.0}), grades=GRADES)
    assert "web: the recipe asks for 30,000 tokens" in str(raised.value)
    assert "mix.quality.discard" in str(raised.value)


def test_what_quality_leaves_too_little_others_give(tmp_path):
    mix = graded(12_000, max_epochs={"web": 1.0, "code": 9.0}, shortage="share_out")
    _, budgets, _ = run(tmp_path, mix, grades=GRADES)
    assert budgets["web"].wanted_tokens == budgets["web"].most_tokens < 9000
    assert sum(budget.wanted_tokens for budget in budgets.values()) == 12_000


def test_a_stage_depends_on_its_sources_quality(tmp_path):
    def fingerprints(mix, grades):
        choice = Choice(None, 0, SCHEMAS, grades)
        its = {source: {"tokens": "f"} for source in POOL}
        stages = select_stages(
            Workspace(str(tmp_path)), "tiny", mix, choice, dict.fromkeys(POOL), [], its
        )
        return {source: stage.fingerprint for source, stage in stages.items()}

    before = fingerprints(graded(3000), GRADES)
    plain = fingerprints(mix_of(3000), {})
    assert before["web"] != plain["web"]
    assert before["code"] == plain["code"]
    other = replace(graded(3000), quality=replace(QUALITY, discard=0.2))
    assert fingerprints(other, GRADES)["web"] != before["web"]


# Curricula: the same documents, stage by stage

STAGED = {"web": 0.75, "code": 0.25}


def curriculum_of(*stages, quality="even"):
    """Of (share, shares that are named)."""
    return Curriculum(
        tuple(
            CurriculumStage(share, shares_in_stage(STAGED, named, list(STAGED)))
            for share, named in stages
        ),
        quality,
    )


def check_stages(copies, budgets, in_stage, mix):
    """Stages sum to the mix, and up to the end of each a source has the tokens that it should."""
    assert copies == {name: sum(its[name] for its in in_stage) for name in copies}
    for source in mix.proportions:
        budget, until = budgets[source], 0
        wanted = (*mix.stage_ends(source, budget.wanted_tokens), budget.wanted_tokens)
        ends = (*budget.stage_ends, budget)
        for number, (its, end) in enumerate(zip(in_stage, ends, strict=True)):
            here = tokens_taken(its, source)
            until += here
            assert until == end.taken_tokens
            assert 0 <= wanted[number] - until < max(end.next_document_tokens, 1)
            told = tokens_by_stage(budgets)[number][source]
            assert told.taken_tokens == here


def test_a_curriculum_puts_the_same_documents_into_stages(tmp_path):
    stages = ((0.5, {}), (0.3, {"code": 0.6}), (0.2, {"code": 1.0}))
    mix = mix_of(6000, curriculum=curriculum_of(*stages))
    copies, budgets, counts, in_stage = run_staged(tmp_path / "staged", mix)
    check_stages(copies, budgets, in_stage, mix)
    # 0.5 * 0.25 + 0.3 * 0.6 + 0.2 of the whole is code.
    assert mix.proportions == pytest.approx({"web": 0.495, "code": 0.505})
    assert budgets["code"].wanted_tokens == 3030
    assert tokens_taken(in_stage[2], "web") == 0
    plain, _, _ = run(tmp_path / "plain", mix_of(6000, shares=mix.proportions))
    assert copies == plain
    its = counts["code"][0]
    for name in ("tokens", "copies"):
        assert its[name] == sum(its[f"{stage}.{name}"] for stage in stage_columns(3))
    digests = sum(its[f"{stage}.documents_digest"] for stage in stage_columns(3))
    assert (digests - its["documents_digest"]) % (1 << 64) == 0


def test_no_document_comes_again_before_its_whole_source_has_come(tmp_path):
    mix = mix_of(9000, curriculum=curriculum_of((0.2, {}), (0.5, {}), (0.3, {})))
    _, budgets, _, in_stage = run_staged(tmp_path, mix)
    assert budgets["web"].epochs > 1.5
    for source in STAGED:
        names = [name for name, count, _ in POOL[source] if count]
        until = np.zeros(len(names), np.int64)
        for its in in_stage:
            until += [its[name] for name in names]
            assert until.max() - until.min() <= 1
        assert until.max() == np.ceil(budgets[source].epochs)


def test_earlier_stages_are_a_smaller_mix(tmp_path):
    mix = mix_of(4000, curriculum=curriculum_of((0.25, {}), (0.75, {})))
    _, _, _, in_stage = run_staged(tmp_path / "staged", mix)
    alone, _, _ = run(tmp_path / "alone", mix_of(1000))
    assert in_stage[0] == alone


@pytest.mark.parametrize("quality", ["even", "rising"])
@pytest.mark.parametrize("splits", [1, 3])
def test_stages_of_graded_sources_are_met_in_any_split(tmp_path, quality, splits):
    stages = ((0.4, {}), (0.4, {"web": 0.5}), (0.2, {"web": 0.9}))
    mix = mix_of(
        3000, curriculum=curriculum_of(*stages, quality=quality), quality=QUALITY,
        repeat=Repeat("size.bytes % 5", ((3, 2),)),
    )  # fmt: skip
    copies, budgets, _, in_stage = run_staged(tmp_path / "one", mix, splits, grades=GRADES)
    check_stages(copies, budgets, in_stage, mix)
    one, budgets_of_one, _, in_stage_of_one = run_staged(tmp_path / "two", mix, 2, grades=GRADES)
    assert (one, budgets_of_one, in_stage_of_one) == (copies, budgets, in_stage)
    sizes = {name: size for name, _, size in POOL["web"]}
    means = [
        np.average([sizes[name] for name in sizes], weights=[its[name] for name in sizes])
        for its in in_stage
    ]
    if quality == "rising":
        assert means[0] < means[1] < means[2]
    else:
        assert max(means) - min(means) < 15
    assert budget_from_json(budgets["web"].to_json()) == budgets["web"]


@pytest.mark.parametrize("number", range(6))
def test_a_random_curriculum_is_met_stage_by_stage(tmp_path, number):
    random = np.random.default_rng(number)
    count = int(random.integers(2, 6))
    shares = random.dirichlet(np.ones(count)).tolist()
    stages = [
        (share, {"code": float(random.uniform(0, 1))} if random.random() < 0.7 else {})
        for share in shares
    ]
    mix = mix_of(
        int(random.integers(500, 8000)),
        curriculum=curriculum_of(*stages),
        shortage="share_out",
        seed=int(random.integers(0, 99)),
    )
    copies, budgets, _, in_stage = run_staged(tmp_path, mix, splits=int(random.integers(1, 4)))
    check_stages(copies, budgets, in_stage, mix)


# Windows


@pytest.mark.parametrize("splits", [1, 3])
def test_only_the_middle_of_a_source_that_meets_where_is_taken(tmp_path, splits):
    window = Window("CASE WHEN size.bytes < 140 THEN size.bytes END", 0.2, 0.8)
    mix = mix_of(1000, where="size.bytes >= 10", windows={"web": window})
    copies, budgets, counts = run(tmp_path, mix, splits)
    sizes = sorted(size for _, count, size in POOL["web"] if count and 10 <= size < 140)
    kept = sizes[len(sizes) // 5 : len(sizes) - len(sizes) // 5]
    tokens = {size: count for _, count, size in POOL["web"]}
    assert budgets["web"].available_documents == len(kept)
    assert budgets["web"].available_tokens == sum(tokens[size] for size in kept)
    assert {size for name, _, size in POOL["web"] if copies[name]} <= set(kept)
    its = {name: sum(one[name] for one in counts["web"]) for name in counts["web"][0]}
    without = sum(1 for _, count, size in POOL["web"] if count and size >= 140)
    assert its["removed.window"] == len(sizes) - len(kept) + without
    assert its["removed.where"] == sum(1 for _, n, size in POOL["web"] if n and size < 10)
    assert its["candidates"] == its["kept"] + its["removed"]
    assert "removed.window" not in counts["code"][0]
    assert budgets["code"].available_documents == sum(
        1 for _, count, size in POOL["code"] if count and size >= 10
    )
