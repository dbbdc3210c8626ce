"""The DAG for Airflow calls the command as the docs of exit codes say, and tries again what may
succeed. Airflow itself is not needed: what the file takes of it is stood in for."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest

DAG = Path(__file__).parents[2] / "infra/airflow/vineleaf_run.py"
PARAMS = {
    "recipe": "my.yaml",
    "workspace": "s3://bucket/my",
    "runner": "FlinkRunner",
    "set": ["mix.tokens=2M", "gates=null"],
    "beam_options": ["--job_endpoint=localhost:8099"],
}


class Refused(Exception):
    pass


class MayBeTriedAgain(Exception):
    pass


@pytest.fixture
def loaded(monkeypatch):
    """The DAG's module, and what was called of Airflow."""
    called = types.SimpleNamespace(dag=None, tasks={}, calls=[])

    def task(function):
        called.tasks[function.__name__] = function
        return lambda *arguments: (
            called.calls.append((function.__name__, arguments))
            or (f"result of {function.__name__}")
        )

    def dag(**settings):
        called.dag = settings
        return lambda function: function

    sdk = types.ModuleType("airflow.sdk")
    sdk.Param, sdk.dag, sdk.task = (lambda default, **schema: (default, schema)), dag, task
    errors = types.ModuleType("airflow.exceptions")
    errors.AirflowException, errors.AirflowFailException = MayBeTriedAgain, Refused
    for name, module in {
        "airflow": types.ModuleType("airflow"),
        "airflow.sdk": sdk,
        "airflow.exceptions": errors,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    specification = importlib.util.spec_from_file_location("vineleaf_run", DAG)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module, called


def command(folder: Path, monkeypatch, answer: object, code: int) -> Path:
    """A command in the place of `vineleaf`; gives the file of the arguments that it was called
    with."""
    path, seen = folder / "vineleaf", folder / "seen.json"
    path.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"json.dump(sys.argv[1:], open({str(seen)!r}, 'w'))\n"
        f"print({json.dumps(answer)!r})\nsys.exit({code})\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("VINELEAF", str(path))
    return seen


def test_a_run_is_followed_by_the_proof_of_its_mix(loaded, tmp_path, monkeypatch):
    _, called = loaded
    assert called.calls == [("run", ()), ("verify", ("result of run",))]
    seen = command(tmp_path, monkeypatch, {"mix": "s3://bucket/my/mixes/my"}, 0)
    assert called.tasks["run"](params=PARAMS) == "s3://bucket/my/mixes/my"
    assert json.loads(seen.read_text()) == [
        *["run", "my.yaml", "--workspace", "s3://bucket/my", "--runner", "FlinkRunner", "--json"],
        *["--set", "mix.tokens=2M", "--set", "gates=null"],
        *["--", "--job_endpoint=localhost:8099"],
    ]
    called.tasks["verify"]("s3://bucket/my/mixes/my")
    assert json.loads(seen.read_text()) == ["verify", "s3://bucket/my/mixes/my", "--json"]


def test_the_arguments_are_those_of_the_command(loaded):
    """As Typer reads them, but nothing is run: the recipe is not there."""
    from typer.testing import CliRunner

    from pipelines.cli import app

    module, _ = loaded
    arguments = module.run_arguments({**PARAMS, "runner": "DirectRunner", "beam_options": []})
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 2
    assert json.loads(told.stdout)["errors"][0].startswith("my.yaml:")


@pytest.mark.parametrize(
    ("code", "error"), [(1, Refused), (2, Refused), (3, MayBeTriedAgain), (-9, MayBeTriedAgain)]
)
def test_only_what_may_succeed_is_tried_again(loaded, tmp_path, monkeypatch, code, error):
    module, _ = loaded
    answer = {"ok": False, "errors": ["what is wrong"]}
    command(tmp_path, monkeypatch, answer, code % 256)
    with pytest.raises(error, match="what is wrong"):
        module.call(["run"])


def test_a_proof_that_fails_tells_which_check(loaded, tmp_path, monkeypatch):
    module, _ = loaded
    checks = [{"name": "hashes", "ok": False}, {"name": "shares", "ok": True}]
    command(tmp_path, monkeypatch, {"ok": False, "checks": checks}, 1)
    with pytest.raises(Refused, match="hashes") as told:
        module.call(["verify"])
    assert "shares" not in str(told.value)


def test_one_run_at_a_time_and_a_pause_longer_than_a_lock_holds(loaded):
    from pipelines.lock import LEASE_SECONDS

    _, called = loaded
    assert called.dag["max_active_runs"] == 1
    assert called.dag["default_args"]["retry_delay"].total_seconds() > LEASE_SECONDS
    assert set(called.dag["params"]) == set(PARAMS)
