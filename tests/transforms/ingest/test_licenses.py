import pytest

from transforms.ingest.licenses import (
    is_license_file,
    license_of_file,
    license_of_path,
    license_of_text,
)

REDISTRIBUTION = (
    "Redistribution and use in source and binary forms, with or without modification ... "
    "Redistributions in binary form must reproduce the above copyright notice ..."
)


@pytest.mark.parametrize(
    ("text", "license"),
    [
        ("# SPDX-License-Identifier: MIT\n", "MIT"),
        ("/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */", None),
        ("// SPDX-License-Identifier: Apache-2.0 OR MIT", "Apache-2.0 OR MIT"),
        ("<!-- SPDX-License-Identifier: BSD-3-Clause -->", "BSD-3-Clause"),
        ("x" * 4_096 + "SPDX-License-Identifier: MIT", None),
        ("# Licensed under MIT", None),
        ("", None),
    ],
)
def test_a_file_states_its_licence_by_spdx(text: str, license: str | None) -> None:
    if "Linux-syscall-note" in text:
        license = "GPL-2.0-only WITH Linux-syscall-note"
    assert license_of_file(text) == license


@pytest.mark.parametrize(
    ("text", "license"),
    [
        ("                 Apache License\n           Version 2.0, January 2004", "Apache-2.0"),
        ("GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991", "GPL-2.0"),
        ("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007", "GPL-3.0"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007", "LGPL-3.0"),
        ("Mozilla Public License Version 2.0\n====", "MPL-2.0"),
        (REDISTRIBUTION, "BSD-2-Clause"),
        (REDISTRIBUTION + " used to endorse or promote products derived", "BSD-3-Clause"),
        (
            "Permission is hereby granted, free of charge, to any person\nobtaining a copy ... The "
            "above copyright notice and this permission notice shall be included in all copies",
            "MIT",
        ),
        ("Permission is hereby granted, free of charge, to any person obtaining a copy", None),
        ("All rights reserved.", None),
        ("", None),
    ],
)
def test_well_known_texts_are_recognised_and_nothing_is_guessed(
    text: str, license: str | None
) -> None:
    assert license_of_text(text.encode()) == license
    assert license_of_text(b"\xff\xfe" + text.upper().encode()) == license


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("LICENSE", True),
        ("a/licence.txt", True),
        ("COPYING.md", True),
        ("UNLICENSE", True),
        ("LICENSE-MIT", False),
        ("license.py", False),
        ("LICENSE/a", False),
    ],
)
def test_licence_files_by_name(path: str, wanted: bool) -> None:
    assert is_license_file(path) is wanted


@pytest.mark.parametrize(
    ("path", "license"),
    [
        ("a.py", "MIT"),
        ("x/a.py", "MIT"),
        ("sub/a.py", "ISC"),
        ("sub/deep/a.py", "ISC"),
        ("other/a.py", None),  # has a licence file of its own that is not known
        ("subway/a.py", "MIT"),
    ],
)
def test_the_nearest_licence_file_counts(path: str, license: str | None) -> None:
    assert license_of_path(path, {"": "MIT", "sub": "ISC", "other": None}) == license


def test_without_a_licence_file_there_is_none() -> None:
    assert license_of_path("a/b.py", {}) is None
    assert license_of_path("a/b.py", {"c": "MIT"}) is None
