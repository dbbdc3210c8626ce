"""Benchmark files to items: each published layout on a record made by hand, and what is refused."""

import gzip
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from transforms import storage
from transforms.decontamination.benchmarks import (
    LAYOUTS,
    Benchmark,
    BenchmarkError,
    read_benchmark,
)

# Of no time: parameters' ids must be the same in every process.
compress = partial(gzip.compress, mtime=0)

# layout: (record, id, (field, text) that must be among the items)
RECORDS: dict[str, tuple[dict[str, Any], str, list[tuple[str, str]]]] = {
    "aime": (
        {"ID": "2024-I-1", "Problem": "Find n.", "Solution": "n is one.", "Answer": 1},
        "2024-I-1",
        [
            ("problem", "Find n."),
            ("answer", "1"),
            ("problem+solution", "Find n.\nn is one."),
            ("problem+answer", "Find n.\n1"),
        ],
    ),
    "bbh": (
        {"input": "not True is", "target": "False"},
        "file/0",
        [("input", "not True is"), ("input+target", "not True is\nFalse")],
    ),
    "decon": (
        {
            "eval_key": "x",
            "eval_instance_index": 7,
            "question": "Q?",
            "answer": "A",
            "passage": "P",
        },
        "7",
        [
            ("passage", "P"),
            ("question", "Q?"),
            ("question+answer", "Q?\nA"),
            ("passage+question", "P\nQ?"),
            ("passage+question+answer", "P\nQ?\nA"),
        ],
    ),
    "gsm8k": (
        {"question": "How many?", "answer": "2 + 2 = <<2+2=4>>4 eggs.\n#### 4"},
        "file/0",
        [
            ("question", "How many?"),
            ("answer", "2 + 2 = <<2+2=4>>4 eggs.\n#### 4"),
            ("answer", "2 + 2 = 4 eggs.\n#### 4"),
            ("question+answer", "How many?\n2 + 2 = 4 eggs.\n#### 4"),
        ],
    ),
    "hellaswag": (
        {
            "ind": 24,
            "ctx_a": "A man",
            "ctx_b": "he",
            "ctx": "A man he",
            "endings": ["runs.", "sits."],
            "label": "1",
            "activity_label": "Running",
        },
        "24",
        [
            ("ctx", "A man he"),
            ("endings", "runs."),
            ("ctx+endings", "A man he\nruns."),
            ("ctx+endings", "A man he\nsits."),
        ],
    ),
    "humaneval": (
        {
            "task_id": "HumanEval/0",
            "prompt": "def f():\n",
            "canonical_solution": "    return 1\n",
            "test": "def check(c): assert c() == 1",
            "entry_point": "f",
        },
        "HumanEval/0",
        [
            ("prompt", "def f():\n"),
            ("canonical_solution", "    return 1\n"),
            ("test", "def check(c): assert c() == 1"),
            ("prompt+canonical_solution", "def f():\n\n    return 1\n"),
        ],
    ),
    "math": (
        {"problem": "What is $1+1$?", "level": "Level 1", "type": "Algebra", "solution": "$2$."},
        "file/0",
        [("problem+solution", "What is $1+1$?\n$2$.")],
    ),
    "mmlu": (
        {"question": "Which?", "subject": "anatomy", "choices": ["one", "two"], "answer": 1},
        "file/0",
        [
            ("question", "Which?"),
            ("choices", "two"),
            ("question+choices", "Which?\none"),
            ("question+choices", "Which?\ntwo"),
            ("question+choices", "Which?\nA. one\nB. two"),
        ],
    ),
    "omega": (
        {
            "id": "comp_1",
            "messages": [{"role": "user", "content": "Compute."}],
            "ground_truth": "3",
        },
        "comp_1",
        [("messages", "Compute."), ("messages+ground_truth", "Compute.\n3")],
    ),
    "piqa": (
        {"goal": "To cut", "sol1": "use a knife", "sol2": "use a spoon", "label": 0},
        "file/0",
        [
            ("goal", "To cut"),
            ("goal+sol1", "To cut\nuse a knife"),
            ("goal+sol2", "To cut\nuse a spoon"),
        ],
    ),
    "winogrande": (
        {
            "qID": "3QHI-1",
            "sentence": "It fits as _ is big.",
            "option1": "the box",
            "option2": "he",
            "answer": "1",
        },
        "3QHI-1",
        [
            ("sentence", "It fits as _ is big."),
            ("sentence+option1", "It fits as the box is big."),
            ("sentence+option2", "It fits as he is big."),
        ],
    ),
}


