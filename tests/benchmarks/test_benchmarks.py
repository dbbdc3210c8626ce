"""The program as `make bench` runs it, on a small corpus and stages that need no other package."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from benchmarks.__main__ import main
from benchmarks.stages import STAGES

ROOT = Path(__file__).parents[2]
for package in ("bpe_openai", "gramps", "rs_bpe", "spacy", "trafilatura"):
    pytest.importorskip(package, reason=f"could not import {package}, part of the benchmarks")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_stages_are_measured_checked_and_written(tmp_path):
    names = ["bpe", "html", "rule-gopher"]
    done = run(
        *(argument for name in names for argument in ("--stage", name)),
        *("--folder", str(tmp_path / "made"), "--megabytes", "0.4"),
        *("--output", str(tmp_path / "results"), "--json"),
    )
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert [stage["name"] for stage in value["stages"]] == names
    bpe = value["stages"][0]
    assert [peer["check"]["ok"] for peer in bpe["peers"]] == [True] * len(STAGES["bpe"].peers)
    assert all(peer["ratio"] > 0 for peer in bpe["peers"])
    for stage in value["stages"]:
        assert stage["ours"]["problem"] == ""
        assert stage["ours"]["cpu_seconds"] > 0
    text = (tmp_path / "results" / "RESULTS.md").read_text(encoding="utf-8")
    assert value["corpus"]["digest"] in text
    assert (tmp_path / "results" / "results.svg").read_bytes().startswith(b"<?xml")
    assert json.loads((tmp_path / "results" / "results.json").read_text()) == value


def test_an_unknown_stage_is_told_with_those_that_are(tmp_path):
    done = run("--stage", "nothing", "--folder", str(tmp_path))
    assert done.returncode == 2
    assert "'nothing'" in done.stderr
    assert "minhash" in done.stderr


def test_a_folder_without_benchmarks_is_told_before_anything_is_measured(tmp_path):
    (tmp_path / "README.md").write_text("none")
    done = run("--benchmark-sets", str(tmp_path), "--folder", str(tmp_path / "made"))
    assert done.returncode == 2
    assert "holds no file *.jsonl.gz" in " ".join(done.stderr.split())
    assert not (tmp_path / "made").exists()


def refused(capsys, **options) -> str:
    """What is said, in one line, where nothing is measured."""
    with pytest.raises(typer.Exit) as ended:
        main(stage=["bpe"], **options)
    assert ended.value.exit_code == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    return told


@pytest.mark.parametrize("megabytes", [0, -5, math.nan, math.inf])
def test_a_size_that_is_none_is_told(tmp_path, capsys, megabytes):
    told = refused(capsys, folder=str(tmp_path), megabytes=megabytes)
    assert told == f"error: --megabytes must be 0.1 or more (got {megabytes:g})"


@pytest.mark.parametrize("option", ["folder", "output"])
def test_a_folder_that_cannot_be_made_is_told(tmp_path, capsys, option):
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "below")
    told = refused(capsys, **{"folder": str(tmp_path), option: place})
    assert told.startswith(f"error: {place}")
