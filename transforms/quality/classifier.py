"""Classifier: how probable labels of a user's fastText model are for each document.

In: whole texts. Out, as attribute table of the classifier's own name: `label` string (the most
likely label), `score` float32 (its probability) and one float32 a label asked for. Tokens are
fastText's (parted at its ASCII blanks, line feeds among them), except that `</s>` is a blank: so
scores are those of fastText's `predict` on the text with its line feeds and `</s>` as blanks, cut
at 1. Models are those of DCLM's kind (Li et al. 2024), or made by `vineleaf train-classifier`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from transforms.annotators import RuleFile
from transforms.documents import DocumentBatch
from transforms.kernels.fasttext import score_tokens
from transforms.quality.fasttext_model import ModelError, load_model, read_labels

__all__ = ["MAX_LABELS", "NAME_PATTERN", "Classifier"]

MAX_LABELS = 1024  # columns of a table, at most
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,62}$(?!\n)"  # of a table; keywords of SQL are quoted there
_CHECKED_ROWS = 1 << 14  # of a matrix that are looked at at once
_NAMED_LABELS = 20  # labels that an error names, at most
# Tables that stages and other rules write.
_TAKEN = frozenset(
    {"c4", "candidates", "code", "contamination", "documents", "dolma3_lines", "exact"}
    | {"exact_duplicates", "fineweb", "fuzzy_duplicates", "gopher", "language", "madlad"}
    | {"minhash", "pdf_quality", "pii", "repeated_lines", "repeated_paragraphs"}
    | {"repeated_passages", "selection", "size", "tokens", "url"}
    | {"url_duplicates", "url_lists"}
)


@dataclass(frozen=True)
class Classifier:
    """Annotator of the table `table`, by the model `model`; `labels`, without fastText's prefix,
    have a column each."""

    version: ClassVar[int] = 1

    table: str
    model: RuleFile
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.match(NAME_PATTERN, self.table) or self.table in _TAKEN:
            raise ValueError(
                "its name must be lower-case letters, digits and _, a letter first, and no other"
                f" table's (got {self.table!r})"
            )
        if len(self.labels) > MAX_LABELS:
            raise ValueError(f"it can have {MAX_LABELS} labels (got {len(self.labels)})")
        # DuckDB, which applies conditions, does not tell upper from lower case in names.
        seen = {"label", "score"}
        for label in self.labels:
            if label.casefold() in seen:
                raise ValueError(
                    "its labels must differ, also in lower case, and none can be 'label' or"
                    f" 'score', which are columns already (got {label!r})"
                )
            seen.add(label.casefold())

    @property
    def name(self) -> str:
        return self.table

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(
            [pa.field("label", pa.string()), pa.field("score", pa.float32(), nullable=False)]
            + [pa.field(label, pa.float32(), nullable=False) for label in self.labels]
        )

    @property
    def files(self) -> tuple[RuleFile, ...]:
        return (self.model,)

    def with_files(self, files: tuple[RuleFile, ...]) -> Self:
        """ModelError where the file is no model or lacks one of `labels`."""
        (model,) = files
        known = read_labels(model.path)
        for label in self.labels:
            if label not in known:
                some = ", ".join(sorted(known)[:_NAMED_LABELS])
                more = f" and {len(known) - _NAMED_LABELS} more" if known[_NAMED_LABELS:] else ""
                raise ModelError(
                    f"{self.model.path} has no label '{label}' (there are {some}{more})"
                )
        return replace(self, model=model)

    def check_files(self) -> None:
        """ModelError where the model ends early, or holds what is no number."""
        network = load_model(self.model.path, self.model.digest).network
        for values in (network.rows, network.output, network.centroids, network.norms):
            for first in range(0, len(values), _CHECKED_ROWS):
                if not np.isfinite(values[first : first + _CHECKED_ROWS]).all():
                    raise ModelError(
                        f"{self.model.path} is damaged: its matrices hold values that are no number"
                    )

    def parameters(self) -> dict[str, Any]:
        """The model by what it holds, not by where it lies."""
        return {"model": self.model.digest, "labels": list(self.labels)}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `schema` a document; label is null, and all numbers are 0, where the model
        knows nothing of a text."""
        model = load_model(self.model.path, self.model.digest)
        asked = [model.labels.index(label) for label in self.labels]
        scores = score_tokens(batch.text[0], batch.tokens, model.network, np.array(asked, np.int32))
        if np.isnan(scores.score).any():
            raise ModelError(f"{self.model.path} gives a document no number: its file is damaged")
        best = pa.array(scores.best, mask=scores.best < 0)
        return pa.RecordBatch.from_arrays(
            [
                pa.array(model.labels, pa.string()).take(best),
                pa.array(scores.score),
                *(pa.array(column) for column in scores.asked),
            ],
            schema=self.schema,
        )
