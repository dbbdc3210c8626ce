"""The command line: what it teaches, prints where, and exits with."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from expectations.gate import Result, Verdict
from pipelines import workflow as workflow_module
from pipelines.cli import app, main
from pipelines.runners.submission import check_runner
from pipelines.stages import GateFailed, RunFailed
from pipelines.verification.check import Check
from transforms.mixing.budget import BudgetError
from transforms.tokens.training import train_bpe

ROOT = Path(__file__).parents[2]
app_module = sys.modules["pipelines.cli.app"]  # the package names its command `app`
RECIPE = """\
name: tiny
pool:
  sources:
    web: {ingest: dolma, paths: ["in/*.jsonl"], rules: [gopher]}
  dedup:
    keep: [source order, size.bytes desc]
mix:
  tokens: 100
  tokenizer: tok.json
  shares: {web: 1}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.jsonl").write_text(json.dumps({"id": "1", "text": "word " * 300}) + "\n")
    train_bpe(iter(["word " * 50]), 300, str(tmp_path / "tok.json"))
    return path


def invoke(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})


def plain(text):
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", text))


def only_json(result):
    """The one JSON object that is all of standard output."""
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ([], ["run", "plan", "check", "verify", "why", "demo", "Start with"]),
        (["run"], ["RECIPE", "--workspace", "--runner", "--set", "--json", "not up to date",
                   "-- --direct_num_workers=1", "interrupted"]),
        (["plan"], ["RECIPE", "--workspace", "--set", "--json", "what the mix would hold"]),
        (["check"], ["RECIPE", "--set", "--json", "Tell all that is wrong"]),
        (["verify"], ["MIX", "--recipe", "--json", "hashes", "rescan"]),
        (["why"], ["ID", "--workspace", "--recipe", "--json", "kept or removed"]),
        (["demo"], ["--workspace", "--json"]),
    ],
)  # fmt: skip
def test_help_teaches_arguments_and_purpose(command, parts):
    result = invoke(*command, "--help")
    assert result.exit_code == 0
    for part in parts:
        assert part in plain(result.stdout)


def test_without_a_command_it_shows_its_help():
    result = invoke()
    assert "Usage" in plain(result.output)
    assert result.exit_code != 0


