import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from transforms.ingest.archive import Member, archive_stem, is_archive, members
from transforms.ingest.reader import Rejected

LIMIT = 1000


def zipped(*files: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tarred(*files: tuple[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read(name: str, data: bytes) -> list[Member | Rejected]:
    return list(members(name, io.BytesIO(data), LIMIT))


PACKERS = [("a.zip", zipped), ("a.tar.gz", tarred)]


@pytest.mark.parametrize(("name", "pack"), PACKERS)
def test_members_come_in_order_and_folders_are_passed_over(name: str, pack: object) -> None:
    data = pack(("b.pdf", b"1"), ("folder/a.pdf", b"2"), ("empty", b""))  # type: ignore[operator]
    wanted = [Member("b.pdf", b"1"), Member("folder/a.pdf", b"2"), Member("empty", b"")]
    assert read(name, data) == wanted


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("name", "pack"), PACKERS)
def test_a_name_that_comes_again_takes_no_place(name: str, pack: object) -> None:
    data = pack(("x", b"1"), ("x", b"2"))  # type: ignore[operator]
    assert read(name, data) == [Member("x", b"1"), Member("x#2", b"2")]


@pytest.mark.parametrize(("name", "pack"), PACKERS)
@pytest.mark.parametrize("bad", ["../x", "/etc/x", "a/../../x", "C:\\x", "..\\x", "a/.."])
def test_unsafe_names_are_refused_and_the_rest_is_read(name: str, pack: object, bad: str) -> None:
    data = pack((bad, b"1"), ("good", b"2"))  # type: ignore[operator]
    refused, good = read(name, data)
    assert good == Member("good", b"2")
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.quarantined) == ("unsafe name", True)


@pytest.mark.parametrize(("name", "pack"), PACKERS)
def test_the_limit_is_inclusive_and_a_bomb_costs_no_more(name: str, pack: object) -> None:
    data = pack(("bomb", bytes(10 << 20)), ("fits", bytes(LIMIT)))  # type: ignore[operator]
    refused, good = read(name, data)
    assert isinstance(refused, Rejected)
    assert refused.reason == "too large"
    assert good == Member("fits", bytes(LIMIT))


def test_links_and_devices_are_refused() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (refused,) = read("a.tar", out.getvalue())
    assert isinstance(refused, Rejected)
    assert refused.reason == "link or device"


@pytest.mark.parametrize("cut", [0, 5, 40, -20])
@pytest.mark.parametrize(("name", "pack"), PACKERS)
def test_a_cut_archive_ends_in_a_reject(name: str, pack: object, cut: int) -> None:
    data = pack(*((str(n), bytes([n]) * 900) for n in range(50)))[:cut]  # type: ignore[operator]
    last = read(name, data)[-1]
    assert isinstance(last, Rejected)
    assert (last.reason, last.quarantined) == ("broken archive", True)


def test_a_damaged_zip_member_costs_itself_alone() -> None:
    data = bytearray(zipped(("bad", b"x" * 500), ("good", b"2")))
    data[33] ^= 0xFF  # its compressed data begin here, after a header of 30 bytes and the name
    refused, good = read("a.zip", bytes(data))
    assert isinstance(refused, Rejected)
    assert refused.reason == "broken archive"
    assert good == Member("good", b"2")


def test_archives_are_known_by_their_names() -> None:
    assert [n for n in ("a.zip", "A.TGZ", "a.tar.xz", "a.pdf", "zip", "a.gz") if is_archive(n)] == [
        "a.zip",
        "A.TGZ",
        "a.tar.xz",
    ]


def test_a_wheel_is_a_zip() -> None:
    assert is_archive("a-1.0-py3-none-any.whl")
    assert read("a.whl", zipped(("a.py", b"1"))) == [Member("a.py", b"1")]


@pytest.mark.parametrize(
    ("name", "stem"),
    [("x/a-1.0.tar.gz", "a-1.0"), ("a.tar", "a"), ("A.ZIP", "A"), ("a.tar.zip", "a.tar")],
)
def test_the_stem_of_an_archive(name: str, stem: str) -> None:
    assert archive_stem(name) == stem


def test_a_link_in_a_zip_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link.py")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    (refused,) = read("a.zip", out.getvalue())
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.quarantined) == ("link or device", True)


