"""The readers of trainers themselves open a mix and give back its documents: OLMo-core,
mosaicml-streaming and Megatron's indexed dataset; and ours, in the workers of torch's loader."""

import json
import os
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "mixes"))

from fetch_readers import PYTHON, READERS, is_made
from published_mix import EOS, PAD, publish_mix

from transforms.datasets import Dataset
from transforms.tokens.mds import MdsPart, mds_index
from transforms.tokens.megatron import MegatronPart
from transforms.tokens.parts import PartsWriter, close_documents

ROOT = Path(__file__).parents[2]
LENGTH, VOCABULARY = 32, 70_000
SOURCES = {
    "code": [[20 + n, *range(30, 30 + n % 40)] for n in range(50)],
    "web": [[69_999, n, 10] for n in range(11, 40)],
}
DOCUMENTS = [
    [f"{source}-{n}", [*tokens, EOS]]
    for source, its in SOURCES.items()
    for n, tokens in enumerate(its)
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, dict[str, Any]]:
    if not is_made():
        pytest.skip(f"second opinion: {READERS}, which `make readers` makes")
    folder = tmp_path_factory.mktemp("readers")
    dataset = publish_mix(str(folder / "mix"), SOURCES, file_tokens=400, sequence=LENGTH)
    for source, documents in SOURCES.items():
        rows = pa.RecordBatch.from_pydict(
            {
                "id": [f"{source}-{n}" for n in range(len(documents))],
                "path": ["x"] * len(documents),
                "line": range(len(documents)),
            }
        )
        tokens = np.array([one for its in documents for one in its], np.uint32)
        bounds = np.cumsum([0, *map(len, documents)], dtype=np.int64)
        for name, part in (
            ("megatron", partial(MegatronPart, vocabulary_size=VOCABULARY)),
            ("mds", MdsPart),
        ):
            with PartsWriter(partial(part, dataset.base), f"{name}/{source}", "000", 400) as writer:
                writer.write(close_documents(tokens, bounds, EOS, rows))
        index = Path(dataset.path(f"mds/{source}/index.json"))
        index.write_bytes(mds_index(writer.files))
    arguments = [dataset.base, dataset.folder, LENGTH, EOS, PAD, VOCABULARY]
    command = [str(PYTHON), str(Path(__file__).with_name("open_mix.py")), *map(str, arguments)]
    done = subprocess.run(
        [*command, sysconfig.get_paths()["purelib"]],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dataset, json.loads(done.stdout.partition("ANSWER")[2])


@pytest.mark.parametrize("name", ["megatron", "olmo_core"])
def test_a_reader_gives_back_the_documents(
    opened: tuple[Dataset, dict[str, Any]], name: str
) -> None:
    assert opened[1][name] == [tokens for _, tokens in DOCUMENTS]


def test_mosaicml_gives_back_ids_and_documents(opened: tuple[Dataset, dict[str, Any]]) -> None:
    assert opened[1]["streaming"] == DOCUMENTS


def test_olmo_core_gives_back_the_packed_sequences(opened: tuple[Dataset, dict[str, Any]]) -> None:
    dataset, answer = opened
    paths = sorted(Path(dataset.base).glob("sequences/*/*.npy"))
    wanted = np.concatenate([np.fromfile(path, np.uint32) for path in paths])
    assert answer["sequences"] == wanted.reshape(-1, LENGTH).tolist()


def test_torchs_loader_gives_every_document_once(opened: tuple[Dataset, dict[str, Any]]) -> None:
    assert sorted(opened[1]["torch"]) == sorted(DOCUMENTS)
