"""The whole road: JSONL in, every stage but substring dedup, tokens out, through Beam.

`vineleaf run` as a user gives it, in this process on the default runner, with a recipe that has all
web rules, the language, exact and fuzzy deduplication, decontamination and a mix of all tokens that
are left. Before it is measured the same recipe runs once: kernels are compiled, modules imported,
and the tokens counted that a mix can hold. `options["turns"]` makes the corpus so many times as
large (`cut_anew`).
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from typer.testing import CliRunner

from benchmarks.inputs import read_documents
from benchmarks.ours.contamination import benchmarks
from benchmarks.work import Task, Work
from pipelines.cli import app
from transforms.decontamination.benchmarks import Benchmark
from transforms.tokens.token_files import TOKEN_BYTES

__all__ = ["cut_anew", "road", "road_recipe", "up_to_date"]

INPUT_FILES = 8
ASKED = 0.98  # of the tokens that are left: each source meets its part to within one document
SOURCE = "all"
FEW_TOKENS = 1000  # of the mix of the first run


def road(task: Task) -> Work:
    """Run with `options["workers"]` threads; the answer is {"kept": ids, "tokens": number that the
    token files hold}."""
    recipe, size, _ = _prepare(task)
    tokens = _available_tokens(task, recipe)
    _write_recipe(task, recipe, tokens)
    runs: list[str] = []

    def run() -> str:
        runs.append(os.path.join(task.scratch, f"run-{len(runs)}"))
        _vineleaf("run", recipe, "--workspace", runs[-1], "--", *_workers(task))
        return runs[-1]

    return Work(
        run=run,
        run_bytes=size,
        warm=lambda: None,
        answer=lambda workspace: {"kept": _kept(workspace), "tokens": _written_tokens(workspace)},
    )


def up_to_date(task: Task) -> Work:
    """`vineleaf run` as a new process, where there is nothing to do; the answer is its states."""
    recipe, size, first = _prepare(task)
    command = [sys.executable, "-m", "pipelines", "run", recipe, "--workspace", first, "--json"]

    def run() -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    def answer(output: str) -> list[str]:
        states = sorted({stage["state"] for stage in json.loads(output)["stages"]})
        if states != ["up to date"]:
            raise RuntimeError(f"a second run finds stages {', '.join(states)}")
        return states

    return Work(run=run, run_bytes=size, warm=run, answer=answer)


def _workers(task: Task) -> list[str]:
    return [f"--direct_num_workers={task.options['workers']}"]


def _prepare(task: Task) -> tuple[str, int, str]:
    """(recipe of few tokens, bytes of text, workspace where it has run once)."""
    documents = cut_anew(read_documents(task.corpus, task.text_bytes), task.options.get("turns", 1))
    folder = os.path.join(task.scratch, "input")
    os.makedirs(folder)
    for number in range(INPUT_FILES):
        with open(os.path.join(folder, f"{number}.jsonl"), "wb") as file:
            file.writelines(orjson.dumps(one) + b"\n" for one in documents[number::INPUT_FILES])
    recipe = os.path.join(task.scratch, "recipe.yaml")
    _write_recipe(task, recipe, FEW_TOKENS)
    first = os.path.join(task.scratch, "first")
    _vineleaf("run", recipe, "--workspace", first, "--", *_workers(task))
    # What was imported stays and is never looked through again, as where the command runs alone.
    gc.collect()
    gc.freeze()
    return recipe, sum(len(one["text"].encode()) for one in documents), first


def cut_anew(documents: Sequence[Mapping[str, Any]], turns: int) -> list[Mapping[str, Any]]:
    """The documents, then the same texts in a row cut at other places, `turns` times the text in
    all: in turn t a document begins t / turns of its length later and ends in the next one.

    Neighbours in that order share (turns - 1) / (turns + 1) of their shingles, or less: they are
    compared, as in a crawl, but are no duplicates at 0.8 with up to eight turns.
    """
    made = list(documents)
    for turn in range(1, turns):
        for one, following in zip(documents, [*documents[1:], *documents[:1]], strict=True):
            at = len(one["text"]) * turn // turns
            until = len(following["text"]) * turn // turns
            text = one["text"][at:] + following["text"][:until]
            made.append({**one, "id": f"{one['id']}/{turn}", "text": text})
    return made


def _available_tokens(task: Task, recipe: str) -> int:
    first = os.path.join(task.scratch, "first")
    plan = json.loads(_vineleaf("plan", recipe, "--workspace", first, "--json"))
    return int(plan["sources"][SOURCE]["available_tokens"] * ASKED)


def _vineleaf(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exit_code:
        raise RuntimeError(" ".join(result.output.split())[-400:])
    return str(result.stdout)


def _write_recipe(task: Task, path: str, tokens: int) -> None:
    inputs = os.path.join(task.scratch, "input", "*.jsonl")
    looked_for = benchmarks(task.corpus, task.options.get("sets", ""))
    Path(path).write_text(json.dumps(road_recipe(inputs, looked_for, tokens)), encoding="utf-8")


def road_recipe(inputs: str, looked_for: Sequence[Benchmark], tokens: int) -> dict[str, Any]:
    """A recipe of every stage but substring deduplication, over JSONL files in Dolma's format
    (`inputs`: their pattern). JSON of it is YAML."""
    entries = []
    for one in looked_for:
        entry: dict[str, Any] = {"name": one.name, "paths": list(one.paths)}
        if one.layout:
            entry["layout"] = one.layout
        else:
            entry |= {"fields": list(one.fields), "id": one.identifier}
        entries.append(entry)
    rules: list[Any] = ["gopher", "c4", "fineweb", "madlad", "dolma3_lines"]
    rules.append({"language": {"keep": ["en"], "at_least": 0.65}})
    anything = {"at_most": 1.0}
    return {
        "name": "road",
        "pool": {
            "sources": {SOURCE: {"ingest": "dolma", "paths": [inputs], "rules": rules}},
            "dedup": {"exact": True, "fuzzy": {"ngram": 5, "similarity": 0.8}},
            "decontaminate": {"ngram": 8, "remove": "document", "benchmarks": entries},
        },
        "mix": {"tokens": tokens, "tokenizer": "cl100k_base", "shares": {SOURCE: 1.0}},
        "gates": dict.fromkeys(("removed", "duplicates", "contaminated"), anything),
    }


def _written_tokens(workspace: str) -> int:
    files = Path(workspace, "mixes").rglob("*.npy")
    return sum(file.stat().st_size for file in files) // TOKEN_BYTES


def _kept(workspace: str) -> list[str]:
    """Sorted ids of documents that passed all rules and are no duplicates."""

    def column(table: str, name: str) -> list[Any]:
        files = sorted(Path(workspace, *table.split("/")).rglob("*.parquet"))
        return [
            value
            for file in files
            for value in pq.read_table(file, columns=[name])[name].to_pylist()
        ]

    ids = column(f"documents/{SOURCE}", "id")
    passed = column(f"attributes/candidates/{SOURCE}", "candidate")
    copies = [
        column(f"attributes/{table}/{SOURCE}", "duplicate_of")
        for table in ("exact_duplicates", "fuzzy_duplicates")
    ]
    rows = zip(ids, passed, *copies, strict=True)
    return sorted(one for one, good, exact, fuzzy in rows if good and not exact and not fuzzy)
