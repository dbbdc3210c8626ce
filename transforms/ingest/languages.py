"""Programming languages by file name, from the table of Pygments' lexers.

In: a file's name. Out: the language's name as Pygments spells it, or None. The content is not
looked at. Where several languages claim a suffix and Pygments' choice is the rarer one, a table
here decides.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import cache, lru_cache

from pygments.lexers import find_lexer_class_for_filename, get_all_lexers

__all__ = ["language_of"]

_MEANT = {  # suffix -> language that most files of this suffix are in
    ".fs": "F#",
    ".pl": "Perl",
    ".pm": "Perl",
    ".t": "Perl",
    ".inc": "PHP",
    ".s": "GAS",
    ".S": "GAS",
    ".sql": "SQL",
}
_NO_LANGUAGE = ("Text only", "Text output")
_SUFFIX = re.compile(r"\*\.[\w+-]+")  # the plain patterns: *.py


@cache
def _whole_names() -> re.Pattern[str]:
    """Names for which more than the last suffix counts: Makefile, *.css.j2 ..."""
    patterns = [pattern for _, _, names, _ in get_all_lexers(plugins=False) for pattern in names]
    return re.compile("|".join(translate(one) for one in patterns if not _SUFFIX.fullmatch(one)))


@lru_cache(maxsize=1 << 14)
def _look_up(name: str) -> str | None:
    found = find_lexer_class_for_filename(name)
    return None if found is None or found.name in _NO_LANGUAGE else str(found.name)


def language_of(path: str) -> str | None:
    """The language of a file by its name; None where the name tells none or it is plain text."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    if dot and stem and dot + suffix in _MEANT:
        return _MEANT[dot + suffix]
    if _whole_names().match(name):
        return _look_up(name)
    return _look_up(f"x.{suffix}") if dot else None