@pytest.mark.parametrize(("name", "pack"), PACKERS)
def test_what_is_not_wanted_is_not_read(name: str, pack: object) -> None:
    data = pack(("bomb", bytes(10 << 20)), ("b.py", b"1"))  # type: ignore[operator]
    skipped, taken = members(name, io.BytesIO(data), LIMIT, lambda path: path.endswith(".py"))
    assert skipped == Rejected(f"{name}/bomb", "other kind", "by its name", False)
    assert taken == Member("b.py", b"1")


FIVE = [(f"d/m{n}.py", b"%d" % n * 100) for n in range(5)]


def in_file(folder: Path, data: bytes) -> list[Member | Rejected]:
    """Read from a true file, whose errors differ from those of bytes in memory."""
    (folder / "a").write_bytes(data)
    with (folder / "a").open("rb") as stream:
        return list(members("a.zip", stream, LIMIT))


def test_no_flipped_bit_of_a_zip_directory_loses_a_member_in_silence(tmp_path: Path) -> None:
    data = zipped(*FIVE)
    for at in range(data.find(b"PK\1\2"), len(data)):
        for bit in (0x01, 0x80) if at % 3 else (0x01, 0x04, 0x20, 0x80):
            bad = bytearray(data)
            bad[at] ^= bit
            events = in_file(tmp_path, bytes(bad))
            refused = [event for event in events if isinstance(event, Rejected)]
            assert refused or len(events) == len(FIVE), (at, bit)


def test_an_offset_before_the_start_of_a_zip_is_damage(tmp_path: Path) -> None:
    bad = bytearray(zipped(*FIVE))
    bad[-6:-2] = (int.from_bytes(bad[-6:-2], "little") + 600).to_bytes(4, "little")
    events = in_file(tmp_path, bytes(bad))
    assert {event.reason for event in events if isinstance(event, Rejected)} == {"broken archive"}


def test_a_zip_that_lists_fewer_members_than_it_says_is_told_once() -> None:
    bad = bytearray(zipped(*FIVE))
    bad[-12:-10] = (6).to_bytes(2, "little")
    first, *others = read("a.zip", bytes(bad))
    detail = "its end record says 6 members, its directory lists 5"
    assert first == Rejected("a.zip", "broken archive", detail, True)
    assert others == [Member(*one) for one in FIVE]


def test_members_are_counted_by_the_64_bit_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 4)  # from 5 on zipfile writes that record
    data = bytearray(zipped(*FIVE))
    record = data.rfind(b"PK\6\6")
    data[-12:-10] = b"\xff\xff"  # as other writers do: the number is there alone
    assert read("a.zip", bytes(data)) == [Member(*one) for one in FIVE]
    data[record + 32] ^= 1
    refused, *others = read("a.zip", bytes(data))
    assert isinstance(refused, Rejected)
    assert others == [Member(*one) for one in FIVE]


def test_a_zip_with_a_comment_is_whole() -> None:
    out = io.BytesIO(zipped(*FIVE))
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"x" * 65_535
    assert read("a.zip", out.getvalue()) == [Member(*one) for one in FIVE]


def test_a_folder_of_a_zip_that_holds_bytes_is_told() -> None:
    refused, good = read("a.zip", zipped(("empty/", b""), ("a.py/", b"x = 1"), ("b", b"2")))
    assert refused == Rejected("a.zip/a.py/", "broken archive", "a folder that holds bytes", True)
    assert good == Member("b", b"2")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("member", range(5))
def test_a_damaged_header_of_any_tar_member_is_told(member: int, mode: str) -> None:
    data = bytearray(tarred(*FIVE, mode="w"))
    data[member * 1024 + 3] ^= 1  # a block of header, a block of data
    packed = gzip.compress(bytes(data)) if mode == "w:gz" else bytes(data)
    *whole, last = read("a.tar", packed)
    assert whole == [Member(*one) for one in FIVE[:member]]
    assert isinstance(last, Rejected)
    assert (last.reason, last.quarantined) == ("broken archive", True)


def test_what_stands_behind_the_end_of_a_tar_is_told() -> None:
    *whole, last = read("a.tar", tarred(*FIVE, mode="w") + tarred(*FIVE, mode="w"))
    assert whole == [Member(*one) for one in FIVE]
    assert isinstance(last, Rejected)
    assert last.reason == "broken archive"


def test_a_tar_may_end_in_any_number_of_zero_blocks() -> None:
    data = tarred(*FIVE, mode="w")
    for end in (5 * 1024 + 512, 5 * 1024 + 1024, len(data)):
        assert read("a.tar", data[:end]) == [Member(*one) for one in FIVE]
    assert read("a.tar", data + bytes(100_000)) == [Member(*one) for one in FIVE]