def write_parquet(path: Path, records: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(records), path)


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], object]] = {
    "file.jsonl": lambda path, records: path.write_text(
        "".join(json.dumps(r) + "\n" for r in records)
    ),
    "file.jsonl.gz": lambda path, records: path.write_bytes(
        compress("\n".join(map(json.dumps, records)).encode())
    ),
    "file.jsonl.zst": lambda path, records: path.write_bytes(
        b"".join(zstandard.compress(json.dumps(r).encode() + b"\n") for r in records)
    ),
    "file.json": lambda path, records: path.write_text(json.dumps(records)),
    "file.parquet": write_parquet,
}


def items_of(path: Path | list[Path], **how: Any) -> list[tuple[str, str, str]]:
    paths = path if isinstance(path, list) else [path]
    benchmark = Benchmark("b", tuple(map(str, paths)), **how)
    return [(item.item_id, item.field, item.text) for item in read_benchmark(benchmark)]


def test_every_layout_has_a_record_here() -> None:
    assert RECORDS.keys() == LAYOUTS.keys()


@pytest.mark.parametrize("file", WRITERS)
@pytest.mark.parametrize("layout", RECORDS)
def test_published_layouts_give_their_items(tmp_path: Path, layout: str, file: str) -> None:
    record, item_id, wanted = RECORDS[layout]
    path = tmp_path / file
    WRITERS[file](path, [record])
    items = items_of(path, layout=layout)
    assert {one for one, _, _ in items} == {item_id}
    assert [
        pair for pair in wanted if pair not in {(field, text) for _, field, text in items}
    ] == []


def test_big_bench_hard_tasks_are_named_by_their_files(tmp_path: Path) -> None:
    for task in ("navigate", "snarks"):
        examples = [{"input": f"{task} {k}", "target": "No"} for k in range(2)]
        (tmp_path / f"{task}.json").write_text(json.dumps({"canary": "x", "examples": examples}))
    items = items_of(tmp_path / "*.json", layout="bbh")
    assert [(i, text) for i, field, text in items if field == "input"] == [
        ("navigate/0", "navigate 0"),
        ("navigate/1", "navigate 1"),
        ("snarks/0", "snarks 0"),
        ("snarks/1", "snarks 1"),
    ]


def test_math_problems_are_named_by_their_folders(tmp_path: Path) -> None:
    for subject in ("algebra", "geometry"):
        (tmp_path / subject).mkdir()
        (tmp_path / subject / "1.json").write_text(
            json.dumps({"problem": subject, "solution": "s"})
        )
    items = items_of(tmp_path / "*" / "*.json", layout="math")
    assert {item_id for item_id, _, _ in items} == {"algebra/1/0", "geometry/1/0"}


def test_ids_of_several_files_do_not_collide_and_order_of_paths_does_not_matter(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / "train.jsonl", tmp_path / "val.jsonl"]
    for path in paths:
        path.write_text(json.dumps({"ind": 1, "ctx": path.name, "endings": []}))
    items = items_of(paths, layout="hellaswag")
    assert items == [("train/1", "ctx", "train.jsonl"), ("val/1", "ctx", "val.jsonl")]
    assert items == items_of(paths[::-1], layout="hellaswag")


def test_named_fields_hold_strings_lists_objects_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(
        json.dumps({"key": "k", "q": ["one", {"text": "two"}], "a": {"y": 2, "x": None}})
    )
    assert items_of(path, fields=("q", "a"), identifier="key") == [
        ("k", "q", "one"),
        ("k", "q", "two"),
        ("k", "a", "2"),
        ("k", "q+a", "one\n2"),
        ("k", "q+a", "two\n2"),
    ]


