"""A mix whose code is rearranged to be filled in is exact and proven; other sources stay."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pool import Finished, Outcome, published, run, vineleaf_here

EOS, PREFIX, MIDDLE, SUFFIX = 300, 301, 302, 303
SENTINELS = {"<|endoftext|>": EOS, "<PRE>": PREFIX, "<MID>": MIDDLE, "<SUF>": SUFFIX}
ASKED = {"sources": ["code"], "rate": 0.6, "prefix": "<PRE>", "middle": "<MID>", "suffix": "<SUF>"}


def recipe_of(finished: Finished, folder: Path, **asked: Any) -> dict[str, Any]:
    """The recipe with a tokenizer that has sentinels."""
    ranks = [bytes([byte]) for byte in range(256)] + [b" the", b"def ", b"    "]
    lines = [f"{base64.b64encode(one).decode()} {rank}" for rank, one in enumerate(ranks)]
    path = folder / "sentinels.tiktoken"
    path.write_text("\n".join(lines))
    recipe = copy.deepcopy(finished.recipe)
    recipe["mix"] |= {
        "tokenizer": {"name": str(path), "pattern": "cl100k", "special_tokens": SENTINELS},
        "tokens": 60_000,
        "fill_in_middle": {**ASKED, **asked},
    }
    return recipe


@pytest.fixture(scope="module")
def filled(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("filled")
    workspace = finished.copy_to(folder / "workspace")
    return run(recipe_of(finished, folder), workspace).good()


def documents_of(mix: Path, source: str) -> list[list[int]]:
    base, _ = published(mix)
    found = []
    for path in sorted((base / "tokens" / source).glob("*.npy")):
        tokens = np.fromfile(path, np.uint32)
        found += [its.tolist() for its in np.split(tokens, np.flatnonzero(tokens == EOS) + 1)[:-1]]
    return found


def test_only_the_code_is_rearranged_and_the_mix_verifies(filled: Outcome) -> None:
    mix = Path(filled.answer["mix"])
    answer = vineleaf_here("verify", str(mix), "--json").good().answer
    assert [check["name"] for check in answer["checks"] if not check["ok"]] == []
    code = documents_of(mix, "code")
    rearranged = [one for one in code if PREFIX in one]
    assert 0 < len(rearranged) < len(code)
    for one in rearranged:
        assert sorted(token for token in one if token > EOS) == [PREFIX, MIDDLE, SUFFIX]
        prefix, suffix = one.index(PREFIX), one.index(SUFFIX)
        assert prefix == 0
        assert suffix < one.index(MIDDLE)
    for source in ("web", "docs"):
        assert not any(PREFIX in one for one in documents_of(mix, source))


def test_the_datasheet_tells_of_the_sentinels_and_what_is_rearranged(filled: Outcome) -> None:
    mix = Path(filled.answer["mix"])
    page = (mix / "README.md").read_text()
    assert f"`<PRE>` ({PREFIX}) prefix `<SUF>` ({SUFFIX}) suffix `<MID>` ({MIDDLE}) middle" in page
    assert "60% of those of the sources below" in page
    _, tokens = published(mix.parents[1] / "attributes" / "tokens" / "code")
    counts = tokens["counts"]
    section = page[page.index("## Fill-in-the-middle") : page.index("## How to read it")]
    (row,) = [line.split("|") for line in section.splitlines() if line.startswith("| code")]
    numbers = [int(cell.replace(",", "")) for cell in row[2:4]]
    assert numbers == [counts["fill_in_middle.documents"], counts["kept"]]
    assert 0 < numbers[0] < numbers[1]


def test_a_tokenizer_without_sentinels_is_refused_before_any_work(
    finished: Finished, tmp_path: Path
) -> None:
    outcome = run(recipe_of(finished, tmp_path, middle="<MIDDLE>"), tmp_path / "workspace")
    assert outcome.code == 2
    (error,) = outcome.answer["errors"]
    assert "'mix.fill_in_middle.middle': the tokenizer has no token '<MIDDLE>'" in error
    assert not (tmp_path / "workspace" / "documents").exists()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"suffix": "<PRE>"}, "'mix.fill_in_middle.suffix': '<PRE>' is 'prefix' as well"),
        ({"middle": "<|endoftext|>"}, "'<|endoftext|>' closes documents (EOS)"),
        ({"middle": "<MIDDLE>"}, "the tokenizer has no token '<MIDDLE>'"),
    ],
)
def test_check_tells_sentinels_that_tell_no_parts_apart(
    finished: Finished, tmp_path: Path, asked: dict[str, str], told: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(recipe_of(finished, tmp_path, **asked)))
    outcome = vineleaf_here("check", str(path), "--no-files", "--json")
    assert outcome.code == 0  # no tokenizer is loaded
    outcome = vineleaf_here("check", str(path), "--workspace", str(finished.workspace), "--json")
    assert outcome.code == 2
    (error,) = outcome.answer["errors"]
    assert told in error["message"]


def test_a_source_that_is_not_there_is_refused(finished: Finished, tmp_path: Path) -> None:
    outcome = run(recipe_of(finished, tmp_path, sources=["cod"]), tmp_path / "workspace")
    assert outcome.code == 2
    assert "did you mean 'code'" in outcome.answer["errors"][0]
