import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.ingest.page_text import complaint, measure

ENGLISH = (
    "The package maintenance system is unique and particularly robust. It was developed by an "
    "association of individuals who have made common cause to create a free operating system. "
)
GERMAN = (
    "Die Donaudampfschifffahrtsgesellschaft und die Bundesverfassungsgerichtsentscheidung sind "
    "lange Wörter, die in deutschen Texten vorkommen und doch richtig geschrieben sind. Über "
    "die Länge längerer Abschnitte hinweg überwiegen die kurzen Wörter bei weitem, wie "
    "man hier sieht, und das gilt für Bücher, Zeitungen und Briefe aus jedem Jahrhundert "
    "ebenso wie für Handbücher. "
)
CZECH = "Strč prst skrz krk. Vlk zmrzl, zhltl hrst zrn. Příliš žluťoučký kůň úpěl ďábelské ódy. "
RUSSIAN = "Система управления пакетами уникальна и особенно надёжна, её развивает сообщество. "
CHINESE = "软件包维护系统独特而且特别健壮它由一个为了共同事业而创建自由操作系统的个人协会开发" * 4
THAI = "ระบบการจัดการแพ็กเกจมีลักษณะเฉพาะและแข็งแกร่งเป็นพิเศษพัฒนาโดยสมาคมของบุคคล" * 4
CONTENTS = "1 Introduction . . . . . . . . . . . . . . . . . . . . . . 3\n" * 20
NUMBERS = "1,024.50 17 99 3,4 12.0 | 88 | 0.001\n" * 20
SHIFTED = ENGLISH.translate({c: chr(c - 29) for c in range(ord("A"), ord("z") + 1)})


@pytest.mark.parametrize(
    "text", [ENGLISH, GERMAN, CZECH, RUSSIAN, CHINESE, THAI, CONTENTS, NUMBERS, "7", "Chapter 1"]
)
def test_text_of_any_language_or_kind_is_believed(text: str) -> None:
    assert complaint(measure(text)) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "no text"),
        (" \n\t\r\n", "no text"),
        (ENGLISH.replace(" ", ""), "lost blanks"),
        (" ".join(ENGLISH.replace(" ", "")), "letters apart"),
        ("\ufffd\ufffd\ufffd ab \ufffd", "characters without meaning"),
        ("\ue001\ue002\ue003\ue004 \ue005", "characters without meaning"),
        ("\x01\x02\x03 \x04", "characters without meaning"),
        (SHIFTED, "wrong letters"),
        ("!$ %& /( )= ?* +# " * 20, "hardly any letters"),
    ],
)
def test_each_known_lie_of_a_text_layer_is_named(text: str, wanted: str) -> None:
    assert complaint(measure(text)) == wanted


def test_a_few_lost_blanks_or_odd_characters_do_not_cost_a_page() -> None:
    assert complaint(measure(ENGLISH * 3 + "thisisawordthatlostallofitsblanks")) is None
    assert complaint(measure(ENGLISH * 3 + "\uf0b7 \uf0b7")) is None


def test_counts_are_of_code_points() -> None:
    found = measure("Él 𝔸b\u00ad \ufffd, x 12")
    assert (found.visible, found.odd, found.alphanumeric) == (9, 1, 7)
    assert (found.words, found.letters, found.single_words) == (3, 5, 1)
    assert (found.latin, found.vowels) == (4, 1)


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_measured(text: str) -> None:
    found = measure(text)
    assert 0 <= found.odd + found.alphanumeric <= found.visible <= len(text)
    assert found.single_words <= found.words
    assert found.long_letters <= found.letters
