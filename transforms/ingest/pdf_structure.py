"""What a PDF says about itself, through pypdf: title, dates, outline, labels, forms, attachments.

In: the bytes of a PDF. Out: a JSON-able dictionary, see `PdfStructure.facts`, and the text of a
page as a second opinion on PDFium's. A damaged part (an outline that runs in a circle, a date that
is none) is left out and named under `unreadable`; it never costs the document.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Iterator
from typing import Any

from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject

__all__ = ["PdfStructure"]

MAX_OUTLINE_ITEMS = 2_000
MAX_OUTLINE_LEVEL = 16
MAX_LABELLED_PAGES = 20_000
MAX_FIELDS = 10_000  # form fields looked at
MAX_ATTACHMENTS = 1_000  # names
MAX_NAME_TREE_LEVEL = 16
MAX_STRING_CHARACTERS = 1_000  # of a title, name or label; the rest is cut off


class PdfStructure:
    """One PDF as pypdf sees it.

    pypdf raises almost any exception on a damaged file (KeyError, RecursionError, AttributeError
    ...), hence each part is read on its own and every `Exception` there is bad data.
    """

    def __init__(self, data: bytes) -> None:
        self._unreadable: list[str] = []
        self._reader: PdfReader | None = self._part("file", lambda: PdfReader(io.BytesIO(data)))

    def _part(self, name: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception:
            self._unreadable.append(name)
            return None

    def facts(self, pages: int) -> dict[str, Any]:
        """What the PDF says; keys without a value are left out. `pages` is the true page count.

        title, author, subject, keywords, creator, producer: strings; pdf_created, pdf_modified: ISO
        8601 (a time without zone counts as UTC); outline: [{level from 1, title}]; page_labels: one
        per page, when they are not simply 1, 2, 3 ...; form_fields: number of fields that a reader
        can fill in; xfa: True; attachments: names; unreadable: parts that are damaged.
        """
        found: dict[str, Any] = {}
        reader = self._reader
        if reader is not None:
            found.update(self._part("metadata", lambda: _metadata(reader)) or {})
            for key in ("created", "modified"):
                moment = self._part(f"{key} date", lambda key=key: _date(reader, key))  # type: ignore[misc]
                found[f"pdf_{key}"] = moment.isoformat() if moment else None
            found["outline"] = self._part("outline", lambda: _outline(reader))
            found["page_labels"] = self._part("page labels", lambda: _labels(reader, pages))
            found["form_fields"] = self._part("form", lambda: _form_fields(reader))
            found["xfa"] = self._part("form", lambda: _has_xfa(reader))
            found["attachments"] = self._part("attachments", lambda: _attachments(reader))
        found["unreadable"] = sorted(set(self._unreadable))
        return {key: value for key, value in found.items() if value}

    def page_text(self, index: int) -> str:
        """The text of a page as pypdf reads it; empty when it cannot."""
        reader = self._reader
        if reader is None:
            return ""
        return self._part("text", lambda: reader.pages[index].extract_text()) or ""


def _string(value: Any) -> str:
    """A PDF string without what UTF-8 cannot hold or no reader sees."""
    text = str(value).encode("utf-8", "ignore").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[
        :MAX_STRING_CHARACTERS
    ]


def _metadata(reader: PdfReader) -> dict[str, str]:
    given: Any = reader.metadata or {}
    keys = ("/Title", "/Author", "/Subject", "/Keywords", "/Creator", "/Producer")
    return {key[1:].lower(): _string(given[key]) for key in keys if key in given}


def _date(reader: PdfReader, key: str) -> datetime.datetime | None:
    given = reader.metadata
    if given is None:
        return None
    moment = given.creation_date if key == "created" else given.modification_date
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC)


def _dictionary(value: Any) -> DictionaryObject:
    value = value.get_object() if value is not None else None
    return value if isinstance(value, DictionaryObject) else DictionaryObject()


def _array(value: Any) -> ArrayObject:
    value = value.get_object() if value is not None else None
    return value if isinstance(value, ArrayObject) else ArrayObject()


def _outline(reader: PdfReader) -> list[dict[str, Any]]:
    """The outline's items in reading order. Walked by hand: a circle ends the walk, and titles need
    no destination."""
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    outlines = _dictionary(reader.root_object.get("/Outlines"))
    waiting = [(1, outlines.get("/First"))]
    while waiting and len(found) < MAX_OUTLINE_ITEMS:
        level, reference = waiting.pop()
        item = _dictionary(reference)
        if not item or id(item) in seen:
            continue
        seen.add(id(item))
        if title := _string(item.get("/Title", "")):
            found.append({"level": level, "title": title})
        waiting.append((level, item.get("/Next")))
        if level < MAX_OUTLINE_LEVEL:
            waiting.append((level + 1, item.get("/First")))
    return found


def _labels(reader: PdfReader, pages: int) -> list[str] | None:
    if "/PageLabels" not in reader.root_object or pages > MAX_LABELLED_PAGES:
        return None
    labels = [_string(label) for label in reader.page_labels]
    plain = [str(number) for number in range(1, pages + 1)]
    return labels if len(labels) == pages and labels != plain else None


def _form_fields(reader: PdfReader) -> int:
    """Fields of the form but signatures: a signed article is no form."""
    form = _dictionary(reader.root_object.get("/AcroForm"))
    fields = _array(form.get("/Fields"))[:MAX_FIELDS]
    return sum(_dictionary(field).get("/FT") != "/Sig" for field in fields)


def _has_xfa(reader: PdfReader) -> bool:
    return "/XFA" in _dictionary(reader.root_object.get("/AcroForm"))


def _attachments(reader: PdfReader) -> list[str]:
    names = _dictionary(_dictionary(reader.root_object.get("/Names")).get("/EmbeddedFiles"))
    found = [_string(name) for name in _tree_names(names, 0, set())]
    return sorted(found[:MAX_ATTACHMENTS])


def _tree_names(node: DictionaryObject, level: int, seen: set[int]) -> Iterator[str]:
    """The keys of a name tree (PDF 32000-1, 7.9.6); no node twice."""
    if id(node) in seen or level > MAX_NAME_TREE_LEVEL:
        return
    seen.add(id(node))
    yield from _array(node.get("/Names"))[::2]
    for kid in _array(node.get("/Kids")):
        yield from _tree_names(_dictionary(kid), level + 1, seen)
