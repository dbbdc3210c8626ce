import pytest

from transforms.ingest.languages import language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a.py", "Python"),
        ("folder.rs/a.go", "Go"),
        ("a.h", "C"),
        ("a.pl", "Perl"),  # Pygments alone: Prolog
        ("a.fs", "F#"),  # Pygments alone: Forth
        ("a.sql", "SQL"),
        ("src/Makefile", "Makefile"),
        ("CMakeLists.txt", "CMake"),
        (".bashrc", "Bash"),
        ("a.css.j2", "CSS+Django/Jinja"),
        ("a.min.js", "JavaScript"),
        ("a.txt", None),
        ("README", None),
        ("a.png", None),
        ("a.", None),
        ("", None),
        ("a.py/", None),
    ],
)
def test_the_name_tells_the_language(path: str, language: str | None) -> None:
    assert language_of(path) == language
