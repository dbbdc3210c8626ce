"""Prism, Beam's runner for one machine, makes the bytes of the default one."""

import pytest
from fetch_prism import PRISM
from small_pool import hashes_of, make_pool, vineleaf, write_recipe


def test_a_recipe_makes_the_same_bytes(tmp_path):
    if not PRISM.exists():
        pytest.skip(f"second opinion: {PRISM}, which `make prism` builds")
    recipe = str(write_recipe(tmp_path / "r.yaml", make_pool(tmp_path / "pool").recipe()))
    local, prism = tmp_path / "local", tmp_path / "prism"
    vineleaf("run", recipe, "-w", str(local), "--json").good()
    runner = ["--runner=PrismRunner", "--", f"--prism_location={PRISM}"]
    done = vineleaf("run", recipe, "-w", str(prism), "--json", *runner).good()
    assert set(done.states.values()) == {"done"}
    assert hashes_of(prism) == hashes_of(local)
