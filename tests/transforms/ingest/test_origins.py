import pytest

from transforms.documents import document_id
from transforms.ingest.origins import MadeIds, origin_of, printable
from transforms.storage import FileInfo


@pytest.mark.parametrize(
    ("path", "name", "origin"),
    [
        ("/data/a/b.txt", "a/b.txt", "a/b.txt"),
        ("/data/a/b.txt", "", "b.txt"),
        ("s3://bucket/b.txt", "", "b.txt"),
        ("/data/\udcff.txt", "\udcff.txt", "\\udcff.txt"),
    ],
)
def test_an_origin_names_no_machine_and_is_valid_unicode(path: str, name: str, origin: str) -> None:
    assert origin_of(FileInfo(path, 0, name)) == origin


def test_printable_leaves_valid_names_alone() -> None:
    assert printable("naïve/日本.py") == "naïve/日本.py"


def test_a_made_id_comes_again_only_for_the_same_record() -> None:
    made = MadeIds()
    one, other = document_id("a", b"1"), document_id("a", b"2")
    assert [made.again(one), made.again(other), made.again(one)] == [False, False, True]
    assert not MadeIds().again(one)