def test_python_m_pipelines_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "check", "mixes/demo.yaml", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"ok": True, "errors": []}
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["check", "a", "b"], ["run", "r.yaml", "--nonsense"], ["verify"]],
)
def test_a_wrong_command_line_exits_with_2(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


# check


def test_a_good_recipe_is_said_to_be_good(recipe):
    result = invoke("check", recipe)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{recipe} is good.\n"
    assert only_json(invoke("check", recipe, "--json")) == {"ok": True, "errors": []}


WRONG = [
    ("tokens: 100", "tokns: 100", 8, "mix.tokns", "did you mean 'tokens'?"),
    ("tokens: 100", "tokens: 262,144", 8, "mix.tokens", "262,144"),
    ("size.bytes desc", "select.from desc", 6, "pool.dedup.keep.1", "no attribute"),
    ("size.bytes desc", "size.byte desc", 6, "pool.dedup.keep.1", "no column 'byte' in size"),
    ("shares", "where: size.bytes >\n  shares", 10, "mix.where", "not SQL"),
    ("shares", "where: size.bytes\n  shares", 10, "mix.where", "a boolean is wanted"),
    ("shares", "where: gophr.words > 1\n  shares", 10, "mix.where", "no attribute"),
    ("shares", "where: random() < 1\n  shares", 10, "mix.where", "cannot stand in a condition"),
]


@pytest.mark.parametrize(("old", "new", "line", "key", "part"), WRONG)
def test_a_mistake_is_told_with_its_place_and_exits_with_2(recipe, old, new, line, key, part):
    recipe.write_text(RECIPE.replace(old, new, 1))
    result = invoke("check", recipe)
    assert (result.exit_code, result.stdout) == (2, "")
    said = plain(result.stderr)
    result = invoke("check", recipe, "--json")
    assert result.exit_code == 2
    answer = only_json(result)
    assert answer["ok"] is False
    (error,) = answer["errors"]
    assert set(error) == {"file", "line", "column", "key", "message"}
    assert said.startswith(f"{recipe}:{line}:{error['column']}: ")
    assert 1 <= error["column"] <= len(recipe.read_text().splitlines()[line - 1])
    assert (error["file"], error["line"], error["key"]) == (str(recipe), line, key)
    assert part in error["message"]


MANY = """\
name: many
pool:
  sources:
    web:
      ingest: dolma
      paths: [nothing/*.jsonl, more/*.gz, "{workspace}/x"]
      rulse: [gopher]
    code:
      ingest: dolmma
      paths: nope
      rules: [gofer, {gopher: {wrods: {at_least: 5}}}, {url_lists: {domains: [none.txt]}}]
    docs: {ingest: dolma, paths: [none], allow_empty: true}
  dedup:
    fuzzy: {similarity: 7}
  decontaminate:
    benchmarks:
      - {name: exam, paths: [exam.jsonl], layout: gsm8k}
mix:
  tokens: "262,144"
  tokenizer: tok/none.json
  where: size.words >
  shares: {web: 0.5, cod: 0.7}
"""


def test_all_mistakes_are_told_at_once_by_line_and_then_all_missing_files(tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text(MANY)
    told = [
        (7, "pool.sources.web.rulse", "did you mean 'rules'?"),
        (9, "pool.sources.code.ingest", "did you mean 'dolma'?"),
        (10, "pool.sources.code.paths", "must be a list"),
        (11, "pool.sources.code.rules.0", "did you mean 'gopher'?"),
        (11, "pool.sources.code.rules.1.gopher.wrods", "did you mean 'words'?"),
        (14, "pool.dedup.fuzzy.similarity", "must be at most 1 (got 7)"),
        (19, "mix.tokens", "262,144"),
        (21, "mix.where", "not SQL"),
        (22, "mix.shares", "they sum to 1.2"),
        (22, "mix.shares.cod", "is no source; did you mean 'code'?"),
    ]
    missing = [
        (6, "pool.sources.web.paths.0", f"source web: no file matches {tmp_path}/nothing/*.jsonl"),
        (6, "pool.sources.web.paths.1", "more/*.gz"),
        (
            11,
            "pool.sources.code.rules.2.url_lists.domains.0",
            f"rule url_lists: no file matches {tmp_path}/none.txt",
        ),
        (17, "pool.decontaminate.benchmarks.0.paths.0", "benchmark exam: no file matches"),
        (20, "mix.tokenizer", "tokenizer: no file matches"),
    ]
    below = (6, "pool.sources.web.paths.2", f"no file matches {tmp_path}/w/x")
    for options, wanted in (
        ([], [*told, *missing]),
        (["--no-files"], told),
        (["--workspace", tmp_path / "w"], [*told, *missing[:2], below, *missing[2:]]),
    ):
        result = invoke("check", path, "--json", *options)
        assert result.exit_code == 2
        errors = only_json(result)["errors"]
        assert [(one["line"], one["key"]) for one in errors] == [one[:2] for one in wanted]
        for error, (_, _, part) in zip(errors, wanted, strict=True):
            assert part in error["message"]
            assert error["file"] == str(path)
    *lines, last = invoke("check", path).stderr.splitlines()
    assert [line.split(": ")[0].rpartition(":")[0] for line in lines] == [
        f"{path}:{line}" for line, _, _ in (*told, *missing)
    ]
    assert last == "Columns in SQL, gates, tokenizer and benchmarks are looked at after that."


def test_columns_and_tokenizers_are_looked_at_beside_wrong_keys(recipe, tmp_path):
    (tmp_path / "tok.json").write_text("{}")
    text = RECIPE.replace("[gopher]", "[{gopher: {wrods: {at_least: 5}}}]")
    text = text.replace("shares: {web: 1}", "shares: {wbe: 0.2, web: 0.9}\n  where: size.wrods > 5")
    recipe.write_text(text)
    result = invoke("check", recipe, "--json")
    assert result.exit_code == 2
    keys = {one["key"] for one in only_json(result)["errors"]}
    assert keys == {
        "pool.sources.web.rules.0.gopher.wrods", "mix.shares", "mix.shares.wbe", "mix.where",
        "mix.tokenizer",
    }  # fmt: skip


def test_a_recipe_can_be_checked_where_its_files_are_not(recipe, tmp_path):
    (tmp_path / "tok.json").unlink()
    assert invoke("check", recipe).exit_code == 2
    assert invoke("check", recipe, "--no-files").exit_code == 0


def test_a_fraction_in_repeat_by_is_refused(recipe):
    repeat = "mix.repeat={by: size.bytes / 2, times: {2: 2}}"
    (error,) = only_json(invoke("check", recipe, "--set", repeat, "--json"))["errors"]
    assert error["key"] == "mix.repeat.by"
    assert "mix.repeat.by: a whole number is wanted but this gives double" in error["message"]
    whole = repeat.replace("/ 2", "// 2")
    assert invoke("check", recipe, "--set", whole).exit_code == 0


def test_overrides_are_checked_too(recipe):
    (error,) = only_json(invoke("check", recipe, "--set", "mix.tokens=x", "--json"))["errors"]
    assert (error["file"], error["line"], error["column"]) == ("--set mix.tokens=x", 0, 0)
    told = plain(invoke("check", recipe, "--set", "mix.tokens=x").stderr)
    assert told.startswith("--set mix.tokens=x: 'mix.tokens' is the text 'x'")
    assert invoke("check", recipe, "--set", "mix.tokens=5M").exit_code == 0


# run and plan


def test_run_refuses_a_wrong_recipe_before_any_work(recipe, tmp_path):
    recipe.write_text(RECIPE.replace("web: 1}", "web: 0.9}"))
    result = invoke("run", recipe, "--workspace", tmp_path / "w", "--json")
    assert result.exit_code == 2
    assert only_json(result)["ok"] is False
    assert "shares must sum to 1" in result.stderr
    assert not (tmp_path / "w").exists()


def test_run_says_which_pattern_matches_nothing(recipe, tmp_path):
    (tmp_path / "in" / "x.jsonl").unlink()
    (tmp_path / "tok.json").unlink()
    for command in ("run", "plan"):
        result = invoke(command, recipe, "--workspace", tmp_path / "w")
        assert (result.exit_code, result.stdout) == (2, "")
        said = plain(result.stderr)
        assert f"{recipe}:4:34: source web: no file matches {tmp_path}/in/*.jsonl" in said
        assert f"{recipe}:9:3: tokenizer: no file matches {tmp_path}/tok.json" in said


def test_a_wrong_sweep_is_named_as_it_was_written(recipe, tmp_path):
    sweeps = ("--sweep", "gopher.wrods.min=3,4", "--sweep", "tokens=5X")
    result = invoke("plan", recipe, "--workspace", tmp_path / "w", "--json", *sweeps)
    assert result.exit_code == 2
    errors = only_json(result)["errors"]
    assert all(one.startswith("--sweep gopher.wrods.min=") for one in errors)
    assert any("=3, tokens=5X: " in one and "did you mean 'words'?" in one for one in errors)
    assert any("=4, tokens=5X: " in one and "does not fit" in one for one in errors)


def test_plan_removes_what_a_killed_one_left(recipe, tmp_path):
    left = tmp_path / "w" / "work" / "budget" / "0123" / "facts" / "shards"
    left.mkdir(parents=True)
    (left / "00000000").write_bytes(b"x")
    assert invoke("plan", recipe, "--workspace", tmp_path / "w").exit_code == 0
    assert list((tmp_path / "w" / "work" / "budget").iterdir()) == []


def test_plan_of_a_new_workspace_says_what_is_to_do_and_runs_nothing(recipe, tmp_path):
    result = invoke("plan", recipe, "--workspace", tmp_path / "w", "--json")
    assert result.exit_code == 0, result.output
    answer = only_json(result)
    assert set(answer) == {
        "stages", "sources", "rules", "outlook", "sweep", "work", "core_hours", "exchanged_bytes",
        "near_duplicates", "against", "exchanges", "notes", "windows", "curriculum",
    }  # fmt: skip
    assert answer["notes"] == []
    assert {one["state"] for one in answer["stages"]} == {"to do"}
    (source,) = answer["sources"].values()
    assert source["asked_tokens"] == 100
    assert {name for name, value in source.items() if value is None} >= {
        "available_tokens", "wanted_tokens", "taken_tokens", "epochs",
    }  # fmt: skip
    shown = invoke("plan", recipe, "--workspace", tmp_path / "w").stdout
    assert "not known yet" in shown
    assert shown.lstrip().startswith("Mix, in tokens")  # what is asked stands first
    assert shown.index("Mix, in tokens") < shown.index("Stages") < shown.index("To be computed")
    assert list((tmp_path / "w").rglob("manifest.json")) == []


def test_plan_and_run_say_when_the_library_encodes(recipe, tmp_path):
    (tmp_path / "in" / "x.jsonl").write_text(json.dumps({"id": "1", "text": "word " * 30}) + "\n")
    parsed = json.loads((tmp_path / "tok.json").read_text())
    (tmp_path / "tok.json").write_text(json.dumps({**parsed, "normalizer": {"type": "NFC"}}))
    told = (
        f"Tokenizer {tmp_path}/tok.json: the tokenizers library encodes all texts, some thirty"
        " times slower than the kernel, because its normalizer (NFC) changes texts."
    )
    where = (recipe, "--workspace", tmp_path / "w")
    assert only_json(invoke("plan", *where, "--json"))["notes"] == [told]
    assert told in plain(invoke("plan", *where).stdout)
    said = invoke("run", *where)  # in vain: no document of the source passes
    assert said.exit_code != 0
    assert told in plain(said.stderr)


VERDICT = Verdict(
    "attributes", (Result("e", "no more is removed", "web", "removed", 0.9, "at most 0.5", False),)
)


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (GateFailed("a", VERDICT.failures(), "w/gate.json", {}), 1, "removed of web is 0.9"),
        (BudgetError("web: 5 too many"), 2, "web: 5 too many"),
        (RunFailed("annotate: task x: it broke"), 3, "annotate: task x: it broke"),
        (OSError(28, "No space left on device"), 3, "No space left on device"),
        (KeyboardInterrupt(), 3, "run the same command again"),
    ],
)
def test_failures_are_one_sentence_and_an_exit_code(
    recipe, tmp_path, monkeypatch, error, code, part
):
    def fail(self):
        raise error

    monkeypatch.setattr(workflow_module.Workflow, "run", fail)
    result = invoke("run", recipe, "--workspace", tmp_path)
    assert (result.exit_code, result.stdout) == (code, "")
    assert part in plain(result.stderr)
    assert "Traceback" not in result.stderr
    result = invoke("run", recipe, "--workspace", tmp_path, "--json")
    assert result.exit_code == code
    answer = only_json(result)
    assert answer["ok"] is False
    assert part in " ".join(answer["errors"])


