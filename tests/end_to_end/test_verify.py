"""Verify proves a mix from its files: it passes on the mix, and each kind of tampering is named."""

import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from small_pool import ITEMS, Finished, Pool, published, read_tokens, vineleaf, vineleaf_here

from pipelines.verification.records import check_records
from transforms.datasets import Dataset, TaskRecord, fingerprint_of

SCAN = "benchmark n-grams in the decoded tokens"


class MixCopy:
    """A copy of a mix, lying by itself, that can be tampered with."""

    def __init__(self, mix: Path, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(mix, folder)
        self.base, self.manifest = published(folder)

    @property
    def token_files(self) -> list[str]:
        return [file["path"] for file in self.manifest["files"] if file["path"].endswith(".npy")]

    def of_source(self, source: str) -> str:
        """A token file of the source, the one with the most documents."""
        paths = [path for path in self.token_files if path.split("/")[1] == source]
        return max(paths, key=lambda path: len(self.rows(path)))

    def tokens(self, path: str) -> np.ndarray[Any, Any]:
        return read_tokens(self.base / path)

    def rows(self, path: str) -> list[list[str]]:
        content = gzip.decompress((self.base / csv_of(path)).read_bytes()).decode()
        return [line.split(",") for line in content.splitlines()]

    def write(self, path: str, tokens: np.ndarray[Any, Any], rows: list[list[str]]) -> None:
        tokens.astype("<u4").tofile(self.base / path)
        content = "".join(",".join(row) + "\n" for row in rows)
        (self.base / csv_of(path)).write_bytes(gzip.compress(content.encode(), mtime=0))

    def agree(self) -> None:
        """Make sizes and hashes of the manifest those of the files."""
        for file in self.manifest["files"]:
            content = (self.base / file["path"]).read_bytes()
            file["size_bytes"] = len(content)
            file["sha256"] = hashlib.sha256(content).hexdigest()
        self.save()

    def count(self, source: str, **more: int) -> None:
        """Add to the manifest's counters, so that they tell what the files hold."""
        its = self.manifest["details"]["sources"][source]
        for counters in (its, self.manifest["counts"]):
            for name, value in more.items():
                counters[name] += value
                counters[f"rescan.{name}"] += value

    def save(self) -> None:
        rest = {key: value for key, value in self.manifest.items() if key != "digest"}
        self.manifest["digest"] = fingerprint_of(rest)
        content = json.dumps(self.manifest, indent=1, sort_keys=True)
        for folder in (self.folder, self.base):
            (folder / "manifest.json").write_text(content)

    def failed(self) -> list[str]:
        """Names of the checks that fail; the exit code agrees."""
        outcome = vineleaf_here("verify", str(self.folder), "--json")
        failed = [check["name"] for check in outcome.answer["checks"] if not check["ok"]]
        assert outcome.code == (1 if failed else 0), outcome
        assert outcome.answer["ok"] is not bool(failed)
        return failed


def csv_of(path: str) -> str:
    return path.removesuffix(".npy") + ".csv.gz"


@pytest.fixture
def mix(finished: Finished, tmp_path: Path) -> MixCopy:
    return MixCopy(finished.workspace / "mixes/small", tmp_path / "copy")


def test_mix_passes_and_says_what_was_checked(mix: MixCopy) -> None:
    outcome = vineleaf_here("verify", str(mix.folder), "--json")
    assert outcome.code == 0
    names = " | ".join(check["name"] for check in outcome.answer["checks"])
    for word in ("hash", "tokens per source", "share of docs", "EOS", "decode", "n-grams"):
        assert word in names
    for check in outcome.answer["checks"]:
        assert check.keys() >= {"name", "ok", "seen", "wanted"}


def test_the_datasheet_of_the_mix_tells_of_it_and_nothing_of_the_machine(
    finished: Finished, pool: Pool, mix: MixCopy
) -> None:
    page = (mix.folder / "README.md").read_text()
    for name, its in mix.manifest["details"]["sources"].items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {name}"))
        assert f" {its['tokens']:,} " in row
        assert f" {its['documents']:,} " in row
    assert mix.manifest["fingerprint"] in page
    assert mix.manifest["details"]["benchmarks"]["fingerprint"] in page
    for place in (finished.workspace, pool.folder):
        assert str(place) not in page
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert len(links) > 5
    for link in links:
        assert (mix.folder / link).exists(), link


def test_mix_passes_alone_without_workspace_and_sources(
    finished: Finished, pool: Pool, mix: MixCopy
) -> None:
    """Nothing but its own files: workspace and sources are out of reach meanwhile."""
    away = [path.rename(path.with_name(f"{path.name}-away")) for path in (
        finished.workspace, pool.folder)]  # fmt: skip
    try:
        outcome = vineleaf("verify", str(mix.folder), "--json", cwd=mix.folder)
    finally:
        for path in away:
            path.rename(path.with_name(path.name.removesuffix("-away")))
    assert outcome.good().answer["ok"] is True


@pytest.mark.parametrize("source", ["web", "docs", "code"])
def test_one_token_changed(mix: MixCopy, source: str) -> None:
    path = mix.of_source(source)
    tokens = mix.tokens(path)
    tokens[len(tokens) // 2] ^= 1
    tokens.tofile(mix.base / path)
    failed = mix.failed()
    assert any(path in name for name in failed)


@pytest.mark.parametrize("spoken", [str, str.upper, lambda text: text.replace(",", " --")])
def test_one_benchmark_sentence_inserted_and_all_else_made_to_agree(
    mix: MixCopy, spoken: Callable[[str], str]
) -> None:
    path = mix.of_source("docs")
    tokens, rows = mix.tokens(path), mix.rows(path)
    tokenizer = tokenizers.Tokenizer.from_file(str(mix.base / "about/tokenizer"))
    more = np.array(tokenizer.encode(" " + spoken(ITEMS[2][1])).ids, np.uint32)
    end = int(rows[1][1]) - 1  # before the EOS of the second document
    tokens = np.concatenate([tokens[:end], more, tokens[end:]])
    for index, row in enumerate(rows):
        row[0] = str(int(row[0]) + len(more) * (index > 1))
        row[1] = str(int(row[1]) + len(more) * (index > 0))
    mix.write(path, tokens, rows)
    mix.count("docs", tokens=len(more))
    mix.agree()
    failed = mix.failed()
    assert SCAN in failed
    assert "documents are those selected" in failed


@pytest.mark.parametrize("kind", [".npy", ".csv.gz", "recipe.json", "benchmarks.arrow"])
def test_one_file_missing(mix: MixCopy, kind: str) -> None:
    path = next(file["path"] for file in mix.manifest["files"] if file["path"].endswith(kind))
    (mix.base / path).unlink()
    assert any(path in name for name in mix.failed())


def test_all_files_of_a_source_missing(mix: MixCopy) -> None:
    shutil.rmtree(mix.base / "tokens/pdf")
    assert any("tokens/pdf/" in name for name in mix.failed())


@pytest.mark.parametrize(
    "name", ["tokens/docs/part-999-00000.npy", "tokens/part.npy", "tokens/new/x.npy"]
)
def test_one_file_added(mix: MixCopy, name: str) -> None:
    path = mix.base / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\1\0\0\0")
    assert any("does not list" in check for check in mix.failed())


def a_record(mix: MixCopy) -> Path:
    return next(path for path in sorted(mix.base.glob("records/*.json")) if "docs" in path.name)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda path: path.write_text("{}"),
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_text(path.read_text().replace("docs", "web")),
        lambda path: path.with_name("notes.json").write_text('{"by": "somebody"}'),
        lambda path: path.rename(path.with_name("other.json")),
        lambda path: path.unlink(),
    ],
    ids=["empty", "cut", "changed", "added", "renamed", "gone"],
)
def test_a_record_that_is_not_of_the_mix(mix: MixCopy, tamper: Callable[[Path], object]) -> None:
    tamper(a_record(mix))
    assert check_records(*Dataset.published(str(mix.folder))).ok is False


