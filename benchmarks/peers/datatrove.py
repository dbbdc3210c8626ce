"""datatrove: filters, MinHash, exact deduplication, decontamination, on documents in memory."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.inputs import read_documents, read_items, read_pairs
from benchmarks.plain_gopher import find_rule_words, repeats_little
from benchmarks.work import Task, Work

__all__ = [
    "c4",
    "decontaminate",
    "exact",
    "fineweb",
    "gopher_quality",
    "gopher_repetition",
    "minhash",
    "write_index",
]


def _documents(task: Task) -> tuple[list[dict[str, Any]], int]:
    documents = read_documents(task.corpus, task.text_bytes)
    return documents, sum(len(one["text"].encode()) for one in documents)


def _theirs(documents: Iterable[dict[str, Any]]) -> list[Any]:
    from datatrove.data import Document

    return [Document(text=one["text"], id=one["id"]) for one in documents]


def _filter(task: Task, make: Callable[[], Any], words_of: str = "") -> Work:
    """The work of a filter. The answer is {id: kept}, with the peer's own words and, where the
    module `words_of` takes words from `split_into_words`, with those of docs/rules.md."""
    documents, size = _documents(task)
    judge = make()

    def run(chosen: list[dict[str, Any]]) -> list[bool]:
        kept = []
        for one in _theirs(chosen):
            result = judge.filter(one)
            kept.append(bool(result[0] if isinstance(result, tuple) else result))
        return kept

    def answer(kept: list[bool]) -> dict[str, dict[str, bool]]:
        ids = [one["id"] for one in documents]
        verdicts = {"own words": dict(zip(ids, kept, strict=True))}
        if words_of:
            module: Any = importlib.import_module(words_of)
            module.split_into_words = lambda text, language: find_rule_words(text)
            verdicts["our words"] = dict(zip(ids, run(documents), strict=True))
        return verdicts

    return Work(lambda: run(documents), size, lambda: run(documents[:3]), answer)


def gopher_repetition(task: Task) -> Work:
    """Gopher's repetition rules; the answer has a plain reading of docs/rules.md beside it."""
    from datatrove.pipeline.filters import GopherRepetitionFilter

    work = _filter(task, GopherRepetitionFilter)

    def answer(kept: list[bool]) -> dict[str, dict[str, bool]]:
        documents, _ = _documents(task)
        read = {one["id"]: repeats_little(one["text"]) for one in documents}
        return {**work.answer(kept), "plain reading": read}

    return work._replace(answer=answer)


def gopher_quality(task: Task) -> Work:
    """Gopher's quality rules."""
    from datatrove.pipeline.filters import GopherQualityFilter

    return _filter(task, GopherQualityFilter, "datatrove.pipeline.filters.gopher_quality_filter")


def c4(task: Task) -> Work:
    """C4's rules."""
    from datatrove.pipeline.filters import C4QualityFilter

    return _filter(task, C4QualityFilter)


def fineweb(task: Task) -> Work:
    """FineWeb's rules."""
    from datatrove.pipeline.filters import FineWebQualityFilter

    return _filter(
        task,
        FineWebQualityFilter,
        "datatrove.pipeline.filters.fineweb_quality_filter",
    )


def minhash(task: Task) -> Work:
    """Signatures of 26 x 11; the answer is [[true similarity, estimate]] of planted pairs."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    step = MinhashDedupSignature(os.path.join(task.scratch, "signatures"), MinhashConfig(5, 26, 11))
    documents, size = _documents(task)

    def sign(text: str) -> list[int]:
        shingles = step.get_shingles(text)
        bands = step.get_signature(shingles) if shingles.size else []
        return [value for band in bands for value in band]

    def run(chosen: list[dict[str, Any]]) -> list[Any]:
        return [sign(one["text"]) for one in chosen]

    def answer(_: list[Any]) -> list[list[float]]:
        estimates = []
        for one, other, true in read_pairs(task.corpus):
            left, right = sign(one), sign(other)
            equal = sum(a == b for a, b in zip(left, right, strict=True))
            estimates.append([true, equal / len(left)])
        return estimates

    return Work(lambda: run(documents), size, lambda: run(documents[:3]), answer)


def exact(task: Task) -> Work:
    """Exact deduplication, hashes to removal; the answer is the sorted ids that were removed."""
    from datatrove.pipeline.dedup.exact_dedup import (
        ExactDedupConfig,
        ExactDedupFilter,
        ExactDedupSignature,
        ExactFindDedups,
    )

    documents, size = _documents(task)
    config = ExactDedupConfig(content_getter=_content, only_dedup_in_index=False)
    counter = iter(range(1000))

    def run(chosen: list[dict[str, Any]]) -> list[str]:
        folder = os.path.join(task.scratch, str(next(counter)))
        hashes, found = f"{folder}/hashes", f"{folder}/found"
        ExactDedupSignature(hashes, config).run(_theirs(chosen), 0, 1)
        ExactFindDedups(hashes, found, config).run(None, 0, 1)
        return [one.id for one in ExactDedupFilter(found, config).run(_theirs(chosen), 0, 1)]

    def answer(kept: list[str]) -> list[str]:
        return sorted({one["id"] for one in documents} - set(kept))

    return Work(lambda: run(documents), size, lambda: run(documents[:3]), answer)


def _content(document: Any) -> str:
    return str(document.text)


def write_index(corpus: str, folder: str) -> Any:
    """Write an index of the planted benchmark's 8-grams; gives the configuration that reads it.

    Hashes are those of NGramsDecontIndexer, which itself needs lighteval.
    """
    import numpy as np
    from datatrove.pipeline.decont import NGramsDecontConfig
    from datatrove.utils.hashing import create_hash_func
    from datatrove.utils.text import ngrams, simplify_text
    from datatrove.utils.typeshelper import Languages
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    config = NGramsDecontConfig(n_grams=8, find_query_ngrams=True)
    tokenizer = load_word_tokenizer(Languages.english)
    digest = create_hash_func(config.hash_config)
    hashes: set[int] = set()
    for item in read_items(corpus):
        text = f"{item['question']}\n{item['answer']}"
        words = tokenizer.word_tokenize(simplify_text(text, config.norm_config))
        hashes.update(digest(" ".join(words_)) for words_ in ngrams(words, config.n_grams))
    os.makedirs(folder, exist_ok=True)
    found = np.array(sorted(hashes), dtype=config.hash_config.np_descr)
    found.tofile(os.path.join(folder, "planted.index.hashes"))
    return config


def decontaminate(task: Task) -> Work:
    """Decontamination by 8-grams; the answer is the sorted ids of documents with a hit."""
    from datatrove.pipeline.decont import NGramsDecontFilter

    folder = os.path.join(task.scratch, "index")
    config = write_index(task.corpus, folder)
    work = _filter(task, lambda: NGramsDecontFilter(folder, config))

    def answer(kept: list[bool]) -> list[str]:
        return sorted(one for one, keep in work.answer(kept)["own words"].items() if not keep)

    return work._replace(answer=answer)
