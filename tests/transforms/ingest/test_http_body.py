import gzip
import zlib
from functools import partial

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from transforms.ingest.http_body import Body, decode_body

# Of no time: parameters' ids must be the same in every process.
compress = partial(gzip.compress, mtime=0)

LIMIT = 1 << 20
TEXT = b"".join(b"<p>Row %d of the vineyard.</p>" % row for row in range(3_000))
BARE = zlib.compress(TEXT)[2:-4]
BROTLI = bytes.fromhex("0b028068656c6c6f03")  # "hello", as the encoder of RFC 7932 stores it


def chunked(content: bytes, size: int, extension: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(one), extension, one) for one in parts) + end


@given(
    st.binary(max_size=300),
    st.integers(1, 100),
    st.sampled_from([b"", b"  ", b";a", b";a=1", b' ; q="x;y"']),
    st.sampled_from([b"0\r\n\r\n", b"0;last\r\n\r\n", b"000\r\nTrailer: x\r\n\r\n"]),
)
def test_chunks_are_joined(content: bytes, size: int, extension: bytes, end: bytes) -> None:
    assert decode_body(chunked(content, size, extension, end), ["chunked"], LIMIT) == Body(content)


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50), st.data())
def test_every_cut_of_chunks_is_a_fault_and_keeps_what_was_there(
    content: bytes, size: int, data: st.DataObject
) -> None:
    body = chunked(content, size)
    at = data.draw(st.integers(len(b"%x\r\n" % min(size, len(content))), len(body) - 5))
    found = decode_body(body[:at], ["chunked"], LIMIT)
    assert found.fault
    assert content.startswith(found.content)


@pytest.mark.parametrize("size", [b"ffffffff", b"0" * 40 + b"FFFFFFFF", b"f" * 16, b"f" * 99])
def test_an_enormous_chunk_is_a_fault(size: bytes) -> None:
    body = chunked(TEXT[:90], 90, end=size + b"\r\nrest")
    found = decode_body(body, ["chunked"], LIMIT)
    assert found.fault
    assert found.content[:90] == TEXT[:90]


@pytest.mark.parametrize("size", [b"ZZZ", b"-1", b"0x5a", b"12G", b"q;a=1", b"F" * 16, b"9" * 200])
def test_a_first_chunk_of_a_size_that_cannot_be_is_a_fault(size: bytes) -> None:
    found = decode_body(size + b"\r\n" + TEXT + b"\r\n0\r\n\r\n", ["chunked"], LIMIT)
    assert found == Body(b"", f"chunked: no chunk size at byte 0 of {len(TEXT) + len(size) + 9}")


@pytest.mark.parametrize("first", [b"", b"<!doctype html>", b"Hello there", b"\xef\xbb\xbf<p>"])
def test_a_page_that_is_stored_without_its_chunks_is_kept(first: bytes) -> None:
    page = first + b"\r\n" + TEXT
    assert decode_body(page, ["chunked"], LIMIT) == Body(page)


@pytest.mark.parametrize(
    ("body", "codings"),
    [
        (compress(TEXT), ["gzip"]),
        (compress(TEXT), ["x-gzip"]),
        (compress(TEXT), [" GZIP "]),
        (compress(TEXT[:100]) + compress(TEXT[100:]), ["gzip"]),
        (compress(TEXT) + b"garbage", ["gzip"]),
        (compress(compress(TEXT)), ["gzip", "gzip"]),
        (zlib.compress(TEXT), ["deflate"]),
        (BARE, ["deflate"]),
        (zstandard.compress(TEXT), ["zstd"]),
        (chunked(compress(TEXT), 999), ["gzip", "chunked"]),
        (TEXT, []),
        (TEXT, ["identity", ""]),
    ],
)
def test_codings_are_undone(body: bytes, codings: list[str]) -> None:
    assert decode_body(body, codings, LIMIT) == Body(TEXT)
    assert decode_body(body, codings, 1_000).content == TEXT[:1_000]


def test_brotli_is_undone() -> None:
    assert decode_body(BROTLI, ["br"], LIMIT) == Body(b"hello")
    assert decode_body(BROTLI[:-2], ["br"], LIMIT).fault


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "chunked", "none-such"])
def test_text_that_is_stored_decoded_is_left_as_it_is(coding: str) -> None:
    assert decode_body(TEXT, [coding], LIMIT) == Body(TEXT)
    assert decode_body(b"", [coding], LIMIT) == Body(b"")


def test_a_stale_coding_does_not_stop_the_next_one() -> None:
    assert decode_body(compress(TEXT), ["gzip", "chunked"], LIMIT) == Body(TEXT)


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (compress(TEXT), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (BARE, "deflate"),
        (zstandard.compress(TEXT), "zstd"),
    ],
)
@pytest.mark.parametrize("cut", [1, 40, 400])
def test_cut_compression_is_a_fault(body: bytes, coding: str, cut: int) -> None:
    found = decode_body(body[:-cut], [coding], LIMIT)
    assert found.fault
    assert TEXT.startswith(found.content)


def test_a_wrong_checksum_is_a_fault() -> None:
    body = bytearray(compress(TEXT))
    body[-6] ^= 1
    assert decode_body(bytes(body), ["gzip"], LIMIT).fault


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "chunked", "none-such"])
def test_what_is_neither_encoded_nor_text_is_a_fault(coding: str) -> None:
    found = decode_body(b"\0\1\2\3" * 100, [coding], LIMIT)
    assert found.fault
    assert not found.content


@given(
    st.binary(max_size=300),
    st.lists(st.sampled_from(["gzip", "deflate", "br", "zstd", "chunked", "x", ""]), max_size=3),
)
def test_any_bytes_are_read_within_the_limit(body: bytes, codings: list[str]) -> None:
    assert len(decode_body(body, codings, 50).content) <= 50
