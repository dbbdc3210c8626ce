import ast
import sys
from pathlib import Path

import pytest

from benchmarks.environments import REQUIREMENTS
from benchmarks.stages import STAGES

ROOT = Path(__file__).parents[2]
SIDES = sorted(
    {(side.function, side.environment) for stage in STAGES.values() for side in [stage.ours]}
    | {(p.side.function, p.side.environment) for stage in STAGES.values() for p in stage.peers}
)


@pytest.mark.parametrize(("function", "environment"), SIDES)
def test_each_side_is_a_function_that_exists(function, environment):
    module, _, name = function.partition(":")
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert name in [one.name for one in functions]
    assert not environment or (REQUIREMENTS / f"{environment}.txt").exists()


def test_peers_pin_each_requirement():
    for path in REQUIREMENTS.glob("*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert line.count("==") == 1, f"{path.name}: {line}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("benchmarks/peers/*.py")), ids=lambda p: p.name)
def test_peers_import_nothing_of_ours_and_only_the_standard_library_at_their_top(path):
    allowed = {f"benchmarks.{name}" for name in ("inputs", "work", "plain_c4", "plain_gopher")}
    allowed |= {"benchmarks.peers.datatrove"}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            assert name in allowed or name.split(".")[0] in sys.stdlib_module_names, name


def test_the_speeds_to_reach_are_those_of_the_project():
    rates = {name: stage.rate for name, stage in STAGES.items() if stage.rate}
    assert rates == {
        "rules": 30,
        "minhash": 100,
        "decontaminate": 150,
        "bpe": 60,
        "road": 12,
        "substring": 10,
    }
    times = {
        (name, peer.side.name): peer.times
        for name, stage in STAGES.items()
        for peer in stage.peers
        if peer.times
    }
    assert times == {
        ("rules", "datatrove Gopher repetition"): 50,
        ("minhash", "rensa, shingles by Python"): 10,
        ("bpe", "tiktoken encode_ordinary"): 6,
        ("bpe", "bpe-openai"): 2.5,
        ("bpe", "rs-bpe"): 2.5,
        ("bpe", "tokenizers"): 2.5,
        ("language", "fasttext-predict"): 4,
        ("quality", "fasttext"): 1.5,
        ("road", "datatrove"): 100,
        ("cores", "vineleaf on one core"): 1.8,
    }