def test_a_failed_gate_says_seen_wanted_and_where_the_report_lies(recipe, tmp_path, monkeypatch):
    def fail(self):
        raise GateFailed("a", VERDICT.failures(), "w/gate.json", {})

    monkeypatch.setattr(workflow_module.Workflow, "run", fail)
    said = plain(invoke("run", recipe, "--workspace", tmp_path).stderr)
    for part in ("0.9", "at most 0.5", "no more is removed", "w/gate.json"):
        assert part in said


def test_beam_options_follow_two_dashes_and_all_cores_are_the_default(
    recipe, tmp_path, monkeypatch
):
    seen = []

    def run(self):
        seen.append(self.options.get_all_options())
        raise RunFailed("enough")

    monkeypatch.setattr(workflow_module.Workflow, "run", run)
    invoke("run", recipe, "-w", tmp_path)
    invoke("run", recipe, "-w", tmp_path, "--", "--direct_num_workers=1")
    invoke("run", recipe, "-w", tmp_path, "--runner", "PrismRunner", "--", "--parallelism=3")
    assert [one["runner"] for one in seen] == ["DirectRunner", "DirectRunner", "PrismRunner"]
    assert [one["direct_num_workers"] for one in seen[:2]] == [os.cpu_count(), 1]
    assert [one["direct_running_mode"] for one in seen[:2]] == ["multi_threading"] * 2
    assert seen[2]["direct_running_mode"] != "multi_threading"


