"""Why tells each document's fate, and points at the evidence."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_pool import COPIED_URL, ITEMS, Finished, Pool, mixed_ids, published, vineleaf_here


def why(identifier: str, workspace: Path) -> dict[str, Any]:
    story = vineleaf_here("why", identifier, "-w", str(workspace), "--json").good().answer
    assert story["id"] == identifier
    assert story.keys() >= {
        "id", "source", "kept", "reasons", "duplicate_of", "contamination", "copies",
    }  # fmt: skip
    return story


def fate(members: set[str], workspace: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Stories of the survivor and of the removed one of two copies."""
    stories = [why(member, workspace) for member in sorted(members)]
    (removed,) = [story for story in stories if story["duplicate_of"] is not None]
    (survivor,) = [story for story in stories if story["duplicate_of"] is None]
    assert removed["duplicate_of"] == survivor["id"]
    return survivor, removed


@pytest.mark.parametrize("source", ["web", "crawl", "code", "pdf", "docs"])
def test_documents_of_the_mix_are_kept_as_often_as_they_stand_there(
    finished: Finished, source: str
) -> None:
    copies = Counter(mixed_ids(finished.workspace / "mixes/small")[source])
    identifier, count = max(copies.items(), key=lambda pair: (pair[1], pair[0]))
    story = why(identifier, finished.workspace)
    assert story["source"] == source
    assert story["kept"] is True
    assert story["copies"] == count
    assert story["reasons"] == []
    assert story["contamination"] == []


def test_document_that_a_rule_removed(finished: Finished, pool: Pool) -> None:
    (identifier,) = pool.planted.short
    story = why(identifier, finished.workspace)
    assert (story["kept"], story["copies"]) == (False, 0)
    assert "gopher" in str(story["reasons"])
    assert story["duplicate_of"] is None
    assert story["scores"]["gopher"]["word_count"] == len(pool.texts()[identifier].split())


def test_exact_duplicates(finished: Finished, pool: Pool) -> None:
    for members in pool.planted.exact:
        survivor, removed = fate(members, finished.workspace)
        assert (removed["kept"], removed["copies"]) == (False, 0)
        assert removed["similarity"] == 1.0
        assert removed["cluster_size"] == 2
        assert survivor["id"] in str(removed["reasons"])
        assert "duplicate" in str(removed["reasons"])
        assert "duplicate" not in str(survivor["reasons"])


def test_copy_in_another_source_goes_and_the_source_named_first_stays(
    finished: Finished,
) -> None:
    base, manifest = published(finished.workspace / "documents/crawl")
    rows = [
        row for file in manifest["files"] for row in pq.read_table(base / file["path"]).to_pylist()
    ]
    (identifier,) = [row["id"] for row in rows if COPIED_URL in row["metadata"]]
    removed = why(identifier, finished.workspace)
    survivor = why(removed["duplicate_of"], finished.workspace)
    assert (removed["source"], survivor["source"]) == ("crawl", "web")
    assert removed["copies"] == 0
    assert survivor["metadata"] != removed["metadata"]


def test_near_duplicates(finished: Finished, pool: Pool) -> None:
    for members in pool.planted.near:
        survivor, removed = fate(members, finished.workspace)
        assert (removed["kept"], removed["copies"]) == (False, 0)
        assert 0.9 < removed["similarity"] < 1.0
        assert removed["cluster_size"] == 2
        assert survivor["id"] in str(removed["reasons"])


def test_contaminated_documents_name_benchmark_item_field_and_place(
    finished: Finished, pool: Pool
) -> None:
    questions = dict(ITEMS)
    texts = pool.texts()
    for identifier, item in pool.planted.contaminated.items():
        story = why(identifier, finished.workspace)
        assert (story["kept"], story["copies"]) == (False, 0)
        assert "contaminated" in str(story["reasons"])
        (match,) = story["contamination"]
        assert (match["benchmark"], match["item"], match["field"]) == ("exam", item, "question")
        found = texts[identifier].encode()[match["start"] : match["end"]].decode()
        assert found.rstrip(".?") == questions[item].rstrip(".?")


def test_document_that_was_not_drawn(finished: Finished, pool: Pool) -> None:
    mixed = set(mixed_ids(finished.workspace / "mixes/small")["docs"])
    identifier = next(
        name for name in pool.planted.documents if name.startswith("story") and name not in mixed
    )
    story = why(identifier, finished.workspace)
    assert (story["kept"], story["copies"]) == (False, 0)
    assert "not drawn" in str(story["reasons"])


def test_unknown_id_is_told(finished: Finished) -> None:
    outcome = vineleaf_here("why", "no-such-id", "-w", str(finished.workspace), "--json")
    assert "no-such-id" in outcome.failed(2)


def test_workspace_without_documents_is_told(tmp_path: Path) -> None:
    outcome = vineleaf_here("why", "story-00", "-w", str(tmp_path / "empty"), "--json")
    assert "empty" in outcome.failed(2)


def test_story_for_a_person_says_the_same(finished: Finished, pool: Pool) -> None:
    identifier, item = next(iter(pool.planted.contaminated.items()))
    said = vineleaf_here("why", identifier, "-w", str(finished.workspace)).good().stdout
    for word in (identifier, "docs", "exam", item, "question", "removed"):
        assert word in said


def test_why_tells_the_threshold_beside_the_value(finished: Finished, pool: Pool) -> None:
    """Every removal has its rule, its value and its threshold."""
    (identifier,) = pool.planted.short
    workspace = finished.workspace
    story = vineleaf_here("why", identifier, "-w", str(workspace), "--json").good().answer
    (reason,) = story["reasons"]
    _, manifest = published(workspace / "attributes/candidates/docs")
    (condition,) = [
        one for one in manifest["parameters"]["conditions"] if one["reason"] == reason["reason"]
    ]
    assert f"{condition['at_least']:g}" in reason["message"]
