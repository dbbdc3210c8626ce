"""How far the text layer of a PDF page is to be believed, measured without a dictionary.

In: the text of one page as an engine read it. Out: counts (`measure`) and what is wrong with it
(`complaint`). A text layer lies in known ways: blanks between words are lost (XeTeX read by some
engines), every letter stands alone, glyphs have no Unicode value (private use, U+FFFD, controls),
or have wrong ones (a shifted alphabet, which has hardly any vowels where vowels belong).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["PageMeasure", "complaint", "measure"]

MAX_ODD_SHARE = 0.05  # odd characters per visible character, at most
MIN_ALPHANUMERIC_SHARE = 0.25  # letters and digits per visible character, at least
LONG_WORD = 28  # letters; longer words hardly exist where words are set off by blanks
MAX_LONG_SHARE = 0.25  # letters in long words per letter, at most
MAX_SINGLE_SHARE = 0.6  # words of one letter per word, at most
MIN_VOWEL_SHARE = 0.2  # vowels and y per Latin letter; natural languages have 0.3 to 0.5
MAX_VOWEL_SHARE = 0.75
MIN_WORDS = 20  # shares of fewer words say nothing
MIN_LETTERS = 100  # shares of fewer letters say nothing

_WORD = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
_LEADERS = re.compile(r"(?:[._\u2026\u00b7-] ?){4,}")  # of a table of contents or a form
_LATIN = re.compile(r"[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\ufb00-\ufb06]+")
_VOWELS = "aeiouy\u00e6\u00f8\u0153\u0131"
_ODD = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufff9-\uffff"
    r"\U000f0000-\U0010ffff]"
)
# Scripts written without blanks between words: Thai to Myanmar, Khmer, kana, Han.
_UNSPACED = re.compile(
    r"[\u0e00-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class PageMeasure:
    """Counts of one page's text; characters are code points."""

    visible: int  # characters that are no white space
    odd: int  # of these: U+FFFD, private use, controls, surrogates, noncharacters
    alphanumeric: int  # of these: letters and digits
    letters: int  # letters of scripts that set words off by blanks
    words: int  # words that hold such a letter
    long_letters: int  # letters in words of more than LONG_WORD letters
    single_words: int  # words of one letter
    latin: int  # Latin letters
    vowels: int  # of these: vowels, accents ignored


def measure(text: str) -> PageMeasure:
    """Count what `complaint` judges. Soft hyphens and dot leaders do not count."""
    text = _LEADERS.sub(" ", text.replace("\u00ad", ""))
    squeezed = "".join(text.split())
    found = [word for word in _WORD.findall(text) if not word.isdecimal()]
    if _UNSPACED.search(text):
        found = [word for word in found if not _UNSPACED.search(word)]
    lengths = [len(word) for word in found]
    latin = "".join(_LATIN.findall(text))
    plain = (latin if latin.isascii() else unicodedata.normalize("NFKD", latin)).lower()
    return PageMeasure(
        visible=len(squeezed),
        odd=len(_ODD.findall(squeezed)),
        alphanumeric=sum(map(str.isalnum, squeezed)),
        letters=sum(lengths),
        words=len(lengths),
        long_letters=sum(length for length in lengths if length > LONG_WORD),
        single_words=lengths.count(1),
        latin=len(latin),
        vowels=sum(map(plain.count, _VOWELS)),
    )


def complaint(measured: PageMeasure) -> str | None:
    """Why the text is not to be believed, in a few words; None when it is usable.

    A page with no visible character has "no text". Shares are judged only on enough words or
    letters, so a short page (a title, a caption) is believed.
    """
    if measured.visible == 0:
        return "no text"
    if measured.odd > MAX_ODD_SHARE * measured.visible:
        return "characters without meaning"
    if (
        measured.visible >= MIN_LETTERS
        and measured.alphanumeric < MIN_ALPHANUMERIC_SHARE * measured.visible
    ):
        return "hardly any letters"
    if (
        measured.letters >= MIN_LETTERS
        and measured.long_letters > MAX_LONG_SHARE * measured.letters
    ):
        return "lost blanks"
    if measured.words >= MIN_WORDS and measured.single_words > MAX_SINGLE_SHARE * measured.words:
        return "letters apart"
    if measured.latin >= MIN_LETTERS:
        share = measured.vowels / measured.latin
        if not MIN_VOWEL_SHARE <= share <= MAX_VOWEL_SHARE:
            return "wrong letters"
    return None
