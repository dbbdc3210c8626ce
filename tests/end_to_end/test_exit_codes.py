"""What is wrong is said in one sentence, with the exit code that scripts go by: 2 for the recipe
and the command line, 3 for a run that could not go on.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_pool import (
    Finished,
    Outcome,
    Pool,
    command_line,
    environment,
    files_of,
    hashes_of,
    run,
    times_of,
    vineleaf,
    vineleaf_here,
    write_recipe,
)

GOOD = """\
name: small
pool:
  sources:
    docs:
      ingest: dolma
      paths: ["docs/*.gz"]
      rules: [gopher]
mix:
  tokens: 1000
  tokenizer: tokenizer.json
  shares: {docs: 1.0}
"""

WRONG = {  # name -> (line that is replaced, by what, line number, words of the sentence)
    "unknown key": ("      rules: [gopher]", "      rulse: [gopher]", 7, ("rulse", "rules")),
    "unknown top key": ("mix:", "mixx:", 8, ("mixx", "mix")),
    "text for a number": ("  tokens: 1000", '  tokens: "262,144"', 9, ("tokens", "262,144")),
    "unknown rule": ("      rules: [gopher]", "      rules: [gofer]", 7, ("gofer", "gopher")),
    "unknown ingest": ("      ingest: dolma", "      ingest: dolmma", 5, ("dolmma", "dolma")),
    "list for a mapping": ("  shares: {docs: 1.0}", "  shares: [docs]", 11, ("shares", "mapping")),
    "shares": ("  shares: {docs: 1.0}", "  shares: {docs: 0.7}", 11, ("shares", "1", "0.7")),
    "share of no source": ("  shares: {docs: 1.0}", "  shares: {dox: 1.0}", 11, ("dox", "docs")),
    "share above one": ("  shares: {docs: 1.0}", "  shares: {docs: 1.5}", 11, ("shares", "1.5")),
    "text for paths": ('      paths: ["docs/*.gz"]', "      paths: docs", 6, ("paths", "list")),
    "no tokens": ("  tokens: 1000", "  tokens: 0", 9, ("tokens",)),
    "no YAML": ("mix:", "mix: [", 8, ()),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_recipe_is_told_with_file_line_and_remedy(name: str, tmp_path: Path) -> None:
    line, by, number, words = WRONG[name]
    assert f"{line}\n" in GOOD
    path = tmp_path / "wrong.yaml"
    path.write_text(GOOD.replace(f"{line}\n", f"{by}\n"))

    outcome = vineleaf_here("check", str(path), "--json")
    assert outcome.code == 2
    assert outcome.answer["ok"] is False
    problems = outcome.answer["errors"]
    assert any(
        problem["file"] == str(path) and all(word in problem["message"] for word in words)
        for problem in problems
    ), problems
    if name != "no YAML":
        assert number in {problem["line"] for problem in problems}, problems

    workspace = tmp_path / "workspace"
    ran = vineleaf_here("run", str(path), "-w", str(workspace), "--json")
    said = ran.failed(2)
    assert all(word in said for word in words)
    assert str(path) in said
    assert re.search(rf"\b{problems[0]['line']}\b", said)
    assert not workspace.exists()


def test_good_recipe_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    outcome = vineleaf_here("check", str(path), "--json", "--no-files")
    assert (outcome.code, outcome.answer) == (0, {"ok": True, "errors": []})


def test_wrong_recipe_as_a_process(tmp_path: Path) -> None:
    """The exit code and the two streams as a script sees them."""
    path = tmp_path / "wrong.yaml"
    path.write_text(GOOD.replace("  tokens: 1000", '  tokens: "262,144"'))
    outcome = vineleaf("run", str(path), "--workspace", str(tmp_path / "workspace"), "--json")
    assert "262,144" in outcome.failed(2)
    assert "262,144" in outcome.stderr


def test_recipe_that_does_not_exist(tmp_path: Path) -> None:
    outcome = vineleaf_here("run", str(tmp_path / "none.yaml"), "-w", str(tmp_path / "w"), "--json")
    assert "none.yaml" in outcome.failed(2)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_source_without_files_is_told_unless_allowed(
    pool: Pool, tmp_path: Path, command: str
) -> None:
    recipe = pool.recipe()
    recipe["pool"]["sources"]["web"]["paths"] = [str(tmp_path / "nothing/*.html")]
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    outcome = vineleaf_here(command, str(path), "-w", str(tmp_path / "workspace"), "--json")
    said = outcome.failed(2)
    assert "web" in said
    assert "nothing/*.html" in said


def test_missing_benchmark_is_told(pool: Pool, tmp_path: Path) -> None:
    recipe = pool.recipe()
    recipe["pool"]["decontaminate"]["benchmarks"][0]["paths"] = [str(tmp_path / "exam.jsonl")]
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    outcome = vineleaf_here("plan", str(path), "-w", str(tmp_path / "workspace"), "--json")
    assert "exam.jsonl" in outcome.failed(2)


@pytest.mark.parametrize("command", ["run", "plan", "check"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"id": "a", "question": "x"}\n{"id": "b"}\n', ("line 2", "no field 'question'")),
        ('{"id": "a", "question": "How many apples?"}\n', ("none of its 1 items",)),
    ],
)
def test_bad_benchmark_is_told_before_any_work(
    pool: Pool, tmp_path: Path, command: str, content: str, words: tuple[str, ...]
) -> None:
    exam = tmp_path / "exam.jsonl"
    exam.write_text(content)
    recipe = pool.recipe()
    recipe["pool"]["decontaminate"]["benchmarks"][0]["paths"] = [str(exam)]
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    workspace = tmp_path / "workspace"
    places = () if command == "check" else ("-w", str(workspace))
    outcome = vineleaf_here(command, str(path), *places, "--json")
    said = outcome.failed(2) if command != "check" else str(outcome.answer["errors"])
    assert outcome.code == 2
    assert all(word in said for word in (str(path), "exam", *words)), said
    assert not files_of(workspace)


def test_more_tokens_than_there_are(finished: Finished, pool: Pool, tmp_path: Path) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["mix"]["tokens"] = 64_000
    before = times_of(workspace)
    said = run(recipe, workspace).failed(2)
    (docs,) = [
        stage["counts"]["tokens"]
        for stage in finished.outcome.answer["stages"]
        if stage["name"] == "tokenize docs"
    ]
    ledger = run(recipe, workspace).answer["ledger"]["docs"]
    assert ledger["balanced"] is True
    assert ledger["kept"] > 0
    assert "docs" in said
    assert f"{32_000:,}" in said or "32000" in said  # wanted: half of 64,000
    assert f"{docs:,}" in said or str(docs) in said  # there
    assert f"{32_000 - docs:,}" in said or str(32_000 - docs) in said  # missing
    assert times_of(workspace) == before


def test_input_that_cannot_hold_what_is_asked_is_told_before_any_work(
    pool: Pool, tmp_path: Path
) -> None:
    recipe = pool.recipe()
    recipe["mix"]["shares"] = {"docs": 1.0}
    recipe["mix"]["tokens"] = "4M"  # the size of the compressed input does not rule that out
    said = run(recipe, tmp_path / "workspace").failed(2)
    assert re.search(r"docs: .* its input can hold no more than [\d,]+ .* too many", said)
    assert not list((tmp_path / "workspace").glob("documents/*/*"))


def test_a_pool_that_cannot_hold_what_is_asked_ends_at_the_first_barrier_that_shows_it(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    recipe = pool.recipe()
    recipe["mix"]["shares"] = {"docs": 1.0}
    (text_bytes,) = [
        stage["counts"]["text_bytes"]
        for stage in finished.outcome.answer["stages"]
        if stage["name"] == "ingest docs"
    ]
    recipe["mix"]["tokens"] = 2 * text_bytes + 1  # the lines of JSON are longer than their texts
    said = run(recipe, tmp_path / "workspace").failed(2)
    assert re.search(r"what was read of its input can hold no more than [\d,]+", said)
    assert "docs" in said
    assert not list((tmp_path / "workspace").glob("attributes/*/*"))


def test_a_mix_that_would_be_empty_is_refused(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = pool.recipe()
    recipe["mix"]["tokens"] = 2
    before = times_of(workspace)
    said = run(recipe, workspace).failed(2)
    assert "less than its first document" in said
    assert times_of(workspace) == before


def test_where_that_names_no_column(pool: Pool, tmp_path: Path) -> None:
    recipe = pool.recipe()
    recipe["mix"]["where"] = "size.bites > 3"
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    outcome = vineleaf_here("check", str(path), "--json")
    assert outcome.code == 2
    assert "bites" in str(outcome.answer)


def test_answer_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    for option in ([], ["--json"]):
        with open("/dev/full", "w") as full:
            ended = subprocess.run(
                command_line("check", str(path), "--no-files", *option),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(),
            )
        assert ended.returncode == 3
        assert ended.stderr == "error: the answer cannot be written: No space left on device\n"


def test_unknown_option_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    assert vineleaf_here("run", str(path), "--wrokspace", "x").code == 2


def test_mix_that_does_not_exist(tmp_path: Path) -> None:
    outcome = vineleaf_here("verify", str(tmp_path / "mixes/none"), "--json")
    assert "none" in outcome.failed(2)


class SmallDisk:
    """A file system of a few hundred kilobytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, kilobytes: int) -> None:
        self._mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(self.folder))

    def grow(self, kilobytes: int) -> None:
        self._mount("-o", f"remount,size={kilobytes}k", str(self.folder))

    def used_kilobytes(self) -> int:
        state = os.statvfs(self.folder)
        return (state.f_blocks - state.f_bfree) * state.f_frsize >> 10

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True, capture_output=True)

    def _mount(self, *arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk")
    disk.folder.mkdir()
    try:
        disk.mount(64)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        pytest.skip(f"a small disk needs root and mount: {error}")
    try:
        yield disk
    finally:
        disk.unmount()


def test_full_disk_fails_the_run_and_it_goes_on_when_there_is_room(
    finished: Finished, pool: Pool, tmp_path: Path, small_disk: SmallDisk
) -> None:
    workspace = small_disk.folder / "workspace"
    small_disk.grow(96)
    assert_disk_is_full(run(pool.recipe(), workspace, here=False))
    ingested = sum(
        path.stat().st_size for path in files_of(finished.workspace, ["documents"]).values()
    )
    small_disk.grow(small_disk.used_kilobytes() + 4 * ingested // 1024)
    assert_disk_is_full(run(pool.recipe(), workspace))
    assert not (workspace / "mixes").exists()
    small_disk.grow(1 << 20)
    run(pool.recipe(), workspace).good()
    seen, wanted = hashes_of(workspace), hashes_of(finished.workspace)
    assert {name for name in seen if "/_aside/" not in name} == wanted.keys()
    assert [name for name in wanted if seen[name] != wanted[name]] == []


def test_disk_that_is_full_while_duplicates_are_sought_is_named(
    finished: Finished, pool: Pool, tmp_path: Path, small_disk: SmallDisk
) -> None:
    small_disk.grow(1 << 20)
    workspace = finished.copy_to(small_disk.folder / "workspace")
    for made in ("attributes/exact_duplicates", "attributes/fuzzy_duplicates", "mixes"):
        shutil.rmtree(workspace / made)
    for made in (workspace / "attributes").glob("selection-*"):
        shutil.rmtree(made)
    small_disk.grow(small_disk.used_kilobytes() + 24)
    said = run(pool.recipe(), workspace).failed(3)
    assert re.search(rf"No space left on device while writing {workspace}/.*; make room", said), (
        said
    )
    assert len(said.strip().splitlines()) == 1
    small_disk.grow(1 << 20)
    run(pool.recipe(), workspace).good()
    seen, wanted = hashes_of(workspace), hashes_of(finished.workspace)
    assert [name for name in wanted if seen[name] != wanted[name]] == []


def assert_disk_is_full(outcome: Outcome) -> None:
    said = outcome.failed(3)
    assert "No space left on device" in said or "disk" in said.lower(), said


def test_file_size_limit_fails_the_run_and_it_goes_on_without(
    finished: Finished, pool: Pool, tmp_path: Path
) -> None:
    """Where nothing can be mounted: the process may not write a file as large as a mix's."""
    workspace = finished.copy_to(tmp_path / "workspace")
    shutil.rmtree(workspace / "mixes")
    path = write_recipe(tmp_path / "recipe.yaml", pool.recipe())
    arguments = command_line("run", str(path), "-w", str(workspace), "--json", small=True)
    largest = max(file.stat().st_size for file in (finished.workspace / "mixes").rglob("*.npy"))
    limit = largest - 4
    code = (
        "import resource, signal, os, sys;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = subprocess.run(
        [arguments[0], "-c", code, *arguments], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 3, done.stderr
    assert not (workspace / "mixes/small/manifest.json").exists()
    run(pool.recipe(), workspace).good()
    seen, wanted = hashes_of(workspace), hashes_of(finished.workspace)
    assert [name for name in wanted if seen.get(name) != wanted[name]] == []


@pytest.mark.parametrize(("name", "sibling"), [("ws [1]", "ws 1"), ("ws*", "ws-other")])
def test_characters_of_globs_in_the_workspace(
    pool: Pool, tmp_path: Path, name: str, sibling: str
) -> None:
    """They are letters like others, or the command line is wrong and says so; a workspace beside,
    whose name the glob would match, keeps every file."""
    files = [
        tmp_path / sibling / "documents/docs" / one for one in ("_aside/half", "manifest.json")
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    outcome = run(pool.recipe_of([f"{pool.folder}/docs/*.gz"]), tmp_path / name)
    assert [path for path in files if not path.exists()] == []
    if outcome.code != 0:
        assert name in outcome.failed(2)


def test_missing_tokenizer_is_told_before_any_work(pool: Pool, tmp_path: Path) -> None:
    recipe = pool.recipe()
    recipe["mix"]["tokenizer"] = str(tmp_path / "no-tokenizer.json")
    path = write_recipe(tmp_path / "recipe.yaml", recipe)
    workspace = tmp_path / "workspace"
    outcome = vineleaf_here("run", str(path), "-w", str(workspace), "--json", small=True)
    assert "no-tokenizer.json" in outcome.failed(2)
    assert not (workspace / "documents").exists()


def test_full_disk_is_told_in_one_sentence(
    finished: Finished, pool: Pool, tmp_path: Path, small_disk: SmallDisk
) -> None:
    """No traceback, and the sentence names the place that is full."""
    workspace = small_disk.folder / "workspace"
    small_disk.grow(40)
    outcome = run(pool.recipe(), workspace, here=False)
    said = outcome.failed(3)
    assert "Traceback" not in outcome.stderr
    assert str(small_disk.folder) in said
