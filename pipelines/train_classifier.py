"""Train a fastText classifier on labelled documents, and tell how it does on those held out.

In: JSONL in Dolma's format on any Beam filesystem, one path per label or the label in a field of
the metadata. Out: a model for the rule `classifier`, and precision and recall per label and
threshold. Text is what the rule makes of it at prediction (kernels.fasttext_tokens). Which
documents are held out, and in which order the others are seen, is decided by keyed hashes of their
ids; fastText runs with one thread and a fixed seed. So the same documents give the same bytes,
however they are cut into files, with the same build of fastText.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from pipelines.inputs import NoInput
from transforms import storage
from transforms.documents import Document
from transforms.ingest.dolma import DolmaReader
from transforms.kernels.fasttext import score_tokens
from transforms.kernels.fasttext_tokens import find_tokens
from transforms.quality.fasttext_model import LABEL_PREFIX, load_model

__all__ = ["THRESHOLDS", "Outcome", "Training", "TrainingError", "fit_model", "train_classifier"]

THRESHOLDS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)  # probabilities, inclusive
KEPT_ROWS = 100_000  # words and n-grams that a quantised model keeps
_PARTITIONS = 64  # files that training text is sorted in, one at a time in memory
_BLOCK_BYTES = 8 << 20  # of held-out text that is scored at a time, about
_BLANKS = re.compile(r"(?:[ \n\r\t\v\f\0]|</s>)+")
_COPY_BYTES = 1 << 20

_INSTALL = (
    "in the folder of this project: pip install -c constraints.txt -e '.[train]', for which a C++"
    " compiler must be there"
)
_REINSTALL = (
    "the package fasttext-predict has overwritten files of fasttext, which trains; run: pip"
    " uninstall -y fasttext-predict && pip install --force-reinstall --no-deps fasttext"
)
# In a process of its own: with one thread fastText leaves most of a matrix as the memory was that
# it got, and only a new process can be given zeros.
_TRAIN = """
import json, sys
import fasttext
asked = json.load(sys.stdin)
model = fasttext.train_supervised(**asked["training"])
if asked["quantising"]:
    model.quantize(**asked["quantising"])
