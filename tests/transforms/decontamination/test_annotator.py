"""The contamination table: planted items are found and named, with their place."""

import gzip
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
import zstandard

from transforms.decontamination.annotator import (
    CONTAMINATION_SCHEMA,
    MAX_EQUAL_MATCHES,
    MAX_MATCHES,
    Decontaminate,
)
from transforms.decontamination.benchmarks import Benchmark, Item, read_benchmark
from transforms.decontamination.index import (
    IndexParameters,
    build_index,
    count_document_hits,
)
from transforms.documents import DocumentBatch, text_buffers
from transforms.kernels.cut import cut_spans
from transforms.spans import unite_spans

SHARED = Path(__file__).parents[4] / "shared"
QUESTION = "Natalia sold clips to 48 of her friends in April, and half as many in May."
ANSWER = "Altogether she sold seventy-two clips."
STRASSE = "Wie weit ist es von der Straße zum ΜΈΛΙ und zurück?"
ITEMS = [
    Item("gsm8k", "gsm0", "question", QUESTION, True),
    Item("gsm8k", "gsm0", "answer", ANSWER, False),
    Item("gsm8k", "gsm0", "question+answer", f"{QUESTION}\n{ANSWER}", True),
    Item("reise", "1", "question", STRASSE, True),
    Item("han", "1", "question", "請問漢字有幾個筆畫呢", True),
    Item("pdf", "1", "question", "Define the office flow of a strange effect.", True),
    Item("short", "s", "question", "Where do otters sleep at night?", True),
]
FILLER = "Some words that stand before it.\n"


def documents(*texts: str) -> DocumentBatch:
    rows = [
        {"id": str(k), "text": text, "source": "web", "metadata": "{}"}
        for k, text in enumerate(texts)
    ]
    schema = pa.schema([("id", pa.string()), ("text", pa.large_string())])
    return DocumentBatch(pa.RecordBatch.from_pylist(rows, schema))


@pytest.fixture
def annotator(tmp_path: Path) -> Decontaminate:
    return annotator_of(ITEMS, tmp_path)


def annotator_of(items: list[Item], folder: Path, **how: Any) -> Decontaminate:
    index = build_index(items, IndexParameters())
    path = str(folder / "index.arrow")
    index.save(path)
    return Decontaminate(path, index.fingerprint, **how)


PLANTED = {
    "exact": QUESTION,
    "other case": QUESTION.upper(),
    "other layout": QUESTION.replace(" ", "\n\n\t "),
    "other punctuation": QUESTION.replace(",", " --").replace(" ", "_") + "!!!",
    "markup": " ".join(f"<b>*{word}*</b>" for word in QUESTION.split()).replace("b>", "!>"),
    "in a URL": "https://example.org/" + QUESTION.replace(" ", "%").replace(",", "/") + ".html",
    "eight words of it": "sold clips to 48 of her friends in",
    "no-break spaces": QUESTION.replace(" ", "\u00a0"),
    "full width": "".join(chr(ord(char) + 0xFEE0) for char in QUESTION.replace(" ", ".")),
    "letters of mathematics": QUESTION.translate(
        {97 + k: 0x1D44E + k for k in range(26) if k != 7}
    ),
    "soft hyphens": QUESTION.replace("l", "l\u00ad"),
}


@pytest.mark.parametrize("mode", PLANTED)
def test_planted_items_are_found_named_and_placed(annotator: Decontaminate, mode: str) -> None:
    text = f"{FILLER}é {PLANTED[mode]}\nAnd after."
    row = annotator.annotate(documents("clean words only", text)).to_pylist()[1]
    assert row["hits"] >= 1
    assert row["items"] == 1
    (match,) = row["matches"]
    assert (match["benchmark"], match["item"], match["field"]) == ("gsm8k", "gsm0", "question")
    evidence = text.encode()[match["start"] : match["end"]].decode().replace("\u00ad", "")
    evidence = unicodedata.normalize("NFKC", evidence)
    assert evidence.lower().startswith(("natalia", "sold"))
    assert evidence.lower().endswith(("may", "in"))


