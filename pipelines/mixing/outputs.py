"""The files of a mix: how they are named, and the formats beside its token files held against them.

In: a token file that was read, and the part of the same name in another format. Out: in what they
differ, if at all. Each format holds the same documents in the same parts and order: Megatron their
tokens; MDS ids and tokens; JSON lines ids and what the tokens say; Parquet all three; sequences the
tokens, packed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.datasets import Dataset
from transforms.mixing.sequences import Sequencing, sequence_fault
from transforms.tokens.mds import read_mds
from transforms.tokens.megatron import read_megatron
from transforms.tokens.text_files import read_json_lines, read_parquet
from transforms.tokens.token_files import DocumentBounds
from transforms.tokens.tokenizer import Tokenizer

__all__ = [
    "OUTPUTS",
    "bucket_groups",
    "csv_of",
    "difference",
    "is_token_file",
    "of_source",
    "other_outputs",
    "part_of",
    "source_of",
    "stage_of_part",
]

OUTPUTS = {"tokens": ".npy", "jsonl": ".jsonl.zst", "parquet": ".parquet", "megatron": ".bin",
           "mds": ".mds", "sequences": ".npy"}  # fmt: skip


_STAGE = re.compile(r"/part-stage([0-9]+)-[^/]*$")


def bucket_groups(buckets: Sequence[int]) -> list[str]:
    """What is in the names of the parts of each bucket of a shuffled mix, rising with it.
    `buckets`: how many each stage of a curriculum has; of a single number there are no stages."""
    stages = [stage for stage, count in enumerate(buckets, 1) for _ in range(count)]
    names = [f"stage{stage:02d}-" if len(buckets) > 1 else "" for stage in stages]
    return [f"{name}{number:05d}" for number, name in enumerate(names)]


def stage_of_part(path: str) -> int | None:
    """The stage, from 0, that a part of a curriculum is of; None where its name tells none."""
    found = _STAGE.search(path)
    return int(found[1]) - 1 if found else None


def other_outputs(outputs: Sequence[str], sequence: Sequencing | None) -> list[str]:
    """What a mix holds beside its token files; `sequences` where it has some."""
    others = [one for one in outputs if one != "tokens"]
    return [*others, "sequences"] if sequence else others


def part_of(token_path: str, output: str) -> str:
    """The part of another format that holds the documents of a token file."""
    return output + token_path.removeprefix("tokens").removesuffix(".npy") + OUTPUTS[output]


def difference(
    dataset: Dataset,
    token_path: str,
    output: str,
    tokens: npt.NDArray[np.uint32],
    bounds: DocumentBounds,
    tokenizer: Tokenizer,
    sequence: Sequencing | None,
) -> str | None:
    """In what the part of an output differs from its token file, None where in nothing.

    The token file's documents follow one another without a gap, each closed by EOS.
    """
    path = dataset.path(part_of(token_path, output))
    ids: list[str] | None = None
    texts: list[str] | None = None
    stored: npt.NDArray[np.uint32] | None = None
    places: npt.NDArray[np.int64] | None = None
    edges = np.append(bounds.starts, len(tokens))
    try:
        if output == "sequences" and sequence is not None:
            return sequence_fault(path, tokens, edges, tokenizer.identity.pad, sequence)
        if output == "megatron":
            stored, places = read_megatron(path.removesuffix(OUTPUTS[output]))
        elif output == "mds":
            ids, stored, places = read_mds(path)
        elif output == "jsonl":
            ids, texts = read_json_lines(path)
        else:
            ids, texts, stored, places = read_parquet(path)
    except (ValueError, OSError) as error:
        return str(error)
    if stored is not None and not (
        np.array_equal(stored, tokens) and places is not None and np.array_equal(places, edges)
    ):
        return f"{path} holds other tokens"
    if ids is not None and ids != bounds.ids:
        return f"{path} holds other ids"
    if texts is not None and texts != _decoded(tokens, bounds, tokenizer):
        return f"{path} holds other texts"
    return None


def _decoded(
    tokens: npt.NDArray[np.uint32], bounds: DocumentBounds, tokenizer: Tokenizer
) -> list[str]:
    return [
        tokenizer.decode(np.asarray(tokens[start : end - 1])).decode("utf-8", "replace")
        for start, end in zip(bounds.starts.tolist(), bounds.ends.tolist(), strict=True)
    ]


def of_source(source: str, counter: str) -> str:
    """A counter's name where a record counts several sources."""
    return f"{source}: {counter}"


def is_token_file(path: str) -> bool:
    """Whether a file of a mix holds the tokens of documents as they follow one another."""
    return path.startswith("tokens/") and path.endswith(".npy")


def csv_of(npy_path: str) -> str:
    """The file of document bounds beside a token file."""
    return npy_path.removesuffix(".npy") + ".csv.gz"


def source_of(path: str) -> str:
    """The folder of a part: its source, or `SHUFFLED`."""
    return path.split("/")[1]
