"""The datasheet says what is known of a mix, in tables that no name can break."""

import re
from dataclasses import replace

import pytest

from pipelines.reports.datasheet import (
    QUALITY_PLOT,
    BenchmarkFacts,
    MixFacts,
    SourceFacts,
    write_datasheet,
)
from pipelines.reports.funnel import Funnel, FunnelStep
from transforms.datasets import OutputFile
from transforms.mixing.sequences import Sequencing

WEB = SourceFacts(
    name="web", ingest="warc", tokens=3_000_000, documents=1200, distinct=900,
    available_tokens=2_000_000, share=0.75, asked_share=0.7512, available_share=0.4, epochs=1.5,
    inputs=(3, 4_000_000), fingerprint="aa11", licenses={},
)  # fmt: skip
CODE = replace(
    WEB, name="code", ingest="code", tokens=1_000_000, documents=10, distinct=10, share=0.25,
    epochs=0.5, inputs=(1, 1000), licenses={"MIT": (6, 700_000)}, license="various",
    description="Code of many *projects*", homepage="https://example.org/code",
)  # fmt: skip
MIX = MixFacts(
    name="small", description="For tests of the [page](https://example.org).", fingerprint="f00d",
    code="9.9.9", tokenizer="ab" * 32, vocabulary_size=4096, eos=7, pad=8, order="shards", seed=0,
    sources=(WEB, CODE),
    files=[
        OutputFile("tokens/web/part-000-00000.npy", 12_000_000, "1"),
        OutputFile("tokens/web/part-000-00000.csv.gz", 500, "2"),
        OutputFile("about/recipe.json", 100, "cd" * 32),
    ],
    sequence=Sequencing(8192, "best_fit", "split"),
    packed={"packed.sequences": 489, "packed.tokens": 990, "packed.room_tokens": 1000},
    benchmarks=BenchmarkFacts("b1b2", 8, 23_353, 1, "document", {"HumanEval": (164, 2)}),
    plots=(),
)  # fmt: skip
FUNNEL = Funnel(
    (
        FunnelStep("web", "ingest", 2000, 1990, 9_000_000, None, {"binary": 4}, {"broken": 6}),
        FunnelStep("web", "filter", 1990, 986, 5_000_000, None,
                   {f"rule{n}": 10**n for n in range(3)}
                   | {"r3": 800, "r4": 80, "r5": 9, "r6": 4}, {}),
        FunnelStep("web", "select", 986, 896, 4_000_000, 3_000_000, {"not drawn": 90}, {},
                   copies=1200),
    )
)  # fmt: skip


def cells(page, first):
    """The cells of the table rows that begin with a cell."""
    rows = [line[2:-2].split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows if row[0].strip() == first]


def test_it_says_what_the_mix_holds():
    page = write_datasheet(MIX, FUNNEL)
    assert page.startswith("# small\n\nFor tests of the [page](https://example.org).\n")
    assert "4.00 million tokens in 1,210 documents from 2 sources" in page
    assert cells(page, "documents") == [["documents", "1,210, of which 910 are different"]]
    assert cells(page, "sequences") == [["sequences", "489 of 8,192 tokens, 99.0% full (best-fit)"]]
    assert cells(page, "web")[0] == [
        "web", "3,000,000", "75.00 %", "75.12 %", "1.50", "1,200", "900", "not stated",
    ]  # fmt: skip
    assert "- **code**: Code of many \\*projects\\* <https://example.org/code>" in page
    assert cells(page, "code")[1] == ["code", "MIT", "6", "700,000", "70.00 %"]
    assert ["not stated", "4", "300,000", "30.00 %"] in [row[1:] for row in cells(page, "")]
    assert cells(page, "`tokens/`")[0][1:3] == ["1", "12.0 MB"]
    assert "closed by EOS (7)" in page
    written = write_datasheet(replace(MIX, written=[999_400, 500_000]), FUNNEL)
    assert cells(written, "size") == [
        ["size", "13.5 MB in 5 files, beside this page and the manifest"]
    ]


def test_it_says_what_was_left_out_and_why():
    page = write_datasheet(MIX, FUNNEL)
    assert cells(page, "ingest") == [
        ["ingest", "2,000", "1,990", "9.0 MB", "", "6 quarantined (broken), 4 binary"]
    ]
    (row,) = cells(page, "filter")
    assert row[-1] == "800 r3, 100 rule2, 80 r4, 10 rule1, 9 r5, 5 for 2 other reasons"
    (row,) = cells(page, "select")
    assert row[2] == "896 (1,200 with copies)"
    assert "6 records could not be read and were set aside." in page


def test_it_says_what_it_was_scanned_for_or_that_it_was_not():
    page = write_datasheet(MIX, FUNNEL)
    assert "No 8 words in a row" in page
    assert "but for 1 set phrase that" in page
    assert cells(page, "HumanEval") == [["HumanEval", "164", "2"]]
    assert cells(page, "benchmarks")[0][1] == "`b1b2`"
    without = write_datasheet(replace(MIX, benchmarks=None), FUNNEL)
    assert "was **not** scanned for any" in without
    assert "HumanEval" not in without


def test_it_names_every_hash_that_a_reader_may_ask_for():
    page = write_datasheet(MIX, FUNNEL)
    for value in (MIX.fingerprint, MIX.tokenizer, "cd" * 32, WEB.fingerprint, CODE.fingerprint):
        assert f"`{value}`" in page
    assert "Vineleaf 9.9.9" in page


def test_the_plot_of_quality_is_shown_where_there_is_one():
    assert QUALITY_PLOT not in write_datasheet(MIX, FUNNEL)
    assert f"]({QUALITY_PLOT})" in write_datasheet(replace(MIX, plots=(QUALITY_PLOT,)), FUNNEL)


@pytest.mark.parametrize("name", ["a | b", "x\n## y", "<script>", "[a](https://evil.org)", "`"])
def test_no_licence_or_reason_breaks_the_page(name):
    def page_of(its):
        source = replace(WEB, licenses={its: (1, 1)}, license=its, description=its)
        funnel = Funnel((FunnelStep("web", "ingest", 2, 1, 1, None, {its: 1}, {its: 0}),))
        return write_datasheet(replace(MIX, sources=(source,)), funnel)

    def headings(page):
        return [line for line in page.splitlines() if line.startswith("#")]

    page = page_of(name)
    assert headings(page) == headings(page_of("MIT"))
    for markup in ("<script>", "](https://evil", "| b", "`"):
        assert len(re.findall(rf"(?<!\\){re.escape(markup)}", page)) == len(
            re.findall(rf"(?<!\\){re.escape(markup)}", page_of("MIT"))
        )
    tables = re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)
    for one in tables:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in one.splitlines()}
        assert len(counts) == 1


def test_many_licences_are_summed_up_and_nothing_is_lost():
    licenses = {f"L{n:02d}": (1, 100 - n) for n in range(30)}
    source = replace(WEB, licenses=licenses, documents=40, tokens=10_000)
    page = write_datasheet(replace(MIX, sources=(source,)), FUNNEL)
    rows = [row for row in cells(page, "") if row[-1].endswith("%")]
    named = [*cells(page, "web")[1:2], *rows]
    assert [row[1] for row in named][-2:] == ["22 others", "not stated"]
    assert sum(int(row[2]) for row in named) == 40
    assert sum(int(row[3].replace(",", "")) for row in named) == 10_000