def test_a_record_that_counts_nothing_is_missed_by_its_files(mix: MixCopy) -> None:
    (mix.base / "records" / "about.json").unlink()
    check = check_records(*Dataset.published(str(mix.folder)))
    assert not check.ok
    assert "the record of about/recipe.json is not there" in check.seen


def test_a_record_of_nothing_is_named(mix: MixCopy) -> None:
    dataset, manifest = Dataset.published(str(mix.folder))
    dataset.write_record(TaskRecord("more", [], {}))
    check = check_records(dataset, manifest)
    assert (check.ok, check.seen) == (
        False, ["records/more.json tells of nothing, as no task of a mix does"]
    )  # fmt: skip


def test_a_record_that_tells_of_another_file_is_named(mix: MixCopy) -> None:
    path = a_record(mix)
    told = json.loads(path.read_text())
    told["files"][0]["sha256"] = "0" * 64
    told["digest"] = fingerprint_of({key: its for key, its in told.items() if key != "digest"})
    path.write_text(json.dumps(told))
    outcome = vineleaf_here("verify", str(mix.folder), "--json")
    (failed,) = [one for one in outcome.answer["checks"] if not one["ok"]]
    wrong = f"records/{path.name} tells otherwise of {told['files'][0]['path']} than the manifest"
    assert failed["name"] == "records are of the tasks of this mix"
    assert failed["seen"] == [wrong]


def test_a_copy_without_records_is_good(mix: MixCopy) -> None:
    assert check_records(*Dataset.published(str(mix.folder))).ok
    shutil.rmtree(mix.base / "records")
    assert check_records(*Dataset.published(str(mix.folder))).ok


