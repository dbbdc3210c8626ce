"""Mixes of a few documents, published as a run publishes them, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.datasets import Dataset, Manifest, OutputFile
from transforms.mixing.sequences import Sequencing, write_sequences
from transforms.tokens.parts import PartsWriter, close_documents
from transforms.tokens.token_files import TokenPart, read_document_bounds, read_token_file

EOS, PAD = 9, 8


def publish_mix(
    folder: str,
    sources: Mapping[str, Sequence[Sequence[int]]],
    file_tokens: int = 40,
    sequence: int | None = None,
) -> Dataset:
    """A mix of documents (tokens without EOS) by source, in files of `file_tokens` at most; packed
    into sequences of `sequence` tokens where that is given."""
    dataset = Dataset(folder, "f1")
    files: list[OutputFile] = []
    for source, documents in sources.items():
        rows = pa.RecordBatch.from_pydict(
            {
                "id": [f"{source}-{n}" for n in range(len(documents))],
                "path": [f"documents/{source}/v/0.parquet"] * len(documents),
                "line": range(1, len(documents) + 1),
            }
        )
        tokens = np.array([one for its in documents for one in its], np.uint32)
        bounds = np.cumsum([0, *map(len, documents)], dtype=np.int64)
        opened = partial(TokenPart, dataset.base)
        with PartsWriter(opened, f"tokens/{source}", "000", file_tokens) as writer:
            writer.write(close_documents(tokens, bounds, EOS, rows))
        files += writer.files
        for one in writer.files[::2] if sequence else ():
            path = dataset.path(one.path)
            held = read_token_file(path)
            edges = read_document_bounds(path.replace(".npy", ".csv.gz"))
            asked = Sequencing(sequence or 0, "best_fit", "split")
            starts = np.append(edges.starts, len(held))
            files += write_sequences(dataset.base, one.path, held, starts, PAD, asked)[0]
    mix: dict[str, Any] = {"sequence": {"length": sequence}} if sequence else {}
    details = {"tokenizer": {"eos": EOS, "pad": PAD}}
    parameters = {"recipe": {"mix": mix}}
    dataset.publish(Manifest("mix", "f1", 1, parameters, {}, files, {}, {}, {}, "0", details))
    return dataset