@pytest.mark.parametrize("error", [ValueError("odd"), KeyError("odd")])
def test_a_defect_is_no_mistake_of_the_user(monkeypatch, tmp_path, capsys, error):
    def broken(*arguments):
        raise error

    monkeypatch.setattr("pipelines.reports.why.tell_story", broken)
    result = invoke("why", "id", "-w", tmp_path, "--json")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert "this is a defect of vineleaf" in result.stderr


@pytest.mark.parametrize("command", ["run", "plan", "why", "demo"])
def test_an_empty_workspace_is_not_the_root_of_all_folders(recipe, command):
    of_recipe = [] if command == "demo" else [recipe]
    result = invoke(command, *of_recipe, "--workspace", "")
    assert result.exit_code == 2
    assert "the workspace has no name" in result.stderr


def test_less_than_no_worker_is_refused(recipe, tmp_path):
    workspace = tmp_path / "w"
    result = invoke("run", recipe, "-w", workspace, "--", "--direct_num_workers=-3")
    assert result.exit_code == 2
    assert "must be at least 0" in result.stderr
    assert not workspace.exists()


def test_a_workspace_that_is_no_place_is_a_mistake():
    result = invoke("why", "id", "-w", "foo://a/w")
    assert result.exit_code == 2
    assert "no file system is known by 'foo://'" in result.stderr