@pytest.mark.parametrize(
    "text",
    [
        "WIE WEIT IST ES VON DER STRAßE zum μέλι UND ZURÜCK",
        "wie weit ist es von der STRASSE zum με\u0301λι und zuru\u0308ck",
        "請問 漢字\n有幾個筆畫呢",
        "de\ufb01ne the o\ufb03ce \ufb02ow of a \ufb06range eﬀect",
    ],
)
def test_unicode_is_folded_by_character(annotator: Decontaminate, text: str) -> None:
    assert annotator.annotate(documents(text)).column("items").to_pylist() == [1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?!",
        "clips to 48 of her friends in",  # seven words of it
        "Natalia sold clips to 48 of my friends in April and half as few in May",
        ANSWER,  # six words, and no question by it
        "Where do otters sleep?",
        "where do otters sleep in night",
    ],
)
def test_clean_texts_have_an_empty_row(annotator: Decontaminate, text: str) -> None:
    words = len(text.replace("?!", "").replace("-", " ").split())
    assert annotator.annotate(documents(text)).to_pylist() == [
        {"hits": 0, "items": 0, "matches": [], "passages": [], "words_left": words}
    ]


def test_a_question_with_its_answer_is_one_match_of_both_fields(annotator: Decontaminate) -> None:
    text = f"Q: {QUESTION}\n{ANSWER}\n"
    row = annotator.annotate(documents(text)).to_pylist()[0]
    assert row["hits"] == 22 - 8 + 1  # of 22 words: every run of eight is a hit
    assert row["matches"] == [
        {
            "benchmark": "gsm8k",
            "item": "gsm0",
            "field": "question+answer",
            "start": 3,
            "end": len(text) - 2,
            "words": 22,
        }
    ]
    assert (row["passages"], row["words_left"]) == ([{"start": 0, "end": len(text)}], 0)


def test_the_strongest_item_comes_first_and_is_named_once(annotator: Decontaminate) -> None:
    text = f"Where do otters sleep at night?\n{QUESTION[:60]}\nkeep me\n{QUESTION}\n"
    row = annotator.annotate(documents(text)).to_pylist()[0]
    assert [match["item"] for match in row["matches"]] == ["gsm0", "s"]
    first = row["matches"][0]
    assert text[first["start"] : first["end"]] == QUESTION[:-1]
    assert [text[span["start"] : span["end"]] for span in row["passages"]] == [
        f"Where do otters sleep at night?\n{QUESTION[:60]}\n",
        f"{QUESTION}\n",
    ]
    assert row["words_left"] == 2


def test_evidence_is_bounded_and_the_total_is_counted(tmp_path: Path) -> None:
    items = [
        Item("b", str(k), "question", f"{QUESTION} {'and more ' * (k % 2)}", True)
        for k in range(600)
    ]
    table = annotator_of(items, tmp_path).annotate(
        documents(QUESTION, f"{QUESTION} and more", QUESTION[:-5])
    )
    assert table.column("items").to_pylist() == [600, 600, 600]
    named = [[int(match["item"]) for match in row] for row in table.column("matches").to_pylist()]
    assert [len(row) for row in named] == [MAX_EQUAL_MATCHES] * 3
    assert all(k % 2 for k in named[1])  # these alone hold all the words
    counting = [f"{QUESTION} {' '.join(map(str, range(k)))}" for k in range(40)]
    mixed = [Item("b", str(k), "question", text, True) for k, text in enumerate(counting)]
    other = annotator_of(mixed, tmp_path).annotate(documents(counting[-1])).to_pylist()[0]
    assert [int(match["item"]) for match in other["matches"]] == list(
        range(39, 39 - MAX_MATCHES, -1)
    )
    assert other["items"] == 40