model.save_model(asked["output"])
"""
_ZEROED_MEMORY = {"MALLOC_PERTURB_": "255"}  # glibc: new memory is filled with 255 ^ 255


class TrainingError(ValueError):
    """fastText is not there or cannot train of what was asked; one sentence that says why."""


@dataclass(frozen=True)
class Training:
    """How a model is trained: values of a vector, words of the longest n-gram, passes over the
    documents, learning rate, occurrences a word needs, buckets of n-grams, share of documents held
    out, key of the hashes, and whether the model is made small."""

    dim: int = 100
    word_ngrams: int = 2
    epochs: int = 5
    learning_rate: float = 0.1
    min_count: int = 1
    buckets: int = 2_000_000
    held_out: float = 0.1
    seed: int = 0
    quantize: bool = False

    def __post_init__(self) -> None:
        for name in ("dim", "word_ngrams", "epochs", "min_count", "buckets"):
            if getattr(self, name) < 1:
                option = f"--{name.replace('_', '-')}"
                raise TrainingError(f"{option} must be at least 1 (got {getattr(self, name)})")
        if not 0 < self.held_out < 1:
            raise TrainingError(f"--held-out must be above 0 and below 1 (got {self.held_out})")
        if not 0 <= self.seed < 2**31:  # fastText's is a C int
            raise TrainingError(f"--seed must be between 0 and 2147483647 (got {self.seed})")
        if not self.learning_rate > 0:
            raise TrainingError(f"--learning-rate must be above 0 (got {self.learning_rate})")


@dataclass(frozen=True)
class Outcome:
    """The model's path and SHA-256; documents trained on and held out, per label; records that were
    left out, by reason; share of held-out documents whose own label is the most likely; and per
    label, for each of THRESHOLDS, what of the held-out documents reaches it."""

    model: str
    sha256: str
    trained: Mapping[str, int]
    held_out: Mapping[str, int]
    left_out: Mapping[str, int]
    accuracy: float
    labels: Mapping[str, Sequence[Mapping[str, float | int | None]]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Corpus:
    """Training lines, spread over files by hash, and held-out lines in one."""

    folder: Path
    trained: dict[str, int] = field(default_factory=dict)
    held_out: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def training_file(self) -> Path:
        return self.folder / "train.txt"

    @property
    def held_out_file(self) -> Path:
        return self.folder / "held_out.txt"


def train_classifier(
    output: str,
    labelled: Mapping[str, Sequence[str]],
    training: Training,
    by_field: tuple[str, Sequence[str]] | None = None,
) -> Outcome:
    """Train on the files that match the patterns of each label, and with `by_field` on those that
    match its patterns, labelled by that field of their metadata; write the model to `output`.

    TrainingError, in one sentence, where there is nothing to learn or fastText cannot train.
    """
    _check_fasttext()
    with tempfile.TemporaryDirectory(prefix="vineleaf-") as folder:
        corpus = _Corpus(Path(folder))
        _write_lines(corpus, _examples(corpus, labelled, by_field), training)
        counts = corpus.trained
        if len(counts) < 2:
            raise TrainingError(
                "a classifier needs documents of two labels at least"
                f" (got {', '.join(sorted(counts)) or 'none'})"
            )
        model = Path(folder) / "model.bin"
        _train(corpus, model, training)
        sha256, _ = storage.sha256_of(str(model))
        accuracy, labels = _evaluate(corpus, str(model), sha256)
        with storage.write_aside(output) as target, model.open("rb") as source:
            while block := source.read(_COPY_BYTES):
                target.write(block)
        storage.remove_empty_aside(output)
    trained, held_out, left_out = (
        dict(sorted(one.items())) for one in (counts, corpus.held_out, corpus.left_out)
    )
    return Outcome(output, sha256, trained, held_out, left_out, accuracy, labels)


def _check_fasttext() -> None:
    try:
        parts = [import_module(name) for name in ("fasttext", "fasttext_pybind")]
    except ImportError as error:
        raise TrainingError(f"fastText cannot be imported ({error}): {_INSTALL}") from error
    if not all(map(hasattr, parts, ("train_supervised", "train"))):
        raise TrainingError(_REINSTALL)


def _examples(
    corpus: _Corpus,
    labelled: Mapping[str, Sequence[str]],
    by_field: tuple[str, Sequence[str]] | None,
) -> Iterator[tuple[str, Document]]:
    """(label, document) of all that can be read."""
    for label, patterns in labelled.items():
        for document in _documents(corpus, patterns):
            yield label, document
    if by_field is not None:
        name, patterns = by_field
        for document in _documents(corpus, patterns):
            value = document.metadata.get(name)
            if isinstance(value, (str, int)) and str(value):
                yield str(value), document
            else:
                _count(corpus.left_out, f"no {name}")


def _documents(corpus: _Corpus, patterns: Sequence[str]) -> Iterator[Document]:
    for pattern in patterns:
        storage.check_uri(pattern)
    files = storage.list_files(list(patterns))
    if not files:
        raise NoInput(f"no file matches {' or '.join(patterns)}")
    for event in DolmaReader().read(files):
        if isinstance(event, Document):
            yield event
        else:
            _count(corpus.left_out, event.reason)


def _count(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def _write_lines(
    corpus: _Corpus, examples: Iterator[tuple[str, Document]], training: Training
) -> None:
    """Write held-out lines as they come, and training lines in the order of their hashes."""
    parts = [corpus.folder / f"part-{number:02}" for number in range(_PARTITIONS)]
    files = [part.open("wb") for part in parts]
    key = training.seed.to_bytes(8, "little")
    with corpus.held_out_file.open("wb") as held_out:
        for label, document in examples:
            if not label or _BLANKS.search(label):
                raise TrainingError(f"a label must be one word (got {label!r})")
            digest = hashlib.blake2b(document.id.encode(), digest_size=16, key=key).digest()
            line = f"{LABEL_PREFIX}{label} {_normalize(document.text)}\n".encode()
            # The upper half decides who is held out, the lower in which order the rest is seen.
            if int.from_bytes(digest[:8], "big") < training.held_out * 2**64:
                held_out.write(line)
                _count(corpus.held_out, label)
            else:
                files[digest[8] % _PARTITIONS].write(digest[8:].hex().encode() + b" " + line)
                _count(corpus.trained, label)
    with corpus.training_file.open("wb") as ordered:
        for file, part in zip(files, parts, strict=True):
            file.close()
            for line in sorted(part.read_bytes().splitlines(keepends=True)):
                ordered.write(line.partition(b" ")[2])
            part.unlink()


def _normalize(text: str) -> str:
    """The text as the rule reads it: tokens between blanks; those that begin as labels are none."""
    tokens = _BLANKS.split(text)
    return " ".join(one for one in tokens if one and not one.startswith(LABEL_PREFIX))


def _train(corpus: _Corpus, model: Path, training: Training) -> None:
    shared = {"input": str(corpus.training_file), "epoch": training.epochs}
    shared |= {"lr": training.learning_rate}
    fit_model(
        {
            **shared,
            "dim": training.dim,
            "wordNgrams": training.word_ngrams,
            "minCount": training.min_count,
            "bucket": training.buckets,
            "seed": training.seed,
        },
        str(model),
        {**shared, "cutoff": KEPT_ROWS, "retrain": True, "qnorm": True}
        if training.quantize
        else None,
    )


def fit_model(
    training: Mapping[str, Any], output: str, quantising: Mapping[str, Any] | None = None
) -> None:
    """Train with fastText's own parameters, one thread, and write the model to `output`: the same
    parameters and input give the same bytes. `quantising`: parameters of making it small, if at
    all. TrainingError where fastText cannot train."""
    _check_fasttext()
    alone = {"thread": 1, "verbose": 0}
    asked = {
        "training": {**training, **alone},
        "quantising": quantising and {**quantising, **alone},
        "output": output,
    }
    result = subprocess.run(
        [sys.executable, "-c", _TRAIN],
        input=orjson.dumps(asked),
        capture_output=True,
        env={**os.environ, **_ZEROED_MEMORY},
        check=False,
    )
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"it ended with code {result.returncode}"
        raise TrainingError(f"fastText could not train: {reason}")


def _evaluate(
    corpus: _Corpus, path: str, sha256: str
) -> tuple[float, dict[str, list[dict[str, float | int | None]]]]:
    """(accuracy, per label a row a threshold) over the held-out documents."""
    model = load_model(path, sha256)
    numbers = {label: number for number, label in enumerate(model.labels)}
    every = np.arange(len(model.labels), dtype=np.int32)
    own: list[int] = []
    best: list[npt.NDArray[np.int32]] = []
    scores: list[npt.NDArray[np.float32]] = []
    for labels, texts in _held_out_blocks(corpus.held_out_file):
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        data = np.frombuffer(b"".join(texts), np.uint8)
        scored = score_tokens(data, find_tokens(data, offsets), model.network, every)
        own += [numbers.get(label, -1) for label in labels]
        best.append(scored.best)
        scores.append(scored.asked)
    if not own:
        return 0.0, {label: [] for label in sorted(numbers)}
    truth, asked = np.array(own), np.concatenate(scores, axis=1)
    accuracy = float((np.concatenate(best) == truth).mean())
    return accuracy, {
        label: [_row(asked[number], truth == number, one) for one in THRESHOLDS]
        for label, number in sorted(numbers.items())
    }


def _row(
    scores: npt.NDArray[np.float32], own: npt.NDArray[np.bool_], threshold: float
) -> dict[str, float | int | None]:
    reached = scores >= threshold
    hits, kept, wanted = int((reached & own).sum()), int(reached.sum()), int(own.sum())
    return {
        "at_least": threshold,
        "documents": kept,
        "precision": hits / kept if kept else None,
        "recall": hits / wanted if wanted else None,
    }


def _held_out_blocks(path: Path) -> Iterator[tuple[list[str], list[bytes]]]:
    """(labels, texts) of some megabytes of lines at a time."""
    with path.open("rb") as file:
        while lines := file.readlines(_BLOCK_BYTES):
            pairs = [line.rstrip(b"\n").partition(b" ") for line in lines]
            labels = [label.decode().removeprefix(LABEL_PREFIX) for label, _, _ in pairs]
            yield labels, [text for _, _, text in pairs]
