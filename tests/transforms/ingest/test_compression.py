import gzip
import io
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from transforms.ingest.compression import (
    BrokenStream,
    blames_data,
    find_gzip_member,
    gzip_blocks,
    lines,
    read_blocks,
)

PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, zstandard.compress, bytes]
PACKED = [gzip.compress, zstandard.compress]


def content(data: bytes, name: str = "x") -> bytes:
    return b"".join(read_blocks(io.BytesIO(data), name))


def partial(data: bytes) -> tuple[bytes, BrokenStream]:
    got: list[bytes] = []
    with pytest.raises(BrokenStream) as raised:
        got.extend(read_blocks(io.BytesIO(data), "x"))  # keeps what came before the error
    return b"".join(got), raised.value


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("parts", [[b""], [b"a"], [b"a\n", b"b\n"], [b"x" * 3_000_000, b"", b"y"]])
def test_all_members_and_frames_are_read(
    pack: Callable[[bytes], bytes], parts: list[bytes]
) -> None:
    assert content(b"".join(map(pack, parts))) == b"".join(parts)


def test_zero_padding_between_and_after_gzip_members_is_no_content() -> None:
    data = gzip.compress(b"a") + bytes(70_000) + gzip.compress(b"b") + bytes(5)
    assert content(data) == b"ab"


def test_a_skippable_zstd_frame_is_passed_over() -> None:
    assert content(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(b"text")) == b"text"


@pytest.mark.parametrize("pack", PACKED)
def test_a_cut_file_gives_what_is_before_the_cut_and_then_an_error(
    pack: Callable[[bytes], bytes],
) -> None:
    whole = bytes(range(256)) * 20
    got, error = partial(pack(whole) + pack(whole)[:-1])
    assert error.reason == "truncated file"
    assert got.startswith(whole)
    assert (whole + whole).startswith(got)


@pytest.mark.parametrize("pack", PACKED)
def test_every_cut_is_noticed(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(b"some text\n" * 50)
    for size in range(5, len(packed)):
        assert partial(packed[:size])[1].reason == "truncated file"


def test_a_wrong_checksum_is_broken_compression_at_its_member() -> None:
    first, second = gzip.compress(b"first"), bytearray(gzip.compress(b"second"))
    second[-6] ^= 1
    got, error = partial(first + bytes(second))
    assert got.startswith(b"first")
    assert (error.reason, error.member) == ("broken compression", len(first))


def test_garbage_after_the_magic_is_broken_compression() -> None:
    assert partial(b"\x28\xb5\x2f\xfdgarbage garbage")[1].reason == "broken compression"
    assert partial(b"\x1f\x8b\x08\xffgarbage" * 9)[1].reason == "broken compression"


@pytest.mark.parametrize(("name", "broken"), [("a.gz", True), ("a.zst", True), ("a.jsonl", False)])
def test_an_empty_file_is_truncated_where_its_name_promises_compression(
    name: str, broken: bool
) -> None:
    if broken:
        with pytest.raises(BrokenStream):
            content(b"", name)
    else:
        assert content(b"", name) == b""


def test_a_bomb_comes_in_bounded_blocks() -> None:
    bomb = gzip.compress(bytes(50 << 20))
    assert max(len(block) for block in gzip_blocks(io.BytesIO(bomb))) <= 1 << 20


@given(st.lists(st.binary(max_size=9)), st.integers(0, 12))
def test_a_gzip_member_is_found_wherever_it_lies(before: list[bytes], skip: int) -> None:
    noise = b"".join(before) + b"\x1f\x8b\x08 no member" + b"x" * skip
    other, wanted = gzip.compress(b"else"), gzip.compress(b"WARC/1.0 and more")
    data = noise + other + wanted
    assert find_gzip_member(io.BytesIO(data), -1, b"WARC/") == len(noise) + len(other)
    assert find_gzip_member(io.BytesIO(data), len(noise + other), b"WARC/") is None


def test_a_gzip_member_is_found_across_read_windows() -> None:
    for shift in range(4):
        noise = b"." * ((1 << 20) - shift)
        data = noise + gzip.compress(b"WARC/1.0")
        assert find_gzip_member(io.BytesIO(data), -1, b"WARC/") == len(noise)


@given(st.lists(st.binary(max_size=12)), st.integers(0, 8))
def test_lines_are_those_of_the_joined_blocks(blocks: list[bytes], most: int) -> None:
    whole = b"".join(blocks)
    wanted = whole.split(b"\n")
    if not wanted[-1]:
        wanted.pop()
    got = list(lines(iter(blocks), most))
    assert got == [line if len(line) <= most else None for line in wanted]


def test_errors_of_the_machine_are_not_blamed_on_the_data() -> None:
    assert blames_data(OSError("cannot decode"))
    assert not blames_data(OSError(28, "No space left on device"))
    assert not blames_data(FileNotFoundError(2, "No such file"))