@pytest.mark.parametrize("kind", [".npy", ".csv.gz", "benchmarks.arrow", "tokenizer"])
def test_one_file_truncated(mix: MixCopy, kind: str) -> None:
    file = next(file for file in mix.manifest["files"] if file["path"].endswith(kind))
    path = mix.base / file["path"]
    path.write_bytes(path.read_bytes()[:-7])
    assert any(file["path"] in name for name in mix.failed())


def test_bounds_truncated_and_hashes_made_to_agree(mix: MixCopy) -> None:
    """The last document's bounds are gone: its tokens belong to nobody."""
    path = mix.of_source("docs")
    mix.write(path, mix.tokens(path), mix.rows(path)[:-1])
    mix.agree()
    failed = mix.failed()
    assert "tokens in no document" in failed
    assert "documents per source" in failed


def test_document_cut_out_and_hashes_made_to_agree(mix: MixCopy) -> None:
    path = mix.of_source("docs")
    rows = mix.rows(path)
    mix.write(path, mix.tokens(path)[: int(rows[-1][0])], rows[:-1])
    mix.agree()
    failed = mix.failed()
    assert "tokens per source" in failed
    assert "documents per source" in failed


@pytest.mark.parametrize(
    ("place", "token", "named"),
    [(3, 1 << 20, "vocabulary"), (3, 0, "EOS inside"), (-1, 5, "close with EOS")],
)
def test_bad_token_with_a_hash_that_agrees(
    mix: MixCopy, place: int, token: int, named: str
) -> None:
    path = mix.of_source("docs")
    tokens, rows = mix.tokens(path), mix.rows(path)
    edge = int(rows[0][0]) if place >= 0 else int(rows[0][1])
    tokens[edge + place] = token
    mix.write(path, tokens, rows)
    mix.agree()
    assert any(named in name for name in mix.failed())


def test_text_that_is_no_utf8_with_a_hash_that_agrees(mix: MixCopy) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(mix.base / "about/tokenizer"))
    lone = tokenizer.token_to_id("\u00c3")  # how byte-level BPE spells the byte 0xC3
    path = mix.of_source("docs")
    tokens, rows = mix.tokens(path), mix.rows(path)
    tokens[int(rows[0][0]) + 2 : int(rows[0][0]) + 4] = lone
    mix.write(path, tokens, rows)
    mix.agree()
    assert any("UTF-8" in name for name in mix.failed())


def test_recipe_scans_with_benchmarks_read_anew(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """A benchmark that nobody knew when the mix was made: a sentence of one of its documents."""
    text = json.loads(next(line for line in pool.lines if b"story-02" in line))["text"]
    recipe = pool.recipe()
    benchmark = tmp_path / "late.jsonl"
    benchmark.write_text(json.dumps({"id": "late", "question": text.split(". ")[0]}) + "\n")
    recipe["pool"]["decontaminate"]["benchmarks"][0]["paths"] = [str(benchmark)]
    path = tmp_path / "late.yaml"
    path.write_text(json.dumps(recipe))
    mix = str(finished.workspace / "mixes/small")
    outcome = vineleaf_here("verify", mix, "--recipe", str(path), "--json")
    assert outcome.code == 1
    assert [check["name"] for check in outcome.answer["checks"] if not check["ok"]] == [SCAN]


def test_source_shrunk_and_manifest_made_to_agree_with_itself(mix: MixCopy) -> None:
    """Half of a source is dropped and the manifest tells the shares that are left; the
    recipe beside it still says what was asked."""
    for path in [one for one in mix.token_files if one.split("/")[1] == "docs"]:
        tokens, rows = mix.tokens(path), mix.rows(path)
        half = len(rows) // 2
        end = int(rows[half][0])
        mix.write(path, tokens[:end], rows[:half])
        mix.count("docs", tokens=end - len(tokens), documents=half - len(rows))
    details = mix.manifest["details"]
    sums = {name: its["tokens"] for name, its in details["sources"].items()}
    for name, its in details["sources"].items():
        its["wanted_tokens"] = sums[name]
        details["shares"][name] = sums[name] / sum(sums.values())
    mix.agree()
    assert any("share" in name or "recipe" in name for name in mix.failed())


def test_verify_of_a_mix_without_its_tokenizer_asks_no_hub(
    mix: MixCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is missing, and nothing is fetched under its name from elsewhere."""
    asked = []

    def from_pretrained(name: str) -> None:
        asked.append(name)
        raise OSError("no network in this test")

    monkeypatch.setattr(tokenizers.Tokenizer, "from_pretrained", from_pretrained)
    (mix.base / "about/tokenizer").unlink()
    assert any("about/tokenizer" in name for name in mix.failed())
    assert asked == []


def test_share_in_the_manifest_changed(mix: MixCopy) -> None:
    """What a manifest tells of shares is what the recipe beside it asks."""
    mix.manifest["details"]["shares"].update(docs=0.3, web=0.4)
    mix.save()
    assert any("share" in name for name in mix.failed())
