"""The funnel: what came in is kept, removed by a reason or quarantined, at every joint."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipelines.reports.funnel import Funnel, FunnelStep, make_funnel
from transforms.datasets import Manifest


def manifest(name, **counts):
    counts = {key.replace("__", "."): value for key, value in counts.items()}
    return Manifest(name, "f", 1, {}, {}, [], counts, {}, {}, "0")


MANIFESTS = {
    one.stage: one
    for one in (
        manifest("documents web", records=100, documents=90, text_bytes=9000, removed__binary=4,
                 quarantined__broken=6),
        manifest("candidates web", candidates=90, removed=30, kept=60, kept_text_bytes=6000,
                 removed__words=20, removed__contaminated=10, found__words=25,
                 found__contaminated=10),
        manifest("exact_duplicates web", candidates=60, removed=5, kept_text_bytes=5500),
        manifest("fuzzy_duplicates web", candidates=55, removed=15, kept_text_bytes=4000),
        manifest("tokens web", candidates=40, removed=1, kept_text_bytes=3900, tokens=1000,
                 removed__cut=1),
        manifest("selection web", candidates=39, removed=19, tokens=500, removed__where=9,
                 removed__drawn=10),
    )
}  # fmt: skip


def steps_of(manifests):
    return make_funnel(["web"], manifests)


def test_each_stage_is_a_step_with_what_it_saw_kept_and_removed():
    steps = steps_of(MANIFESTS).steps
    assert [(step.stage, step.seen, step.kept) for step in steps] == [
        ("ingest", 100, 90),
        ("filter", 90, 60),
        ("exact-dedup", 60, 55),
        ("fuzzy-dedup", 55, 40),
        ("tokenize", 40, 39),
        ("select", 39, 20),
    ]
    assert steps[0].quarantined == {"broken": 6}
    assert steps[1].removed == {"words": 20, "contaminated": 10}
    assert steps[3].removed == {"duplicate": 15}
    assert steps[5].tokens == 500


def test_what_is_cut_for_benchmarks_is_shown():
    tokens = manifest(
        "tokens web", cut__passages=3, cut__documents=2, cut__bytes=1412, candidates=40, removed=1
    )
    funnel = steps_of({**MANIFESTS, tokens.stage: tokens})
    console = Console(file=io.StringIO(), width=100)
    console.print(funnel)
    assert "3  benchmark passages cut (1,412 bytes of 2 documents)" in console.file.getvalue()
    assert funnel.steps[4].cut == {"passages": 3, "documents": 2, "bytes": 1412}


def test_copies_that_size_and_tokens_count_are_told():
    its = MANIFESTS["selection web"]
    for copies, told in ((20, False), (33, True)):
        selection = replace(its, counts={**its.counts, "copies": copies})
        funnel = steps_of({**MANIFESTS, its.stage: selection})
        lines = [" ".join(line.split()) for line in shown(funnel, 100).splitlines()]
        assert ("33 with copies, as size and tokens count" in lines) == told
        assert Funnel.from_json(funnel.to_json()) == funnel


def test_what_balances_has_no_imbalance():
    funnel = steps_of(MANIFESTS)
    assert funnel.imbalances() == []
    ledger = funnel.ledger()["web"]
    assert (ledger["in"], ledger["kept"], ledger["balanced"]) == (100, 20, True)
    gone = sum(ledger["removed"].values()) + sum(ledger["quarantined"].values())
    assert gone == 80
    assert ledger["removed"]["filter: words"] == 20


def test_passages_that_are_cut_are_counted_and_remove_no_document():
    cut = manifest("repeated_passages web", candidates=40, removed=0, kept_text_bytes=3800,
                   cut__documents=8, cut__passages=12, cut__bytes=200)  # fmt: skip
    funnel = steps_of({**MANIFESTS, cut.stage: cut})
    step = funnel.steps[4]
    assert (step.stage, step.seen, step.kept) == ("substring-dedup", 40, 40)
    assert step.cut == {"bytes": 200, "documents": 8, "passages": 12}
    assert funnel.imbalances() == []
    out = io.StringIO()
    Console(file=out, width=100).print(funnel)
    assert "12  passages cut (200 bytes of 8 documents)" in out.getvalue()


def test_size_is_not_told_where_cuts_of_two_stages_may_overlap():
    """Each looks for passages in the whole text: what the second leaves alone says nothing."""
    counts = {"candidates": 40, "removed": 0, "cut__documents": 8, "cut__passages": 12}
    first = manifest("repeated_passages web", **counts, kept_text_bytes=3800, cut__bytes=200)
    second = manifest("repeated_lines web", **counts, kept_text_bytes=3900, cut__bytes=100)
    steps = {
        step.stage: step
        for step in steps_of({**MANIFESTS, first.stage: first, second.stage: second}).steps
    }
    assert steps["substring-dedup"].text_bytes == 3800
    assert steps["line-dedup"].text_bytes is None
    assert steps["tokenize"].text_bytes is not None


def test_what_repeats_an_earlier_run_has_a_reason_of_its_own():
    counts = {"candidates": 9, "removed": 3, "removed.duplicate": 1}
    counts["removed.duplicate of published"] = 2
    name = "exact_duplicates web"
    made = [manifest("documents web", records=9, documents=9), manifest(name, **counts)]
    *_, step = steps_of({one.stage: one for one in made}).steps
    assert (step.seen, step.kept) == (9, 6)
    assert step.removed == {"duplicate": 1, "duplicate of published": 2}


def test_stages_that_a_recipe_leaves_out_are_no_steps():
    manifests = {k: v for k, v in MANIFESTS.items() if "duplicates" not in k}
    manifests["tokens web"] = manifest("tokens web", candidates=60, removed=0, tokens=1)
    manifests["selection web"] = manifest("selection web", candidates=60, removed=0, tokens=1)
    funnel = steps_of(manifests)
    assert [step.stage for step in funnel.steps] == ["ingest", "filter", "tokenize", "select"]
    assert funnel.imbalances() == []


def test_a_run_that_ended_early_has_the_steps_that_are_known():
    for known in range(len(MANIFESTS) + 1):
        funnel = steps_of(dict(list(MANIFESTS.items())[:known]))
        assert funnel.steps == steps_of(MANIFESTS).steps[:known]
        assert funnel.imbalances() == []
        assert all(entry["balanced"] for entry in funnel.ledger().values())


@pytest.mark.parametrize(
    ("stage", "counter", "more", "parts"),
    [
        ("documents web", "documents", -1, ["web, ingest: 100 in, but 89 kept", "ingest kept 89"]),
        ("documents web", "records", 1, ["web, ingest: 101 in, but 90 kept"]),
        ("documents web", "quarantined.broken", 1, ["web, ingest"]),
        ("candidates web", "removed.words", 1, ["web, filter"]),
        (
            "candidates web",
            "candidates",
            1,
            ["ingest kept 90 but filter saw 91", "filter kept 61 but exact-dedup saw 60"],
        ),
        ("fuzzy_duplicates web", "candidates", 2, ["exact-dedup kept 55 but fuzzy-dedup saw 57"]),
        ("tokens web", "removed", 1, ["tokenize kept 38 but select saw 39"]),
        ("selection web", "removed", 1, ["web, select"]),
    ],
)
def test_a_document_that_is_lost_or_appears_is_told(stage, counter, more, parts):
    before = MANIFESTS[stage]
    changed = replace(before, counts={**before.counts, counter: before.counts[counter] + more})
    problems = "; ".join(steps_of({**MANIFESTS, stage: changed}).imbalances())
    for part in parts:
        assert part in problems


def test_sources_do_not_balance_each_other():
    first = FunnelStep("a", "ingest", 10, 9, None, None, {}, {})
    second = FunnelStep("b", "ingest", 10, 10, None, None, {"x": 1}, {})
    assert len(Funnel((first, second)).imbalances()) == 2
    ledger = Funnel((first, second)).ledger()
    assert [ledger[source]["balanced"] for source in "ab"] == [False, False]


REASONS = [
    "6  quarantined: broken",
    "4  binary",
    "20  words (25 found)",
    "10  contaminated",
    "15  duplicate",
    "9  where",
]


def shown(funnel, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(funnel)
    return console.file.getvalue()


def test_every_stage_is_a_row_with_its_numbers_and_below_it_a_reason_a_line():
    lines = [line.split() for line in shown(steps_of(MANIFESTS), 80).splitlines()]
    for row in (
        ["web", "ingest", "100", "90", "9.0", "kB"],
        ["filter", "90", "60", "6.0", "kB"],
        ["exact-dedup", "60", "55", "5.5", "kB"],
        ["fuzzy-dedup", "55", "40", "4.0", "kB"],
        ["tokenize", "40", "39", "3.9", "kB", "1,000"],
        ["select", "39", "20", "500"],
        *(reason.split() for reason in REASONS),
    ):
        assert row in lines


LONG = FunnelStep(
    "some-long-source-name", "filter", 10**9, 10**8, 10**12, 10**11,
    {"gopher.duplicate_paragraph_characters": 9 * 10**8}, {},
    {"gopher.duplicate_paragraph_characters": 10**9},
)  # fmt: skip


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_number_is_lost_and_no_reason_broken_where_it_fits(width):
    text = shown(Funnel((*steps_of(MANIFESTS).steps, LONG)), width)
    assert max(len(line) for line in text.splitlines()) <= width
    whole = "".join(text.split())
    for part in (
        "100", "1,000", "9.0kB", "20words(25found)", "1,000,000,000", "100,000,000,000", "1.0TB",
        "900,000,000gopher.duplicate_paragraph_characters(1,000,000,000found)",
    ):  # fmt: skip
        assert part in whole
    if width >= 80:
        assert " gopher.duplicate_paragraph_characters (1" in text


def test_the_most_frequent_reasons_are_named_and_the_rest_counted():
    def listed(number):
        removed = {f"r{k}": 10 - k for k in range(number)}
        step = FunnelStep("a", "filter", 100, 100 - sum(removed.values()), None, None, removed, {})
        return shown(Funnel((step,)), 80)

    assert "other reasons" not in listed(6)
    assert "9  for 2 other reasons" in listed(7)


def test_contamination_that_other_rules_hid_is_shown():
    step = FunnelStep("a", "filter", 9, 8, None, None, {"w": 1}, {}, {"contaminated": 3, "w": 1})
    text = shown(Funnel((step,)), 80)
    assert "0  contaminated (3 found)" in text
    assert "counts under the first rule" in text
    assert "found" not in shown(Funnel((replace(step, found={"w": 1}),)), 80)


def test_as_json_it_holds_the_ledger_and_its_steps():
    value = steps_of(MANIFESTS).to_json()
    assert value["sources"]["web"]["kept"] == 20
    assert value["steps"][1] == {
        "source": "web",
        "stage": "filter",
        "in": 90,
        "kept": 60,
        "text_bytes": 6000,
        "tokens": None,
        "removed": {"contaminated": 10, "words": 20},
        "quarantined": {},
        "found": {"contaminated": 10, "words": 25},
        "cut": {},
    }


def test_it_comes_back_from_json_as_it_was():
    funnel = steps_of(MANIFESTS)
    assert Funnel.from_json(funnel.to_json()) == funnel
    for none in ({}, {"steps": [{"x": 1}]}, {"steps": 1}):
        with pytest.raises((KeyError, TypeError)):
            Funnel.from_json(none)
