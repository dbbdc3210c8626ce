"""Where the recipe removes passages, a contaminated document stays without its benchmark item."""

from pathlib import Path

import pytest
import tokenizers
from small_pool import (
    ITEMS,
    Finished,
    Pool,
    prose,
    published,
    read_tokens,
    run,
    vineleaf_here,
)


@pytest.fixture(scope="module")
def workspace(finished: Finished, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = finished.copy_to(tmp_path_factory.mktemp("passages") / "workspace")
    recipe = pool.recipe()
    recipe["pool"]["decontaminate"]["remove"] = "passage"
    recipe["mix"]["max_epochs"]["docs"] = 2
    recipe["mix"]["tokens"] = 36_000  # more than one epoch of docs: each document is in the mix
    recipe["mix"]["shares"] = {"docs": 1.0}
    run(recipe, folder).good()
    return folder


def test_document_stays(workspace: Path, pool: Pool) -> None:
    for identifier in pool.planted.contaminated:
        story = vineleaf_here("why", identifier, "-w", str(workspace), "--json").good().answer
        assert story["kept"] is True
        assert story["copies"] >= 1
        assert story["contamination"][0]["benchmark"] == "exam"


def test_no_item_is_in_the_text_of_the_mix(workspace: Path, pool: Pool) -> None:
    base, manifest = published(workspace / "mixes/small")
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "about/tokenizer"))
    paths = [file["path"] for file in manifest["files"] if file["path"].endswith(".npy")]
    text = " ".join(tokenizer.decode(read_tokens(base / path).tolist()) for path in paths)
    words = " ".join(text.split())
    for item, question in ITEMS:
        assert prose(item).split(".")[0] in words  # what stood before the item is there
        spoken = question.split()
        for start in range(len(spoken) - 7):
            assert " ".join(spoken[start : start + 8]) not in words


def test_mix_verifies(workspace: Path) -> None:
    outcome = vineleaf_here("verify", str(workspace / "mixes/small"), "--json")
    assert [check for check in outcome.answer["checks"] if not check["ok"]] == []