@pytest.fixture
def own_process(monkeypatch):
    """`main` takes the process for its own: give it back."""
    monkeypatch.setattr("pipelines.cli.outcomes._own_process", False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("own_process")
def test_a_defect_in_showing_an_answer_is_no_failed_gate(monkeypatch, capsys):
    def broken(*arguments, **options):
        raise TypeError("cannot be shown")

    monkeypatch.setattr(app_module, "app", broken)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert "this is a defect of vineleaf" in capsys.readouterr().err


# verify and why


def test_verify_of_no_mix_says_so(tmp_path):
    result = invoke("verify", tmp_path / "none")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no published mix" in result.stderr
    assert only_json(invoke("verify", tmp_path / "none", "--json"))["ok"] is False


def test_why_of_an_unknown_id_says_so(tmp_path):
    result = invoke("why", "nope", "--workspace", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "holds no documents" in result.stderr


def test_a_table_that_where_may_name_is_suggested_though_nothing_measures_it(recipe):
    recipe.write_text(RECIPE + '  where: "langage.en > 0.5"\n')
    said = plain(invoke("check", recipe).stderr)
    assert "did you mean 'language.en'?" in said
    assert "code" in said.partition("tables: ")[2]
    recipe.write_text(RECIPE + '  where: "language.en > 0.5"\n')
    assert invoke("check", recipe).exit_code == 0


def test_a_tokenizer_that_cannot_be_loaded_is_told_before_any_work(recipe, tmp_path):
    (tmp_path / "tok.json").write_text("{}")
    result = invoke("check", recipe)
    assert result.exit_code == 2
    assert f"{recipe}:9:3: tokenizer" in plain(result.stderr)
    assert invoke("check", recipe, "--no-files").exit_code == 0
    assert not (tmp_path / "workspace").exists()


@pytest.mark.parametrize("name", ["Foo", "DirectRuner"])
def test_a_runner_that_beam_does_not_have_is_refused(recipe, tmp_path, name):
    result = invoke("run", recipe, "--workspace", tmp_path / "w", "--runner", name)
    assert result.exit_code == 2
    assert f"Beam has no runner '{name}'" in plain(result.stderr)
    assert "DirectRunner" in plain(result.stderr)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("name", ["DirectRunner", "fnapirunner", "Flink", "FlinkRunner", "a.b.C"])
def test_runners_are_named_as_beam_names_them(name):
    check_runner(name)


@pytest.mark.parametrize(("bad", "line"), [(1, "1 of 2 checks failed"), (0, "all 2 checks hold")])
def test_verify_ends_with_one_line_that_counts(monkeypatch, bad, line):
    checks = [Check("a", not bad, 1, 1), Check("b", True, 1, 1)]
    monkeypatch.setattr("pipelines.verification.verify.verify_mix", lambda mix, index: checks)
    result = invoke("verify", "m", "--all")
    assert result.exit_code == bad
    assert result.stdout.splitlines()[-1] == line
    everything = len(result.stdout.splitlines())
    result = invoke("verify", "m")
    assert result.exit_code == bad
    assert result.stdout.splitlines()[-1] == f"{line}; --all shows each with what it saw"
    assert len(result.stdout.splitlines()) == (everything - 1 if bad else 1)


@pytest.mark.usefixtures("own_process")
def test_without_a_standard_output_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_width_of_nothing_is_none():
    command = "from pipelines.cli.outcomes import ANSWERS; ANSWERS.print('shown')"
    done = subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, "COLUMNS": "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout == "shown\n"


def test_a_run_that_had_nothing_to_do_says_so_in_one_line(recipe, tmp_path):
    lines = [json.dumps({"id": str(k), "text": f"word number {k}"}) for k in range(30)]
    (tmp_path / "in" / "x.jsonl").write_text("\n".join(lines) + "\n")
    recipe.write_text(RECIPE.replace(", rules: [gopher]", ""))
    command = ("run", recipe, "--workspace", tmp_path / "w")
    first, again = invoke(*command), invoke(*command)
    assert (first.exit_code, again.exit_code) == (0, 0)
    said = "Everything was up to date: nothing was made anew."
    assert said not in first.stdout
    assert said in again.stdout
