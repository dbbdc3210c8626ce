"""The parts of a mix are read back, as a trainer reads them.

In: token files and their bounds. Out: counters `rescan.*`, per source where a file holds documents
of several: tokens are checked and decoded, the text is scanned for benchmark n-grams, and the other
formats are held against the token files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pipelines.mixing.outputs import (
    csv_of,
    difference,
    is_token_file,
    of_source,
    other_outputs,
    source_of,
)
from pipelines.mixing.shards import PartsTask
from transforms import storage
from transforms.checks.tokens import check_tokens
from transforms.datasets import TaskRecord, sum_counts
from transforms.decontamination.index import NgramIndex, count_document_hits, load_index
from transforms.tokens.loading import load_tokenizer
from transforms.tokens.token_files import (
    DocumentBounds,
    read_document_bounds,
    read_token_file,
    source_of_document,
)
from transforms.tokens.tokenizer import Tokenizer

__all__ = ["by_source", "is_sound", "nothing_scanned", "rescan_parts", "scan_tokens"]

SCAN_TOKENS = 1 << 22  # tokens decoded at once, unless a single document has more


def rescan_parts(task: PartsTask) -> str:
    """Read the token files of a task back and write what is found as a record of its own."""
    if not storage.exists(task.dataset.record_path(task.rescan)):
        tokenizer = load_tokenizer(task.tokenizer, task.fingerprint)
        index = load_index(*task.index) if task.index else None
        files = [
            file.path
            for file in task.dataset.read_record(task.name).files
            if is_token_file(file.path)
        ]
        counts = sum_counts(_reread(task, path, tokenizer, index) for path in files)
        nothing = {} if task.shuffled else nothing_scanned()
        task.dataset.write_record(TaskRecord(task.rescan, [], {**nothing, **counts}))
    return task.name


def _reread(
    task: PartsTask, path: str, tokenizer: Tokenizer, index: NgramIndex | None
) -> dict[str, int]:
    """Counters of a token file and of what the other formats hold of its documents."""
    tokens = read_token_file(task.dataset.path(path))
    bounds = read_document_bounds(task.dataset.path(csv_of(path)))
    found = {
        source: scan_tokens(its_tokens, its_bounds, tokenizer, index)
        for source, its_tokens, its_bounds in by_source(path, tokens, bounds)
    }
    others = other_outputs(task.outputs, task.sequence)
    if all(is_sound(counts) for counts in found.values()):
        others = [
            one
            for one in others
            if difference(task.dataset, path, one, tokens, bounds, tokenizer, task.sequence)
        ]
    for counts in found.values():
        counts["rescan.unlike_parts"] = len(others)
    if task.shuffled:
        return {
            of_source(source, name): count
            for source, counts in found.items()
            for name, count in counts.items()
        }
    return sum_counts(found.values())


def by_source(
    path: str, tokens: npt.NDArray[np.uint32], bounds: DocumentBounds
) -> Iterator[tuple[str, npt.NDArray[np.uint32], DocumentBounds]]:
    """The documents of a token file by their source; each source's follow one another as in the
    file. One whose bounds are wrong, or that holds one source alone, comes as it is."""
    starts, ends = bounds.starts, bounds.ends
    names = [source_of_document(path, one) for one in bounds.paths]
    sources = sorted(set(names)) or [source_of(path)]
    places = np.append(starts, len(tokens))
    if len(sources) == 1 or places[0] or (places[1:] != ends).any() or (ends <= starts).any():
        yield sources[0], tokens, bounds
        return
    of_document = np.searchsorted(sources, names)
    for number, source in enumerate(sources):
        mine = of_document == number
        rows = np.flatnonzero(mine).tolist()
        edges = np.concatenate(([0], np.cumsum((ends - starts)[mine])))
        yield (
            source,
            np.asarray(tokens)[np.repeat(mine, ends - starts)],
            DocumentBounds(
                edges[:-1],
                edges[1:],
                [bounds.ids[row] for row in rows],
                [bounds.paths[row] for row in rows],
                bounds.lines[mine],
            ),
        )


def is_sound(counts: Mapping[str, int]) -> bool:
    """Whether the documents of a token file can be told and decoded, by its `rescan.*`."""
    wrong = ("misplaced_documents", "stray_tokens", "tokens_out_of_range", "missing_eos")
    return not any(counts[f"rescan.{name}"] for name in wrong)


def nothing_scanned() -> dict[str, int]:
    """The rescan counters of a shard without a token file: all are there, all are 0."""
    nowhere = np.empty(0, np.int64)
    counts = check_tokens(np.empty(0, np.uint32), nowhere, nowhere, 1, 0)
    return {**dict.fromkeys(counts, 0), "rescan.hits": 0, "rescan.unlike_parts": 0}


def scan_tokens(
    tokens: npt.NDArray[np.uint32],
    bounds: DocumentBounds,
    tokenizer: Tokenizer,
    index: NgramIndex | None,
) -> dict[str, int]:
    """Check one token file as a trainer reads it: counters `rescan.*`.

    `rescan.hits` are benchmark n-grams in the decoded documents; 0 without an index. Documents
    whose bounds or tokens are wrong are counted and not decoded.
    """
    identity = tokenizer.identity
    counts = check_tokens(
        tokens, bounds.starts, bounds.ends, identity.vocabulary_size, identity.eos
    )
    counts["rescan.hits"] = 0
    if index is None or counts["rescan.misplaced_documents"] or counts["rescan.stray_tokens"]:
        return counts
    if counts["rescan.tokens_out_of_range"]:
        return counts
    edges = np.append(bounds.starts, len(tokens))
    first = 0
    while first < len(bounds.starts):
        last = int(np.searchsorted(edges, edges[first] + SCAN_TOKENS, "right")) - 1
        last = min(max(last, first + 1), len(bounds.starts))
        part = np.asarray(tokens[edges[first] : edges[last]])
        part_bounds = edges[first : last + 1] - edges[first]
        texts = tokenizer.decode_documents(part, part_bounds)
        counts["rescan.hits"] += int(count_document_hits(index, *texts).sum())
        first = last
    return counts
