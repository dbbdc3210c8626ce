import codecs
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from transforms.documents import Document
from transforms.ingest import code
from transforms.ingest.code import (
    CodeReader,
    decode_source,
    is_generated,
    is_minified,
    is_vendored,
)
from transforms.ingest.reader import Rejected
from transforms.storage import list_files

MIT = (
    b"Permission is hereby granted, free of charge, to any person obtaining a copy. The above "
    b"copyright notice and this permission notice shall be included in all copies."
)


def read(*patterns: Path) -> list[Document | Rejected]:
    reader = CodeReader()
    tasks = reader.group(list_files([str(pattern) for pattern in patterns]))
    return [event for task in tasks for event in reader.read(task)]


def zip_of(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def tar_of(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def told(events: list[Document | Rejected]) -> list[tuple[str, str]]:
    return [
        (str(event.metadata["path"]), "") if isinstance(event, Document) else event[:2]
        for event in events
    ]


def test_a_source_file_keeps_every_character(tmp_path: Path) -> None:
    text = "    indented = 1\r\n\tx = '\u2028'\n\n\n  "
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.py").write_bytes(codecs.BOM_UTF8 + text.encode())
    (event,) = read(tmp_path)
    assert isinstance(event, Document)
    assert event.text == text
    assert (event.added, event.created) == (None, None)
    assert event.metadata == {
        "archive": None,
        "repository": "project",
        "path": "project/a.py",
        "language": "Python",
        "license": None,
        "encoding": "utf-8",
        "vendored": False,
        "generated": False,
        "minified": False,
    }


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_members_of_archives_become_documents(tmp_path: Path, pack: object) -> None:
    suffix = "zip" if pack is zip_of else "tar.gz"
    files = [
        ("vine-1.0/src/a.py", b"# SPDX-License-Identifier: ISC\n"),
        ("vine-1.0/vendor/b.js", b"x = 1\n"),
        ("vine-1.0/logo.png", b"\x89PNG"),
        ("vine-1.0/LICENSE", MIT),  # behind the code
    ]
    events = read(pack(tmp_path / f"vine-1.0.{suffix}", files))  # type: ignore[operator]
    first, second, logo, license = events
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert first.metadata["archive"] == f"vine-1.0.{suffix}"
    assert first.metadata["repository"] == "vine-1.0"
    assert first.metadata["path"] == "vine-1.0/src/a.py"
    assert (first.metadata["license"], second.metadata["license"]) == ("ISC", "MIT")
    assert (first.metadata["vendored"], second.metadata["vendored"]) == (False, True)
    for reject in (logo, license):
        assert isinstance(reject, Rejected)
        assert (reject.reason, reject.quarantined) == ("other kind", False)


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_unsafe_names_are_quarantined_and_never_written(tmp_path: Path, pack: object) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    suffix = "zip" if pack is zip_of else "tgz"
    files = [("../evil.py", b"x = 1"), ("/etc/evil.py", b"x = 1"), ("good.py", b"x = 1")]
    events = read(pack(folder / f"a.{suffix}", files))  # type: ignore[operator]
    assert [event.reason for event in events[:2] if isinstance(event, Rejected)] == [
        "unsafe name",
        "unsafe name",
    ]
    assert isinstance(events[2], Document)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"a.{suffix}"]


def test_a_cut_tar_keeps_the_members_before_the_cut(tmp_path: Path) -> None:
    noise = hashlib.shake_128(b"noise").hexdigest(150_000).encode()
    path = tar_of(tmp_path / "a.tar.gz", [("a.py", noise), ("b.py", noise[::-1])])
    path.write_bytes(path.read_bytes()[:-2_000])
    events = read(path)
    assert told(events[:1]) == [("a.py", "")]
    assert isinstance(events[-1], Rejected)
    assert (events[-1].reason, events[-1].quarantined) == ("broken archive", True)


def test_a_member_with_a_wrong_checksum_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.py", "b.py", "c.py"):
            archive.writestr(zipfile.ZipInfo(name), f"name = '{name}'")
    path.write_bytes(path.read_bytes().replace(b"name = 'b.py'", b"name = 'X.py'"))
    assert told(read(path)) == [("a.py", ""), ("a.zip/b.py", "broken archive"), ("c.py", "")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_an_archive_is_two_documents(tmp_path: Path) -> None:
    events = read(zip_of(tmp_path / "a.zip", [("a.py", b"x = 1"), ("a.py", b"x = 1")]))
    assert told(events) == [("a.py", ""), ("a.py#2", "")]
    assert len({event.id for event in events if isinstance(event, Document)}) == 2
    assert all(event.metadata["language"] == "Python" for event in events)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["a.zip", "a.whl", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 broken", b"\x1f\x8b\x08 broken"])
def test_an_unreadable_archive_is_quarantined(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    (event,) = read(tmp_path / name)
    assert isinstance(event, Rejected)
    assert (event.origin, event.reason, event.quarantined) == (name, "broken archive", True)


@pytest.mark.parametrize(
    ("content", "decoded"),
    [
        (b"x", ("x", "utf-8")),
        (b"", ("", "utf-8")),
        ("\tüß".encode(), ("\tüß", "utf-8")),
        (codecs.BOM_UTF16_LE + "é\n".encode("utf-16-le"), ("é\n", "utf-16-le")),
        (codecs.BOM_UTF16_BE + "é\n".encode("utf-16-be"), ("é\n", "utf-16-be")),
        (codecs.BOM_UTF16_LE + b"\0\xd8", "binary"),
        (b"# -*- coding: latin-1 -*-\n\xe9\x81", ("# -*- coding: latin-1 -*-\né\x81", "iso8859-1")),
        (b"#!/x\n# fileencoding=koi8-r\n\xc1", ("#!/x\n# fileencoding=koi8-r\nа", "koi8-r")),
        (b"\n\n# coding: latin-1\n\xe9", "invalid UTF-8"),  # third line
        (b"# coding: utf-8\n\xe9", "invalid UTF-8"),
        (b"# coding: unheard-of\n\xe9", "invalid UTF-8"),
        (b"# coding: rot13\n\xe9", "invalid UTF-8"),
        (b"# coding: unicode_escape\n\xe9", "invalid UTF-8"),
        (b"caf\xe9", "invalid UTF-8"),
        (b"\xed\xa0\x80", "invalid UTF-8"),  # a lone surrogate
        (b"a\0b", "binary"),
        (b"\x01\x02\x03 text", "binary"),
        (b"\x7fELF\x02\x01\x01", "binary"),
    ],
)  # fmt: skip
def test_text_and_encoding_of_source_bytes(content: bytes, decoded: tuple[str, str] | str) -> None:
    assert decode_source(content) == decoded


def test_files_that_are_no_text_are_told_apart(tmp_path: Path) -> None:
    for name, data in {
        "binary.py": b"\0\1\2",
        "blank.py": b" \n\n",
        "empty.py": b"",
        "latin.py": b"caf\xe9",
        "notes.txt": b"text",
    }.items():
        (tmp_path / name).write_bytes(data)
    found = [event for event in read(tmp_path) if isinstance(event, Rejected)]
    assert [(event.origin, event.reason, event.quarantined) for event in found] == [
        ("binary.py", "binary", False),
        ("blank.py", "no text", False),
        ("empty.py", "no text", False),
        ("latin.py", "invalid UTF-8", True),
        ("notes.txt", "other kind", False),
    ]


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_DOCUMENT_BYTES", 10)
    (tmp_path / "a.py").write_bytes(b"x" * 10)
    (tmp_path / "b.py").write_bytes(b"x" * 11)
    zip_of(tmp_path / "c.zip", [("a.py", b"x" * 11), ("b.py", b"x")])
    assert told(read(tmp_path)) == [
        ("a.py", ""),
        ("b.py", "too large"),
        ("c.zip/a.py", "too large"),
        ("b.py", ""),
    ]


def test_a_copy_elsewhere_has_the_same_ids_and_another_place_has_others(tmp_path: Path) -> None:
    for place in ("one", "two/deeper"):
        (tmp_path / place / "x").mkdir(parents=True)
        (tmp_path / place / "a.py").write_text("x = 1\n")
        (tmp_path / place / "x" / "a.py").write_text("x = 1\n")
        zip_of(tmp_path / place / "a.zip", [("a.py", b"x = 1\n")])
    one = read(tmp_path / "one")
    assert one == read(tmp_path / "two/deeper")
    assert len({event.id for event in one if isinstance(event, Document)}) == 3


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("src/a.js", False),
        ("node_modules/x/a.js", True),
        ("x/third_party/a.c", True),
        ("vendor.py", False),
        ("x/vendor", False),
        ("dist/a.js", True),
        ("distance/a.js", False),
    ],
)
def test_vendored_by_folder(path: str, wanted: bool) -> None:
    assert is_vendored(path) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# Generated by the protocol buffer compiler.  DO NOT EDIT!\n", True),
        ("// Code generated by stringer. DO NOT EDIT.\n", True),
        ("/* This file is automatically generated */", True),
        ("# @generated", True),
        ("# Don't edit this file", True),
        ("autogenerated = True", True),
        ("def generate(): ...", False),
        ("# Vines are regenerated by rain", False),
        ("x = 1\n" * 300 + "# DO NOT EDIT", False),
    ],
)
def test_generated_by_the_first_lines(text: str, wanted: bool) -> None:
    assert is_generated(text) is wanted


@pytest.mark.parametrize(
    ("path", "language", "text", "wanted"),
    [
        ("a.min.js", "JavaScript", "x\n", True),
        ("a-min.css", "CSS", "x\n", True),
        ("admin.js", "JavaScript", "x\n", False),
        ("a.js", "JavaScript", "x" * 110, False),
        ("a.js", "JavaScript", "x" * 111, True),
        ("a.css", "CSS", "x" * 230 + "\n", True),
        ("a.py", "Python", "x" * 500, False),
    ],
)
def test_minified_by_name_or_line_length(path: str, language: str, text: str, wanted: bool) -> None:
    assert is_minified(path, language, text) is wanted


def test_no_files_no_tasks() -> None:
    assert CodeReader().group([]) == []
    assert list(CodeReader().read([])) == []
