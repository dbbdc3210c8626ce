"""A mix is streamed: every item once over all ranks, the same rest from every position, on disk and
on S3; what is damaged is told."""

import json
import pickle
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixes import reader as reader_module
from mixes.reader import Document, MixReader, _chosen
from transforms import storage
from transforms.datasets import Dataset, OutputFile
from transforms.mixing.reading_order import cut_blocks

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package

from published_mix import EOS, PAD, publish_mix

SOURCES = {
    "code": [[n % 8] * (n % 11 + 1) for n in range(30)],
    "web": [[n % 7, 1, 2] for n in range(25)],
}
ALL = {f"{source}-{n}" for source, its in SOURCES.items() for n in range(len(its))}


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("reader") / "mix")
    publish_mix(folder, SOURCES, sequence=16)
    return folder


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few documents are many blocks."""
    monkeypatch.setattr(reader_module, "cut_blocks", partial(cut_blocks, block_bytes=48))


def plain(item: Any) -> Any:
    return (item.id, item.tokens.tolist()) if isinstance(item, Document) else item.tolist()


def items_of(reader: MixReader) -> list[Any]:
    return [plain(item) for item in reader]


def test_documents_come_as_they_were_mixed(mix: str) -> None:
    found = list(MixReader(mix))
    assert [one.id for one in found] == [
        f"{source}-{n}" for source, its in SOURCES.items() for n in range(len(its))
    ]
    assert {one.source for one in found} == set(SOURCES)
    for one in found:
        source, number = one.id.split("-")
        assert one.tokens.tolist() == [*SOURCES[source][int(number)], EOS]
        assert one.tokens.dtype == np.uint32


def test_sequences_are_cut_out_of_each_token_file(mix: str) -> None:
    dataset, manifest = Dataset.published(mix)
    wanted = []
    for file in manifest.files:
        if file.path.startswith("tokens/") and file.path.endswith(".npy"):
            tokens = np.fromfile(dataset.path(file.path), np.uint32).tolist()
            tokens += [PAD] * (-len(tokens) % 16)
            wanted += [tokens[first : first + 16] for first in range(0, len(tokens), 16)]
    assert items_of(MixReader(mix, "sequences", length=16)) == wanted


def test_packed_sequences_are_those_of_the_recipe(mix: str) -> None:
    dataset, manifest = Dataset.published(mix)
    wanted = []
    for file in manifest.files:
        if file.path.startswith("sequences/") and file.path.endswith(".npy"):
            wanted += np.fromfile(dataset.path(file.path), np.uint32).reshape(-1, 16).tolist()
    reader = MixReader(mix, "packed")
    assert (reader.length, len(reader)) == (16, len(wanted))
    assert items_of(reader) == wanted


readings = st.sampled_from([("documents", None), ("sequences", 7), ("packed", None)])


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    reading=readings, world=st.integers(1, 9), shuffle=st.booleans(), window=st.integers(1, 4),
    epoch=st.integers(0, 3),
)  # fmt: skip
def test_ranks_together_give_every_item_once(
    mix: str, reading: Any, world: int, shuffle: bool, window: int, epoch: int
) -> None:
    read, length = reading
    wanted = Counter(map(str, items_of(MixReader(mix, read, length=length))))
    found: Counter[str] = Counter()
    counts = []
    for rank in range(world):
        reader = MixReader(
            mix, read, length=length, rank=rank, world_size=world, shuffle=shuffle, window=window,
            epoch=epoch,
        )  # fmt: skip
        counts.append(len(reader))
        its = items_of(reader)
        assert len(its) == counts[-1]
        assert (reader.epoch, reader.position) == (epoch + 1, 0)
        found.update(map(str, its))
    assert found == wanted
    even = [
        MixReader(mix, read, length=length, rank=rank, world_size=world, even=True, epoch=epoch,
                  shuffle=shuffle)
        for rank in range(world)
    ]  # fmt: skip
    assert {len(items_of(one)) for one in even} == {min(counts)}


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("read", "length"), [("documents", None), ("sequences", 5)])
def test_a_reader_goes_on_at_every_position(
    mix: str, shuffle: bool, read: Any, length: int | None
) -> None:
    def reader() -> MixReader:
        return MixReader(
            mix, read, length=length, rank=1, world_size=3, shuffle=shuffle, window=2, seed=5
        )

    whole = items_of(reader())
    assert len(whole) > 15
    for stop in range(len(whole)):
        first = reader()
        its = iter(first)
        begun = [plain(next(its)) for _ in range(stop)]
        second = reader()
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert begun + items_of(second) == whole
    # And so it does in the epoch after.
    second = pickle.loads(pickle.dumps(second))
    third = reader()
    third.load_state_dict(second.state_dict())
    assert items_of(third) == items_of(second)


def test_importing_the_reader_says_nothing_and_leaves_logging_alone() -> None:
    """Without Google's clients, which are an extra, Beam would warn and set up logging."""
    program = (
        "import logging, sys; sys.modules['apitools'] = None; import mixes.reader\n"
        "sys.exit(len(logging.getLogger().handlers + logging.getLogger().filters))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_epoch_is_shuffled_by_seed_and_number(mix: str) -> None:
    def order(**key: int) -> list[str]:
        return [one.id for one in MixReader(mix, shuffle=True, window=3, **key)]

    orders = [order(), order(seed=1), order(epoch=1), order(seed=1, epoch=1)]
    assert order(seed=1, epoch=1) == orders[3]
    assert {frozenset(one) for one in orders} == {frozenset(ALL)}
    assert len({tuple(one) for one in orders}) == 4
    # Sources, which lie in files of their own, are mixed.
    assert len({one.split("-")[0] for one in orders[0][:20]}) == 2


def test_a_state_of_another_reader_is_refused(mix: str) -> None:
    state = MixReader(mix, rank=0, world_size=2).state_dict()
    with pytest.raises(ValueError, match=r"with world_size 2, this one has 4: .* begin an epoch"):
        MixReader(mix, rank=0, world_size=4).load_state_dict(state)
    with pytest.raises(ValueError, match="with shuffle False, this one has True"):
        MixReader(mix, rank=0, world_size=2, shuffle=True).load_state_dict(state)


@pytest.mark.parametrize("state", [None, [], "x"])
def test_what_is_no_state_is_refused(mix: str, state: Any) -> None:
    with pytest.raises(ValueError, match="the state is none of a reader"):
        MixReader(mix).load_state_dict(state)


@pytest.mark.parametrize("position", [-1, 10**9])
def test_a_position_outside_of_an_epoch_is_refused(mix: str, position: int) -> None:
    reader = MixReader(mix)
    with pytest.raises(ValueError, match="but this rank has"):
        reader.load_state_dict({**reader.state_dict(), "position": position})


def test_workers_of_a_loader_share_a_ranks_items(mix: str) -> None:
    shared = [
        MixReader(mix, rank=rank, world_size=2).split(worker, 3)
        for rank in range(2)
        for worker in range(3)
    ]
    assert all(len(reader) for reader in shared)
    given = [[one.id for one in reader] for reader in shared]
    assert Counter(one for its in given for one in its) == Counter(ALL)
    for rank in range(2):  # no other items than the rank has without workers
        whole = Counter(one.id for one in MixReader(mix, rank=rank, world_size=2))
        assert Counter(one for its in given[3 * rank : 3 * rank + 3] for one in its) == whole


def test_a_reader_in_the_middle_of_an_epoch_is_not_shared_out(mix: str) -> None:
    reader = MixReader(mix)
    next(iter(reader))
    with pytest.raises(ValueError, match="stands at item 1 of its epoch"):
        reader.split(0, 2)
    reader.set_epoch(3)
    assert reader.split(0, 2).epoch == 3
    with pytest.raises(ValueError, match="'epoch' must be at least 0"):
        reader.set_epoch(-1)


def test_even_readers_of_too_few_blocks_are_refused(mix: str) -> None:
    with pytest.raises(ValueError, match=r"1000 share .* blocks"):
        MixReader(mix, world_size=1000, even=True)
    with pytest.raises(ValueError, match=r"2000 share .* blocks"):
        MixReader(mix, world_size=2, even=True).split(0, 1000)


def test_sources_named_as_a_length_are_not_taken_for_one(tmp_path: Path) -> None:
    files = [OutputFile(f"sequences/{one}.npy", 1, "0") for one in ("16/8/a", "16/16/b", "w/16/c")]
    chosen = _chosen({one.path: one for one in files}, "packed", 16, None)
    assert [one.path for one in chosen] == ["sequences/16/16/b.npy", "sequences/w/16/c.npy"]


def test_some_sources_are_read_alone(mix: str) -> None:
    assert {one.source for one in MixReader(mix, sources=["web"])} == {"web"}
    with pytest.raises(ValueError, match="no source wob, only code, web"):
        MixReader(mix, sources=["wob"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"rank": 2, "world_size": 2}, "'rank' must be in 0..1"),
        ({"read": "sequences"}, "'length' must be the tokens"),
        ({"read": "packed", "length": 8}, "has sequences of 16 tokens"),
        ({"length": 8}, "'length' is for sequences"),
        ({"read": "tokens"}, "must be documents, sequences or packed"),
        ({"window": 0}, "'window' must be at least 1"),
        ({"world_size": 0}, "'world_size' must be at least 1"),
        ({"rank": 0.0}, "'rank' must be a whole number"),
        ({"seed": 1.5}, "'seed' must be a whole number"),
        ({"epoch": -1}, "'epoch' must be at least 0"),
        ({"sources": []}, "'sources' is empty"),
    ],
)
def test_arguments_without_sense_are_refused(mix: str, arguments: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MixReader(mix, **arguments)


def test_documents_are_read_from_any_filesystem(folder: str) -> None:
    publish_mix(f"{folder}/mix", SOURCES)
    reader = MixReader(f"{folder}/mix", shuffle=True, world_size=2, rank=0)
    assert {one.id for one in reader} | {
        one.id for one in MixReader(f"{folder}/mix", shuffle=True, world_size=2, rank=1)
    } == ALL


def test_a_missing_or_damaged_file_is_told(folder: str) -> None:
    dataset = publish_mix(f"{folder}/mix", SOURCES)
    npy, table = "tokens/code/part-000-00000.npy", "tokens/code/part-000-00000.csv.gz"
    for name, change, told in (
        (npy, lambda b: b[:-4], r"has .* bytes, not"),
        (npy, lambda b: b[::-1], "do not close with EOS"),
        (npy, lambda b: None, "is missing"),
        (table, lambda b: b[::-1], "must hold rows"),
        (table, lambda b: None, "is missing"),
    ):
        path = dataset.path(name)
        kept = storage.read_bytes(path)
        changed = change(kept)
        storage.delete([path])
        if changed is not None:
            storage.write_bytes(path, changed)
        with pytest.raises(storage.DamagedFile, match=told) as raised:
            list(MixReader(f"{folder}/mix"))
        assert "vineleaf verify" in str(raised.value)
        storage.write_bytes(path, kept)
    assert len(list(MixReader(f"{folder}/mix"))) == len(ALL)


def test_a_mix_that_is_not_there_or_damaged_is_told(folder: str) -> None:
    with pytest.raises(FileNotFoundError, match="no finished dataset"):
        MixReader(f"{folder}/none")
    publish_mix(f"{folder}/mix", SOURCES)
    manifest = f"{folder}/mix/manifest.json"
    storage.write_bytes(manifest, storage.read_bytes(manifest).replace(b"code", b"cude"))
    with pytest.raises(storage.DamagedFile, match="was cut or changed"):
        MixReader(f"{folder}/mix")
