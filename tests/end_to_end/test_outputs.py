"""A mix in all formats: each holds the documents of the token files, and verify proves it."""

import copy
import gzip
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from small_pool import Finished, Outcome, hashes_of, published, run, vineleaf_here

from transforms import storage
from transforms.datasets import Dataset

KINDS = ["tokens", "jsonl", "parquet", "megatron", "mds", "sequences", "about"]
OUTPUTS = ["tokens", "jsonl", "parquet", "megatron", "mds"]


@pytest.fixture(scope="module")
def mixed(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A workspace whose recipe asks for all formats, parts of 3,000 tokens and sequences of 500."""
    workspace = finished.copy_to(tmp_path_factory.mktemp("outputs") / "workspace")
    recipe = copy.deepcopy(finished.recipe)
    recipe["mix"] |= {"outputs": OUTPUTS, "file_tokens": 3000, "sequence": {"length": 500}}
    return workspace, run(recipe, workspace).good()


def files_of(mix: Path) -> tuple[Path, list[str]]:
    base, manifest = published(mix)
    return base, [file["path"] for file in manifest["files"]]


def failed(mix: Path) -> list[str]:
    answer = vineleaf_here("verify", str(mix), "--json").answer
    return [check["name"] for check in answer["checks"] if not check["ok"]]


def test_only_the_mix_is_made_anew(mixed: tuple[Path, Outcome]) -> None:
    assert [name for name, state in mixed[1].states.items() if state == "done"] == ["mix"]


def test_all_formats_hold_the_same_documents(mixed: tuple[Path, Outcome]) -> None:
    mix = Path(mixed[1].answer["mix"])
    base, paths = files_of(mix)
    tokens = [path for path in paths if path.startswith("tokens/") and path.endswith(".npy")]
    assert len(tokens) > 5
    texts = 0
    for path in tokens:
        stem = path.removeprefix("tokens/").removesuffix(".npy")
        rows = gzip.decompress((base / "tokens" / f"{stem}.csv.gz").read_bytes()).decode()
        ids = [row.split(",")[2] for row in rows.splitlines()]
        stored = (base / "jsonl" / f"{stem}.jsonl.zst").read_bytes()
        lines = zstandard.ZstdDecompressor().decompressobj().decompress(stored).splitlines()
        documents = [json.loads(line) for line in lines]
        assert [one["id"] for one in documents] == ids
        assert {one["source"] for one in documents} == {stem.split("/")[0]}
        texts += sum(len(one["text"]) for one in documents)
        megatron = np.fromfile(base / "megatron" / f"{stem}.bin", np.uint16)
        assert megatron.tolist() == np.fromfile(base / path, np.uint32).tolist()
    assert texts > 10_000
    indices = [json.loads((base / one).read_text()) for one in paths if one.endswith("index.json")]
    shards = [shard for index in indices for shard in index["shards"]]
    assert len(shards) == len(tokens)


def test_sequences_hold_the_tokens_of_the_mix(mixed: tuple[Path, Outcome]) -> None:
    base, paths = files_of(Path(mixed[1].answer["mix"]))
    pad = json.loads((base / "manifest.json").read_text())["details"]["tokenizer"]["pad"]
    packed = [path for path in paths if path.startswith("sequences/") and path.endswith(".npy")]
    assert packed == [
        path.replace("tokens/", "sequences/")
        for path in paths
        if path.startswith("tokens/") and path.endswith(".npy")
    ]
    for path in packed:
        stored = np.fromfile(base / path, np.uint32)
        tokens = np.fromfile(base / path.replace("sequences/", "tokens/"), np.uint32)
        assert len(stored) % 500 == 0
        assert sorted(stored[stored != pad]) == sorted(tokens[tokens != pad])


def test_run_and_plan_tell_how_full_sequences_are(mixed: tuple[Path, Outcome]) -> None:
    notes = [note for note in mixed[1].answer["notes"] if "sequences of 500 tokens" in note]
    assert len(notes) == 5
    recipe = mixed[0].with_name("workspace.yaml")
    plan = vineleaf_here("plan", str(recipe), "-w", str(mixed[0]), "--json", small=True).good()
    assert [note for note in plan.answer["notes"] if "sequences of" in note] == notes


def test_long_documents_are_refused_before_the_mix_is_written(
    finished: Finished, tmp_path: Path
) -> None:
    workspace = finished.copy_to(tmp_path / "workspace")
    recipe = copy.deepcopy(finished.recipe)
    recipe["mix"] |= {
        "sequence": {"length": 100, "long": "refuse"}, "file_tokens": 200,
        "long_documents": "refuse",
    }  # fmt: skip
    outcome = run(recipe, workspace)
    assert outcome.code == 2
    error, other = outcome.answer["errors"]
    assert "longer than a sequence of 100 tokens (longest: " in error
    assert "choose long: split" in error
    assert "longer than a file of 200 tokens (longest: " in other
    assert "choose long_documents: own_file" in other


def test_a_mix_in_all_formats_verifies(mixed: tuple[Path, Outcome]) -> None:
    assert failed(Path(mixed[1].answer["mix"])) == []


@pytest.mark.parametrize(
    ("pattern", "check"),
    [
        ("jsonl/*/*.zst", "jsonl: the documents of the token files"),
        ("parquet/*/*.parquet", "parquet: the documents of the token files"),
        ("megatron/*/*.bin", "megatron: the documents of the token files"),
        ("mds/*/*.mds", "mds: the documents of the token files"),
        ("sequences/*/*.npy", "sequences: the documents of the token files"),
        ("mds/*/index.json", "mds: index.json lists all shards of its source"),
    ],
)
def test_other_documents_in_one_format_are_found(
    mixed: tuple[Path, Outcome], pattern: str, check: str
) -> None:
    mix = Path(mixed[1].answer["mix"])
    base, _ = files_of(mix)
    one, *_, other = sorted(base.glob(pattern))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    try:
        assert check in failed(mix)
    finally:
        one.write_bytes(kept)


@pytest.mark.parametrize(
    ("mix", "key", "part"),
    [
        ({"outputs": ["jsonl"]}, "mix.outputs", "must name tokens"),
        ({"outputs": ["tokens", "json"]}, "mix.outputs.1", "did you mean 'jsonl'"),
        ({"sequence": {"length": 400}, "file_tokens": 300}, "mix", "packed one by one"),
        ({"outputs": ["tokens", "mds"], "file_tokens": 1 << 30}, "mix.file_tokens", "4 GiB"),
        ({"order": "shuffled", "slices": 4}, "mix", "slices' divide the files of a shard"),
        ({"sequence": {"length": 500, "packing": "buckets"}}, "mix", "256 or 512 is"),
        ({"sequence": {"length": 512, "shortest": 64}}, "mix", "is for packing: buckets"),
    ],
)
def test_outputs_that_cannot_be_are_refused(
    finished: Finished, tmp_path: Path, mix: dict[str, Any], key: str, part: str
) -> None:
    recipe = copy.deepcopy(finished.recipe)
    recipe["mix"] |= mix
    outcome = run(recipe, tmp_path / "workspace")
    assert outcome.code == 2
    (error,) = outcome.answer["errors"]
    assert part in error
    assert key.rstrip(".1") in error


# In the order of a keyed hash


@pytest.fixture(scope="module")
def shuffled(
    finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], Outcome]:
    workspace = finished.copy_to(tmp_path_factory.mktemp("shuffled") / "workspace")
    recipe = copy.deepcopy(finished.recipe)
    recipe["mix"] |= {
        "order": "shuffled", "outputs": OUTPUTS, "file_tokens": 3000,
        "sequence": {"length": 512, "packing": "buckets", "shortest": 64},
    }  # fmt: skip
    return workspace, recipe, run(recipe, workspace).good()


def rows_of(mix: Path) -> list[list[str]]:
    """Rows of all bounds in the manifest's order."""
    base, paths = files_of(mix)
    return [
        row.split(",")
        for path in paths
        if path.startswith("tokens/") and path.endswith(".csv.gz")
        for row in gzip.decompress((base / path).read_bytes()).decode().splitlines()
    ]


def test_a_shuffled_mix_holds_the_same_documents_in_files_of_all_sources(
    mixed: tuple[Path, Outcome], shuffled: tuple[Path, dict[str, Any], Outcome]
) -> None:
    mix = Path(shuffled[2].answer["mix"])
    found, wanted = rows_of(mix), rows_of(Path(mixed[1].answer["mix"]))
    assert sorted(row[2:] for row in found) == sorted(row[2:] for row in wanted)
    base, paths = files_of(mix)
    tokens = [path for path in paths if path.startswith("tokens/") and path.endswith(".npy")]
    assert {path.split("/")[1] for path in tokens} == {"shuffled"}
    assert len(tokens) > 4
    sizes = [(base / path).stat().st_size // 4 for path in tokens]
    assert max(sizes) <= 3000
    several = 0
    for path in tokens:
        rows = gzip.decompress((base / path.replace(".npy", ".csv.gz")).read_bytes()).decode()
        several += len({row.split(",")[3].split("/")[1] for row in rows.splitlines()}) > 1
    assert several > len(tokens) / 2
    assert failed(mix) == []


@pytest.mark.parametrize("kind", ["mixed", "shuffled"])
def test_the_readers_of_the_datasheet_run_as_they_stand(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of documents and of packed sequences, of one length or of several."""
    mix = Path(request.getfixturevalue(kind)[-1].answer["mix"])
    monkeypatch.chdir(mix.parents[1])
    documents, sequences = re.findall(r"```python\n(.*?)```", (mix / "README.md").read_text(), re.S)
    _, manifest = published(mix)
    held = sum(its["documents"] for its in manifest["details"]["sources"].values())
    for code, count in ((documents, held), (sequences, manifest["counts"]["packed.sequences"])):
        exec(code, {"train": lambda tokens: None})  # the page's own rank of 8
        seen: list[int] = []
        alone = code.replace("world_size=8", "world_size=1")
        assert alone != code
        exec(alone, {"train": lambda tokens, seen=seen: seen.append(len(tokens))})
        assert len(seen) == count
    by_length = {f"packed.sequences_of_{length}": times for length, times in Counter(seen).items()}
    counted = {k: n for k, n in manifest["counts"].items() if "sequences_of" in k and n}
    assert by_length == (counted if kind == "shuffled" else {"packed.sequences_of_500": count})
    assert len(counted) > 1 or kind == "mixed"


def test_plan_says_how_much_a_shuffled_mix_moves(
    shuffled: tuple[Path, dict[str, Any], Outcome],
) -> None:
    workspace = shuffled[0]
    recipe = workspace.with_name("workspace.yaml")
    arguments = [
        "plan",
        str(recipe),
        "-w",
        str(workspace),
        "--json",
        "--set",
        "mix.file_tokens=2000",
    ]
    plan = vineleaf_here(*arguments, small=True).good()
    (moved,) = [one for one in plan.answer["exchanges"] if one["exchange"] == "order"]
    tokens = sum(int(row[1]) - int(row[0]) for row in rows_of(Path(shuffled[2].answer["mix"])))
    assert 4 * tokens < moved["most_bytes"] < 8 * tokens
    assert moved["carrier"] == "files"


def test_documents_out_of_their_order_are_found(
    shuffled: tuple[Path, dict[str, Any], Outcome], tmp_path: Path
) -> None:
    """Two files of a mix change places, and all hashes are made to agree."""
    mix = tmp_path / "mix"
    shutil.copytree(shuffled[2].answer["mix"], mix)
    dataset, manifest = Dataset.published(str(mix))
    first, last = (f"tokens/shuffled/part-0000{number}-00000" for number in (0, 1))
    for suffix in (".npy", ".csv.gz"):
        one, other = Path(dataset.path(first + suffix)), Path(dataset.path(last + suffix))
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    files = []
    for file in manifest.files:
        digest, size_bytes = storage.sha256_of(dataset.path(file.path))
        files.append(replace(file, sha256=digest, size_bytes=size_bytes))
    dataset.publish(replace(manifest, files=files))
    found = failed(mix)
    assert "documents stand in the order of a keyed hash" in found
    assert not [name for name in found if "hash of" in name or "per source" in name]


def test_other_workers_write_the_same_bytes_in_every_format(
    shuffled: tuple[Path, dict[str, Any], Outcome], mixed: tuple[Path, Outcome], tmp_path: Path
) -> None:
    """Of both orders, with processes of their own and with a single thread."""
    workspace, recipe, _ = shuffled
    for kind, beam in (
        ("processes", ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]),
        ("one", ["--direct_num_workers=1"]),
    ):
        for order, source in (("shuffled", workspace), ("shards", mixed[0])):
            other = tmp_path / f"{kind}-{order}"
            shutil.copytree(source, other)
            shutil.rmtree(other / "mixes")
            its = copy.deepcopy(recipe)
            its["mix"]["order"] = order
            if order == "shards":
                del its["mix"]["order"]
                its["mix"]["sequence"] = {"length": 500}
            outcome = run(its, other, beam=beam, here=kind == "one").good()
            assert [name for name, state in outcome.states.items() if state == "done"] == ["mix"]
            (base, _), (wanted, _) = (published(one / "mixes/small") for one in (other, source))
            assert base.name == wanted.name
            assert hashes_of(base, KINDS) == hashes_of(wanted, KINDS)
            assert len(hashes_of(base, KINDS)) > 40
