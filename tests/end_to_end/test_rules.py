"""Rules on personal data, URLs and tables, from the recipe to the mix: each removes what it should,
`why` tells it, the funnel counts it under its name, and a changed list runs again.

One source of Dolma documents, a document for each way to go.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from small_pool import (
    Outcome,
    Pool,
    prose,
    published,
    read_tokens,
    run,
    vineleaf_here,
    write_recipe,
)

TABLE = "\n".join(f"| {name} | open | closed on Sundays |" for name in "abcdefghijklmnopqrst")
NUMBERS = "\n".join(f"{number * 999_983} {number * 17}" for number in range(100, 160))
PEOPLE = [f"person{number}@mail.example.org" for number in range(6)]
TEXTS = {
    "kept": prose("kept"),
    "masked": f"{prose('masked')}\n\nWrite to joe@example.org or call (206) 555-1234.",
    "mails": f"{prose('mails')}\n\n{', '.join(PEOPLE)}",
    "hosts": f"{prose('hosts')}\n\n{', '.join(f'10.0.0.{number}' for number in range(6))}",
    "calls": f"{prose('calls')}\n\n{', '.join(f'206-555-123{number}' for number in range(6))}",
    "mixed": f"{prose('mixed')}\n\n{', '.join(PEOPLE[:3])}, 10.0.0.1, 10.0.0.2, 10.0.0.3",
    "table": f"{prose('table')}\n\n{TABLE}",
    "numbers": f"{prose('numbers')}\n\n{NUMBERS}",
    **{f"url-{kind}": prose(kind) for kind in ("host", "below", "page", "word", "soft", "part")},
    **{f"filler-{number}": prose(f"filler {number}") for number in range(6)},
}
URLS = {
    "kept": "https://ok.example/cam",
    "url-host": "https://user@BAD.example:443/",
    "url-below": "https://a.bad.example/x",
    "url-page": "http://www.some.example/page/#top",
    "url-word": "https://ok.example/free-casino",
    "url-soft": "https://ok.example/live-cam",
    "url-part": "https://fine.example/my-po.ker",
}
REASONS = {
    "mails": "pii.emails",
    "hosts": "pii.ip_addresses",
    "calls": "pii.phone_numbers",
    "mixed": "pii.spans",
    "table": "pdf_quality.pipe_lines",
    "numbers": "pdf_quality.numeric",
    "url-host": "url_lists.domains",
    "url-below": "url_lists.subdomains",
    "url-page": "url_lists.urls",
    "url-word": "url_lists.words",
    "url-soft": "url_lists.soft_words",
    "url-part": "url_lists.subwords",
}
LISTS = {
    "domains": "# banned\nbad.example\n",
    "urls": "some.example/page\n",
    "words": "casino\n",
    "soft_words": "live\ncam\n",
    "subwords": "poker\n",
}


def recipe_below(folder: Path, pool: Pool) -> dict[str, Any]:
    """The sources and lists, written below `folder`, and the recipe that names them."""
    (folder / "lists").mkdir()
    for kind, text in LISTS.items():
        (folder / f"lists/{kind}.txt").write_text(text)
    with (folder / "docs.jsonl").open("w") as file:
        for identifier, text in TEXTS.items():
            metadata = {"url": URLS.get(identifier)}
            line = {"id": identifier, "text": text, "source": "x", "metadata": metadata}
            file.write(json.dumps(line) + "\n")
    recipe = pool.recipe_of([str(folder / "docs.jsonl")])
    lists = {kind: [f"lists/{kind}.txt"] for kind in LISTS}
    recipe["pool"]["sources"]["docs"]["rules"] = ["pii", "pdf_quality", {"url_lists": lists}]
    del recipe["pool"]["decontaminate"]
    recipe["mix"] |= {"tokens": 4_000, "max_epochs": 4}
    return recipe


@pytest.fixture(scope="module")
def ran(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("rules")
    workspace = folder / "workspace"
    return workspace, run(recipe_below(folder, pool), workspace).good()


def why(identifier: str, workspace: Path) -> dict[str, Any]:
    return vineleaf_here("why", identifier, "-w", str(workspace), "--json").good().answer


@pytest.mark.parametrize(("identifier", "reason"), REASONS.items())
def test_why_tells_the_rule_that_removed_a_document(
    ran: tuple[Path, Outcome], identifier: str, reason: str
) -> None:
    story = why(identifier, ran[0])
    assert story["kept"] is False
    assert [one["reason"] for one in story["reasons"]] == [reason]


def test_the_funnel_counts_each_reason_and_the_ledger_balances(ran: tuple[Path, Outcome]) -> None:
    ledger = ran[1].answer["ledger"]["docs"]
    assert ledger["balanced"] is True
    removed = {name: count for name, count in ledger["removed"].items() if "filter: " in name}
    assert removed == {f"filter: {reason}": 1 for reason in REASONS.values()}


def test_why_tells_which_list_was_hit_and_by_what(ran: tuple[Path, Outcome]) -> None:
    scores = why("url-below", ran[0])["scores"]["url_lists"]
    assert scores["hit"] == {"kind": "subdomains", "list": "domains.txt", "found": "bad.example"}
    said = vineleaf_here("why", "url-part", "-w", str(ran[0])).good().stdout
    for word in ("url_lists.subwords", "subwords.txt", "po.ker"):
        assert word in said


def test_why_tells_how_many_addresses_were_found(ran: tuple[Path, Outcome]) -> None:
    (reason,) = why("mails", ran[0])["reasons"]
    assert "pii.emails is 6 (e-mail addresses), must be at most 5" in reason["message"]


def test_documents_with_few_addresses_stay_without_them(ran: tuple[Path, Outcome]) -> None:
    workspace, _ = ran
    for identifier in ("kept", "masked"):
        assert "filter" not in [one["stage"] for one in why(identifier, workspace)["reasons"]]
    base, manifest = published(workspace / "mixes/small")
    tokenizer = tokenizers.Tokenizer.from_file(str(base / "about/tokenizer"))
    paths = [file["path"] for file in manifest["files"] if file["path"].endswith(".npy")]
    text = " ".join(tokenizer.decode(read_tokens(base / path).tolist()) for path in paths)
    assert "Write to" in text
    assert "joe@example.org" not in text
    assert "555" not in text


def test_a_changed_list_and_nothing_else_runs_again(
    ran: tuple[Path, Outcome], pool: Pool, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    recipe = recipe_below(tmp_path, pool)
    first = run(recipe, workspace).good()
    assert first.states["url_lists docs"] == "done"
    (tmp_path / "lists/domains.txt").write_text("ok.example\n")
    again = run(recipe, workspace).good()
    assert again.states["url_lists docs"] == "done"
    assert again.states["pii docs"] == again.states["documents docs"] == "up to date"
    reasons = [why(identifier, workspace)["reasons"] for identifier in ("url-host", "kept")]
    assert [[one["reason"] for one in its if one["stage"] == "filter"] for its in reasons] == [
        [],
        ["url_lists.domains"],
    ]


def test_a_missing_list_is_told_with_file_and_line_before_any_work(
    pool: Pool, tmp_path: Path
) -> None:
    recipe = recipe_below(tmp_path, pool)
    (tmp_path / "lists/urls.txt").unlink()
    path = write_recipe(tmp_path / "workspace.yaml", recipe)
    line = 1 + path.read_text().splitlines().index("          - lists/urls.txt")
    said = run(recipe, tmp_path / "workspace").failed(2)
    assert (
        f"workspace.yaml:{line}:13: rule url_lists: no file matches {tmp_path}/lists/urls.txt"
        in said
    )
    assert not (tmp_path / "workspace/documents").exists()


def test_where_asks_the_lists_of_another_source(pool: Pool, tmp_path: Path) -> None:
    recipe = recipe_below(tmp_path, pool)
    sources = recipe["pool"]["sources"]
    with (tmp_path / "more.jsonl").open("w") as file:
        for host in ("bad.example", "ok.example"):
            line = {"id": host, "text": prose(f"more of {host}"), "source": "x"}
            file.write(json.dumps({**line, "metadata": {"url": f"https://{host}/"}}) + "\n")
    sources["more"] = {"ingest": "dolma", "paths": [str(tmp_path / "more.jsonl")]}
    recipe["mix"] |= {"tokens": 4_000, "shares": {"docs": 0.9, "more": 0.1}, "max_epochs": 4}
    recipe["mix"]["where"] = "not url_lists.domain"
    removed = run(recipe, tmp_path / "workspace").good().answer["ledger"]["more"]["removed"]
    assert removed["select: where"] == 1