def test_lists_that_would_multiply_into_too_many_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    many = [str(number) for number in range(101)]
    path.write_text(json.dumps({"q": many, "a": many[:100]}) + "\n")
    with pytest.raises(BenchmarkError, match=r"line 1: the lists of q, a make 10,100 texts"):
        items_of(path, fields=("q", "a"))
    path.write_text(json.dumps({"q": many[:100], "a": many[:100]}) + "\n")
    assert len(items_of(path, fields=("q", "a"))) == 10_200


def test_only_what_identifies_an_item_counts_when_it_is_short(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"q": "question", "a": "answer"}))
    benchmark = Benchmark("b", (str(path),), fields=("q", "a"))
    assert {item.field: item.whole for item in read_benchmark(benchmark)} == {
        "q": True,
        "a": False,
        "q+a": True,
    }


def parquet_of(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"q": "x"}\n\n{"q": \n', r"a\.jsonl: line 3: not JSON"),
        ("a.jsonl", b'{"q": "\xff"}\n', r"a\.jsonl: line 1: not UTF-8 \(byte 7\): save"),
        ("a.jsonl", '{"q": "x"}'.encode("utf-16"), r"a\.jsonl: line 1: not UTF-8"),
        ("a.jsonl", b'["q"]\n', r"line 1: an item must be an object .*: write it as one"),
        ("a.jsonl", b'{"p": "x", "r": 1}\n', r"line 1: no field 'q'; the record has p, r: choose"),
        ("a.jsonl", b"{}", r"line 1: no field 'q'; the record has no field at all"),
        ("a.jsonl", b'{"q": null}\n', r"line 1: field 'q' is null: fill it in"),
        ("a.parquet", parquet_of(q=["x", None]), r"a\.parquet: row 1: field 'q' is null"),
        ("a.parquet", parquet_of(p=["x"]), r"a\.parquet: row 0: no field 'q'; the record has p"),
        ("a.jsonl", b"\n", r"no item in"),
        ("a.json", b"{", r"a\.json: not JSON"),
        ("a.jsonl.gz", compress(b'{"q": "x"}\n' * 99)[:-9], r"cannot be decompressed"),
        ("a.jsonl.gz", b"\x1f\x8b\x08 not gzip", r"cannot be decompressed"),
        ("a.jsonl.gz", b"neither gzip nor JSON", r"a\.jsonl\.gz: line 1: not JSON"),
        ("a.jsonl.zst", zstandard.compress(b'{"q": "x"}\n' * 99)[:-4], r"cannot be decompressed"),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd not zstd", r"cannot be decompressed"),
        ("a.parquet", b"PAR1 not", r"not a readable Parquet file"),
        ("a.csv", b"q\nx\n", r"must end in"),
    ],
)
def test_a_benchmark_that_is_not_whole_is_an_error_with_its_place(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchmarkError, match=message):
        items_of(tmp_path / name, fields=("q",))


def test_a_field_that_is_null_under_each_of_its_names_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"problem": null, "question": null, "answer": 3}')
    with pytest.raises(BenchmarkError, match="line 1: field 'problem' and 'question' is null"):
        items_of(tmp_path / "a.jsonl", layout="aime")


def test_a_file_that_cannot_be_opened_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    for name, opened in (("a.jsonl", "open_read"), ("a.parquet", "open_parquet")):
        (tmp_path / name).write_bytes(b"")
        monkeypatch.setattr(storage, opened, refuse)
        with pytest.raises(BenchmarkError, match=rf"{name}: cannot be read \(Permission denied\)"):
            items_of(tmp_path / name, fields=("q",))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_a_byte_order_mark_is_passed_over(tmp_path: Path, name: str) -> None:
    content = '\ufeff{"q": "one"}\n'.encode()
    (tmp_path / name).write_bytes(compress(content) if name.endswith("gz") else content)
    assert [text for *_, text in items_of(tmp_path / name, fields=("q",))] == ["one"]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no file at"):
        items_of(tmp_path / "none.jsonl", fields=("q",))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "either 'layout'"),
        ({"layout": "gsm8k", "fields": ("q",)}, "either 'layout'"),
        ({"layout": "gsm9k"}, "layout 'gsm9k' is none of aime, bbh"),
        ({"layout": "gsm8k", "identifier": "k"}, "'id' goes with 'fields'"),
    ],
)
def test_a_benchmark_is_named_in_one_way(how: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        Benchmark("b", ("x.jsonl",), **how)
