"""Verify the order of a shuffled mix, and the stages of a curriculum.

In: the token files of a mix one after another, with what is read of them, and what the manifest's
fingerprint says of each stage. Out: checks. The order is computed again from ids and the recipe's
seed, and what a stage must hold of each source from the recipe; the parts of a stage are told by
their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipelines.mixing.outputs import source_of, stage_of_part
from pipelines.recipes.mix_part import Mix
from pipelines.verification.check import Check
from transforms.datasets import Manifest
from transforms.mixing.document_order import out_of_order
from transforms.tokens.token_files import SHUFFLED, DocumentBounds, source_of_document

__all__ = ["OrderSeen"]


class OrderSeen:
    """The order of a shuffled mix, while its files are read in the manifest's order."""

    def __init__(self, manifest: Manifest, asked: Mix) -> None:
        order = manifest.parameters["order"]
        self._most_copies: Mapping[str, int] = order["most_copies"]
        self._wanted: list[dict[str, dict[str, Any]]] = order.get("stages", [])
        self._tokens_of = {
            source: its["wanted_tokens"] for source, its in manifest.parameters["selected"].items()
        }
        self._asked = asked
        self._last = 0
        self._wrong: list[str] = []
        self._seen: list[dict[str, list[int]]] = [{} for _ in self._wanted]

    def see(self, path: str, bounds: DocumentBounds) -> None:
        """The documents of the next token file."""
        stage = stage_of_part(path)
        sources = [source_of_document(path, one) for one in bounds.paths]
        most = np.array([self._most_copies.get(one, 1) for one in sources], np.int64)
        if (stage is not None) != bool(self._wanted) or (stage or 0) >= max(len(self._wanted), 1):
            self._wrong.append(f"{path}: in no stage of the recipe")
            return
        seed = self._asked.seed
        wrong, self._last = out_of_order(bounds.ids, sources, seed, most, self._last, stage)
        if wrong or source_of(path) != SHUFFLED:
            self._wrong.append(f"{path}: {wrong} documents")

    def count(self, path: str, source: str, tokens: int, documents: int, digest: int) -> None:
        """What a token file holds of a source."""
        stage = stage_of_part(path)
        if stage is not None and stage < len(self._seen):
            its = self._seen[stage].setdefault(source, [0, 0, 0])
            for index, more in enumerate((tokens, documents, digest)):
                its[index] += more

    def checks(self) -> Iterator[Check]:
        """What was found; once all files were seen."""
        name = "documents stand in the order of a keyed hash"
        yield Check(name, not self._wrong, self._wrong[:10], [])
        curriculum = self._asked.curriculum
        stages = len(curriculum.stages) if curriculum else 0
        if stages or self._wanted:
            seen = len(self._wanted)
            yield Check("stages are those of the recipe", seen == stages, seen, stages)
        if curriculum is None or len(self._wanted) != stages:
            return
        ends = {
            source: (*curriculum.ends(source, tokens), tokens)
            for source, tokens in self._tokens_of.items()
        }
        until = dict.fromkeys(ends, 0)
        for number, wanted in enumerate(self._wanted):
            seen_here = {
                source: {
                    "tokens": tokens, "documents": documents,
                    "digest": f"{digest % (1 << 64):016x}",
                }
                for source, (tokens, documents, digest) in sorted(self._seen[number].items())
            }  # fmt: skip
            selected = {
                source: {key: its[key] for key in ("tokens", "documents", "digest")}
                for source, its in sorted(wanted.items())
                if its["documents"]
            }
            name = f"stage {number + 1} holds the documents that were selected"
            yield Check(name, seen_here == selected, seen_here, selected)
            lacking = {}
            for source, its in sorted(ends.items()):
                until[source] += self._seen[number].get(source, [0])[0]
                following = wanted.get(source, {}).get("next_document_tokens", 0)
                if not 0 <= its[number] - until[source] < max(following, 1):
                    lacking[source] = its[number] - until[source]
            name = f"shares of stage {number + 1}, to within a document of each source"
            yield Check(name, not lacking, lacking, {})
