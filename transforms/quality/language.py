"""Language: which language a text is in, and how probable asked ones are. fastText lid.176.

In: the first bytes of a text, white space as blanks. Out: `label` string (ISO code of the most
likely language, null where nothing but white space stands), `score` float32 (its probability, 0
where label is null) and one float32 a language asked for (its probability, 0 below 1e-5). The model
is lid.176.ftz (Joulin et al. 2016; CC-BY-SA-3.0), which lies in this package, so that nothing is
downloaded. Dolma 3 uses the larger lid.176.bin and keeps en >= 0.65.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from transforms.documents import DocumentBatch
from transforms.kernels.fasttext import score_tokens
from transforms.kernels.fasttext_tokens import divide_tokens
from transforms.quality.fasttext_model import Model, ModelError, load_model

__all__ = [
    "LANGUAGES",
    "LANGUAGE_AT_LEAST",
    "MAX_TEXT_BYTES",
    "MODEL_SHA256",
    "Language",
    "model_path",
]

LANGUAGE_AT_LEAST = 0.65  # probability that a recipe asks for unless it says another
MAX_TEXT_BYTES = 1 << 20  # bytes of UTF-8 of each document that are read
MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
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


def model_path() -> str:
    """Where lid.176.ftz lies. ModelError when the installed package lacks it."""
    path = files("transforms.quality") / "models/lid.176.ftz"
    if not path.is_file():
        raise ModelError(f"{path} is missing: this installation is not whole, install it again")
    return str(path)


def _model() -> Model:
    return load_model(model_path(), MODEL_SHA256)


@dataclass(frozen=True)
class Language:
    """Annotator `language`: a column for each of `languages`, reading at most `max_text_bytes`
    bytes of each text (cut at a character)."""

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 2

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
    def schema(self) -> pa.Schema:
        return pa.schema(
            [pa.field("label", pa.string()), pa.field("score", pa.float32(), nullable=False)]
            + [pa.field(name, pa.float32(), nullable=False) for name in self.languages]
        )

    def parameters(self) -> dict[str, Any]:
        return {**asdict(self), "languages": list(self.languages), "model": MODEL_SHA256}

    def annotate(self, batch: DocumentBatch) -> pa.RecordBatch:
        """One row of `schema` a document."""
        model = _model()
        data, offsets = batch.text
        tokens = divide_tokens(data, offsets, batch.tokens, self.max_text_bytes)
        asked = [model.labels.index(language) for language in self.languages]
        scores = score_tokens(data, tokens, model.network, np.array(asked, np.int32))
        blank = np.diff(tokens.bounds) == 0
        columns = [scores.score, *scores.asked]
        return pa.RecordBatch.from_arrays(
            [
                pa.array(model.labels, pa.string()).take(pa.array(scores.best, mask=blank)),
                *(pa.array(np.where(blank, np.float32(0), column)) for column in columns),
            ],
            schema=self.schema,
        )