def test_slices_and_empty_batches_give_the_same_rows(annotator: Decontaminate) -> None:
    texts = ["clean", f"é\n{QUESTION}", "", f"{STRASSE} {QUESTION}", "x"]
    whole = documents(*texts)
    rows = annotator.annotate(whole).to_pylist()
    for first in range(len(texts)):
        for size in range(len(texts) - first + 1):
            part = DocumentBatch(whole.table.slice(first, size))
            table = annotator.annotate(part)
            assert table.schema.equals(CONTAMINATION_SCHEMA)
            assert table.to_pylist() == rows[first : first + size]
            table.validate(full=True)


def test_parameters_name_the_index_by_content(tmp_path: Path) -> None:
    annotator = annotator_of(ITEMS, tmp_path)
    assert annotator.parameters() == {"index": annotator.index_fingerprint}


@pytest.mark.skipif(not SHARED.exists(), reason="corpus: ../shared is not here")
def test_planted_contamination_of_the_corpus_is_all_found_and_named(tmp_path: Path) -> None:
    names = ("agieval", "bbh", "gsm8k", "humaneval", "mmlu")
    sets = [
        Benchmark(name, (str(SHARED / f"benchmark_sets/{name}.jsonl.gz"),), layout="decon")
        for name in names
    ]
    index = build_index((item for one in sets for item in read_benchmark(one)), IndexParameters())
    assert [
        (one.benchmark, one.items, one.whole_items, one.unmatchable_items) for one in index.coverage
    ] == [
        ("agieval", 2818, 31, 0),
        ("bbh", 6511, 30, 0),
        ("gsm8k", 1319, 0, 0),
        ("humaneval", 164, 0, 0),
        ("mmlu", 13869, 157, 1),
    ]
    index.save(str(tmp_path / "index.arrow"))
    annotator = Decontaminate(str(tmp_path / "index.arrow"), index.fingerprint)
    truth = {
        row[0]: row[1:]
        for row in json.loads(gzip.decompress((SHARED / "corpus/truth.json.gz").read_bytes()))[
            "contaminated"
        ]
    }
    found: set[str] = set()
    named: dict[str, set[tuple[str, str]]] = {}
    for path in sorted((SHARED / "corpus").glob("part-*.jsonl.zst")):
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
            rows = [orjson.loads(line) for line in reader.read().splitlines()]
        texts = pa.array([row["text"] for row in rows], pa.large_string())
        table = annotator.annotate(DocumentBatch(pa.record_batch([texts], ["text"])))
        flagged = np.flatnonzero(table.column("hits").to_numpy())
        for k in flagged.tolist():
            found.add(rows[k]["id"])
            named[rows[k]["id"]] = {
                (match["benchmark"], match["item"]) for match in table.column("matches")[k].as_py()
            }
        spans = unite_spans([table.column("passages").take(pa.array(flagged))], len(flagged))
        cut = cut_spans(*text_buffers(texts.take(pa.array(flagged))), spans)
        assert not count_document_hits(index, *cut).any()
    assert len(truth) == 448
    assert truth.keys() <= found
    assert len(found - truth.keys()) <= 305  # of 29,024; they do hold the words
    for document, (benchmark, item, _, _) in truth.items():
        assert benchmark in {name for name, _ in named[document]}
        # In these two sets the planted item's name tells its number in the file.
        number = {"gsm8k": item.removeprefix("gsm"), "humaneval": item.rpartition("/")[2]}
        if benchmark in number:
            assert (benchmark, number[benchmark]) in named[document]


def test_words_left_and_passages_of_a_plain_reading_speak_of_the_text_as_it_stands(
    annotator: Decontaminate,
) -> None:
    hidden = QUESTION.replace(" ", " <b></b> ")
    table = annotator.annotate(documents(f"See <i>this</i> page.\n{hidden}\n"))
    assert table["hits"].to_pylist()[0] > 0
    assert table["words_left"].to_pylist() == [5]  # see, i, this, i, page
