"""Texts that Python packages carry in their files, as raw material of the benchmark corpus.

Out: `Text`s of four kinds, file by file in an order that the caller gives. `prose`:
English reference manuals (the service descriptions of botocore, HTML fragments); `notes`: the
docstrings of a module together; `languages`: translated messages of gramps and Django in some 100
languages; `code`: Python, JavaScript, CSS and C headers. Modules are parsed, never imported.
"""

from __future__ import annotations

import ast
import gettext
import gzip
import html
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.metadata import distribution, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

__all__ = [
    "DISTRIBUTIONS",
    "KINDS",
    "Text",
    "package_versions",
    "read_sentences",
    "read_texts",
]

KINDS = ("prose", "notes", "languages", "code")
NOTES_FROM = ("scipy", "numpy", "apache-beam", "gramps", "numba", "django", "great-expectations")
CODE_FROM = (*NOTES_FROM, "spacy", "pyarrow", "botocore")
LANGUAGES_FROM = ("gramps", "django")
HELD_OUT = "matplotlib"  # nothing of it is in the corpus: its sentences make a benchmark
DISTRIBUTIONS = tuple(sorted({*CODE_FROM, HELD_OUT}))
CODE_ENDINGS = (".py", ".js", ".css", ".h", ".pyx", ".pxd")
MIN_CHARACTERS = 200  # of a text
MAX_CODE_BYTES = 200_000  # of a source file; larger ones are tables
PAGE_CHARACTERS = 4000  # translated messages that make one text
MIN_MESSAGE_CHARACTERS = 25  # shorter messages are labels of buttons
MAX_OPERATIONS = 4  # operations of a service that one page of its manual describes
_SENTENCE_WORDS = range(14, 41)  # words of a sentence that can be an item of a benchmark
_BLOCKS = frozenset(
    [
        "p",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "br",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "pre",
        "table",
        "tr",
        "note",
    ]
)


Order = Callable[[str], bytes]  # a sort key of a path


@dataclass(frozen=True)
class Text:
    """One text. `fragments`: its paragraphs as HTML, where it comes as HTML."""

    kind: str
    name: str
    text: str
    fragments: tuple[str, ...] = ()


def package_versions() -> dict[str, str]:
    """The versions that the texts depend on, by distribution."""
    return {name: version(name) for name in DISTRIBUTIONS}


def read_texts(kind: str, order: Order) -> Iterator[Text]:
    """Texts of one of `KINDS`, file by file in the order of `order(path)`, read when asked for."""
    packages, endings, read = _KINDS[kind]
    files = dict(file for name in packages for file in _files(name, endings))
    if kind == "prose":  # botocore/data/<service>/<date>/: the newest date of each service
        newest = {path.split("/")[2]: path for path in files}
        files = {path: files[path] for path in newest.values()}
    for path, place in sorted(files.items(), key=lambda file: order(file[0])):
        for text in read(path, place):
            if len(text.text) >= MIN_CHARACTERS:
                yield text


def _files(name: str, endings: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """(path as the distribution lists it, where it lies), sorted by path."""
    files = distribution(name).files or ()
    for file in sorted(files, key=str):
        if file.suffix in endings or str(file).endswith(endings):
            yield str(file), Path(str(file.locate()))


class _Paragraphs(HTMLParser):
    """The text of a fragment, a paragraph for each block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self.parts).split("\n"))
        return "\n".join(line for line in lines if line)


def _plain(fragment: str) -> str:
    parser = _Paragraphs()
    parser.feed(fragment)
    parser.close()
    return parser.text()


def _read_manual(path: str, place: Path) -> Iterator[Text]:
    """The description of a service, some operations a page."""
    model = orjson.loads(gzip.decompress(place.read_bytes()))
    operations = sorted(model["operations"].items())
    for first in range(0, len(operations), MAX_OPERATIONS):
        group = operations[first : first + MAX_OPERATIONS]
        fragments: list[str] = []
        for name, operation in group:
            fragments.append(f"<h2>{name}</h2>")
            fragments.extend(_describe_operation(operation, model["shapes"]))
        fragments = list(dict.fromkeys(fragments))
        text = "\n\n".join(filter(None, map(_plain, fragments)))
        yield Text("prose", f"{path}/{group[0][0]}", text, tuple(fragments))


def _describe_operation(operation: dict[str, Any], shapes: dict[str, Any]) -> Iterator[str]:
    yield operation.get("documentation", "")
    for end in ("input", "output"):
        shape = operation.get(end, {}).get("shape")
        for _, member in sorted(shapes.get(shape, {}).get("members", {}).items()):
            yield member.get("documentation", "")


def _docstrings(source: str) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:  # templates of code
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            note = ast.get_docstring(node)
            if note:
                yield note


def _read_notes(path: str, place: Path) -> Iterator[Text]:
    yield Text("notes", path, "\n\n".join(dict.fromkeys(_docstrings(_read(place)))))


def _read_messages(path: str, place: Path) -> Iterator[Text]:
    with place.open("rb") as file:
        catalog: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    messages = (
        " ".join(html.unescape(translated).split())
        for source, translated in catalog.items()
        if source and len(translated) >= MIN_MESSAGE_CHARACTERS
    )
    page: list[str] = []
    held = number = 0
    for message in dict.fromkeys(messages):
        page.append(message)
        held += len(message)
        if held >= PAGE_CHARACTERS:
            yield Text("languages", f"{path}/{number}", "\n".join(page))
            page, held, number = [], 0, number + 1


def _read_code(path: str, place: Path) -> Iterator[Text]:
    if os.path.getsize(place) <= MAX_CODE_BYTES:
        yield Text("code", path, _read(place))


def _read(place: Path) -> str:
    return place.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")


def read_sentences(order: Order) -> Iterator[tuple[str, str]]:
    """(sentence, the next one) of the docstrings of a package that is not in the corpus, file by
    file in the order of `order(path)`; sentences differ."""
    seen: set[str] = set()
    for _, place in sorted(_files(HELD_OUT, (".py",)), key=lambda file: order(file[0])):
        for note in _docstrings(_read(place)):
            for paragraph in note.split("\n\n"):
                sentences = re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split()))
                for sentence, following in pairwise(sentences):
                    if len(sentence.split()) in _SENTENCE_WORDS and sentence not in seen:
                        seen.add(sentence)
                        yield sentence, following


_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[..., Iterator[Text]]]] = {
    "prose": (("botocore",), ("service-2.json.gz",), _read_manual),
    "notes": (NOTES_FROM, (".py",), _read_notes),
    "languages": (LANGUAGES_FROM, (".mo",), _read_messages),
    "code": (CODE_FROM, CODE_ENDINGS, _read_code),
}
