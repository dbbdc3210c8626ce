"""Bad data never stops a run: it is set aside with its reason, and each record is accounted for."""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_pool import (
    Outcome,
    Pool,
    command_line,
    compressed,
    dolma_line,
    environment,
    mixed_ids,
    page,
    pdf,
    program,
    prose,
    published,
    run,
    vineleaf_here,
    warc_record,
    write_recipe,
)

BIG_DOCUMENT_BYTES = 100_000_000
MOST_MEMORY_BYTES = 4 << 30  # resident, of the whole process, while it reads the big document


def _zip(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def _tar(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def bad_files() -> dict[str, bytes]:
    """Path below the sources -> content; each must show in the quarantine table under its name."""
    lines = [dolma_line(f"cut-{number}", prose(f"cut {number}")) for number in range(30)]
    whole_gzip, whole_zstd = compressed(lines, "gz"), compressed(lines[:15], "zst")
    record = warc_record("https://example.org/x", page("X", prose("x")))
    plain = gzip.decompress(record)
    broken_length = plain.replace(b"WARC/1.0", b"WARC/1.0", 1).replace(
        b"Content-Length: ", b"Content-Length: 99999", 1
    )
    good_pdf = pdf([prose("cut pdf")])
    return {
        "docs/truncated.jsonl.gz": whole_gzip[: len(whole_gzip) // 2],
        "docs/truncated.jsonl.zst": b"".join(
            [compressed([dolma_line("whole", prose("whole"))], "zst"), whole_zstd[:-40]]
        ),
        "docs/not_utf8.jsonl.gz": gzip.compress(
            b'{"id": "latin", "text": "caf\xe9 au lait"}\n' + dolma_line("after", prose("after"))
        ),
        "docs/nul.jsonl.gz": gzip.compress(
            dolma_line("nul", "one\0two") + dolma_line("after-nul", prose("after nul"))
        ),
        "docs/noise.jsonl.gz": b"this is no gzip at all",
        "crawl/truncated.warc.gz": record
        + warc_record("https://example.org/y", page("Y", prose("y")))[:-60],
        "crawl/broken.warc.gz": gzip.compress(broken_length) + record[:20],
        "crawl/noise.warc.gz": gzip.compress(b"no WARC\r\n\r\n" * 9),
        "web/nul.html": b"<html>" + b"\0" * 300 + b"</html>",
        "web/empty.html": b"",
        "pdf/encrypted.pdf": pdf([prose("secret")], password="secret"),
        "pdf/empty.pdf": b"",
        "pdf/cut.pdf": good_pdf[: len(good_pdf) // 2],
        "pdf/noise.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 8,
        "archives/escape.zip": _zip({"../../evil.py": program(50), "good/fine.py": program(51)}),
        "archives/cut.zip": _zip({f"a/{n}.py": program(60 + n) for n in range(4)})[:-200],
        "archives/cut.tar.gz": _tar({f"b/{n}.py": program(70 + n) for n in range(8)})[:-300],
        "code/bad/not_utf8.py": b"# -*- coding: utf-8 -*-\nname = '\xe9\xff'\n" * 3,
        "code/bad/nul.py": b"x = 1\n" + b"\0" * 200,
        "code/bad/empty.py": b"",
    }


@pytest.fixture(scope="module")
def bad_run(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The tiny pool with all bad files among the good ones."""
    folder = tmp_path_factory.mktemp("bad")
    shutil.copytree(pool.folder, folder / "sources")
    for name, content in bad_files().items():
        path = folder / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    bad = Pool(folder / "sources", pool.planted, pool.lines)
    recipe = bad.recipe()
    recipe["pool"]["sources"]["code"]["paths"][1] = f"{bad.folder}/archives"
    recipe["gates"]["quarantined"] = {"at_most": 0.7}  # four of the seven PDFs are bad
    return folder / "workspace", run(recipe, folder / "workspace")


def quarantine(workspace: Path) -> list[dict[str, Any]]:
    """Rows of all quarantine tables."""
    rows = []
    for path in sorted((workspace / "quarantine").rglob("*.parquet")):
        rows += pq.read_table(path).to_pylist()
    return rows


def test_bad_files_do_not_fail_the_run(bad_run: tuple[Path, Outcome]) -> None:
    _, outcome = bad_run
    outcome.good()


@pytest.mark.parametrize("name", bad_files())
def test_bad_file_is_in_quarantine_with_its_reason(
    name: str, bad_run: tuple[Path, Outcome]
) -> None:
    rows = [row for row in quarantine(bad_run[0]) if name.rpartition("/")[2] in row["origin"]]
    assert rows, sorted(row["origin"] for row in quarantine(bad_run[0]))
    assert all(row["reason"].strip() for row in rows)
    blank = name.endswith(("empty.html", "empty.py"))  # read, but there is no text
    assert any(row["quarantined"] for row in rows) or blank or "nul" in name


def test_reasons_name_what_is_wrong(bad_run: tuple[Path, Outcome]) -> None:
    reasons = {
        row["origin"].split("/")[-1].split(":")[0]: f"{row['reason']} {row['detail']}".lower()
        for row in quarantine(bad_run[0])
    }
    for name, word in (
        ("truncated.jsonl.gz", "truncated"),
        ("truncated.jsonl.zst", "truncated"),
        ("not_utf8.jsonl.gz", "utf-8"),
        ("nul.jsonl.gz", "nul"),
        ("encrypted.pdf", "encrypted"),
    ):
        assert word in reasons[name], reasons
    escaping = [row for row in quarantine(bad_run[0]) if "evil.py" in row["origin"]]
    assert [row["quarantined"] for row in escaping] == [True]


def test_what_is_good_beside_the_bad_is_kept(bad_run: tuple[Path, Outcome]) -> None:
    workspace, _ = bad_run
    base, manifest = published(workspace / "documents/docs")
    ids = {
        identifier
        for file in manifest["files"]
        for identifier in pq.read_table(base / file["path"])["id"].to_pylist()
    }
    assert {"after", "after-nul", "whole", "story-00"} <= ids
    assert "cut-0" in ids  # before the place where the gzip is cut
    assert not {"nul", "latin", "cut-29"} & ids
    assert not list(workspace.parent.rglob("evil.py"))


def test_the_ledger_balances_with_bad_input(bad_run: tuple[Path, Outcome]) -> None:
    ledger = bad_run[1].answer["ledger"]
    rejected = quarantine(bad_run[0])
    for entry in ledger.values():
        gone = sum(entry["removed"].values()) + sum(entry["quarantined"].values())
        assert entry["in"] == entry["kept"] + gone
    quarantined = sum(sum(entry["quarantined"].values()) for entry in ledger.values())
    assert quarantined == sum(row["quarantined"] for row in rejected)


def test_mix_with_bad_input_verifies(bad_run: tuple[Path, Outcome]) -> None:
    mix = bad_run[0] / "mixes/small"
    assert vineleaf_here("verify", str(mix), "--json").code == 0


def test_document_of_100_megabytes_on_one_line(pool: Pool, tmp_path: Path) -> None:
    """All words differ: nothing about it is cheap. It passes, in memory that is bounded."""
    count = BIG_DOCUMENT_BYTES // 9
    words = " ".join(f"{(number * 2654435761) % (1 << 32):08x}" for number in range(count))
    assert len(words) > 0.99 * BIG_DOCUMENT_BYTES
    path = tmp_path / "sources/big.jsonl"
    path.parent.mkdir()
    path.write_bytes(dolma_line("big", words) + b"".join(pool.lines))
    del words
    recipe = write_recipe(tmp_path / "recipe.yaml", pool.recipe_of([str(path)]))
    workspace = tmp_path / "workspace"
    process = subprocess.Popen(
        command_line("run", str(recipe), "-w", str(workspace), "--json"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    assert process.returncode == 0, said.decode()
    assert usage.ru_maxrss << 10 < MOST_MEMORY_BYTES
    entry = json.loads(said)["ledger"]["docs"]
    assert entry["in"] == len(pool.lines) + 1
    story = vineleaf_here("why", "big", "-w", str(workspace), "--json")
    if story.code == 0:
        assert story.answer["scores"]["size"]["bytes"] > 0.99 * BIG_DOCUMENT_BYTES
    else:
        assert [row["reason"] for row in quarantine(workspace) if "big" in row["origin"]]


def test_source_that_may_be_empty(pool: Pool, tmp_path: Path) -> None:
    """Without files it is refused; with `allow_empty` the run passes, also where it has a share and
    the others give what it lacks."""
    recipe = pool.recipe_of([f"{pool.folder}/docs/*.gz"])
    nothing = {"ingest": "dolma", "paths": [str(tmp_path / "none/*.gz")], "allow_empty": True}
    recipe["pool"]["sources"]["nothing"] = nothing
    workspace = tmp_path / "workspace"
    outcome = run(recipe, workspace).good()
    ledger = outcome.answer["ledger"]["nothing"]
    assert (ledger["in"], ledger["kept"]) == (0, 0)
    assert set(mixed_ids(workspace / "mixes/small")) == {"docs"}
    assert vineleaf_here("verify", str(workspace / "mixes/small"), "--json").code == 0

    shares = {"docs": 0.9, "nothing": 0.1}
    recipe["mix"] |= {"shares": shares, "shortage": "share_out", "max_epochs": 2}
    outcome = run(recipe, workspace).good()
    assert any("nothing can give 0 of the" in note for note in outcome.answer["notes"])
    assert set(mixed_ids(workspace / "mixes/small")) == {"docs"}
    assert vineleaf_here("verify", str(workspace / "mixes/small"), "--json").code == 0
