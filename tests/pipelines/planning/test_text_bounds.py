import bz2
import gzip
import io
import lzma
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines.inputs import InputFile
from pipelines.planning.text_bounds import DEFLATE_RATIO, WIDEST_CHARACTER, most_text_bytes
from transforms.storage import FileInfo

CONTENT = b'{"id": "a", "text": "word word word"}\n' * 10_000


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", content[:1000])
        archive.writestr("b.py", content[1000:])
    return buffer.getvalue()


def in_parquet(content: bytes) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": content.decode().splitlines()}), buffer)
    return buffer.getvalue()


@pytest.fixture
def bound(tmp_path):
    def most(kind: str, enough: int, **files: bytes) -> int:
        inputs = []
        for name, content in files.items():
            path = tmp_path / name.replace("_", ".")
            path.write_bytes(content)
            inputs.append(InputFile(FileInfo(str(path), len(content), path.name), "digest"))
        return most_text_bytes(kind, inputs, enough)

    return most


@pytest.mark.parametrize(
    ("kind", "name", "pack"),
    [
        ("dolma", "a_jsonl", bytes),
        ("dolma", "a_jsonl_gz", gzip.compress),
        ("dolma", "a_jsonl_zst", zstandard.compress),
        ("code", "a_zip", zipped),
        ("code", "a_tar_gz", gzip.compress),
        ("code", "a_tar_bz2", bz2.compress),
        ("code", "a_tar_xz", lzma.compress),
        ("html", "a_html", bytes),
        ("parquet", "a_parquet", in_parquet),
    ],
)
def test_where_it_matters_the_bound_is_what_the_files_hold_decompressed(bound, kind, name, pack):
    widest = WIDEST_CHARACTER if kind in ("code", "html") else 1
    most = bound(kind, 1 << 60, **{name: pack(CONTENT)})
    assert len(CONTENT) - len(CONTENT.splitlines()) <= most <= 1.5 * widest * len(CONTENT)


def test_no_file_is_opened_where_their_sizes_are_enough(bound):
    packed = gzip.compress(CONTENT)
    files = {"a_jsonl_gz": b"\x1f\x8b\x08no gzip", "b_jsonl_gz": packed}
    assert bound("dolma", len(packed), **files) >= len(packed)


def test_counting_ends_where_there_is_enough(bound):
    packed = {f"{n}_jsonl_gz": gzip.compress(CONTENT) for n in "abc"}
    most = bound("dolma", len(CONTENT) + 1, **packed)
    assert len(CONTENT) < most < 3 * len(CONTENT)


@pytest.mark.parametrize("kind", ["warc", "pdf"])
def test_what_holds_compressed_parts_is_bounded_by_deflate(bound, kind):
    assert bound(kind, 1 << 60, a_pdf=b"x" * 100) >= 100 * DEFLATE_RATIO


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("dolma", "a_jsonl_gz", b"\x1f\x8b\x08 no gzip"),
        ("dolma", "a_jsonl_zst", b"\x28\xb5\x2f\xfd no zstd"),
        ("dolma", "a_jsonl_gz", b""),
        ("code", "a_zip", b"no zip"),
        ("code", "a_tar_bz2", b"no bz2"),
        ("code", "a_tar_xz", b"no xz"),
        ("parquet", "a_parquet", b"no parquet"),
    ],
)
def test_a_damaged_file_is_no_error_before_ingest_tells_of_it(bound, kind, name, content):
    assert bound(kind, 1 << 60, **{name: content}) == 0


def test_what_a_cut_file_holds_before_its_end_counts(bound):
    packed = gzip.compress(CONTENT)
    assert bound("dolma", 1 << 60, a_jsonl_gz=packed[: len(packed) // 2]) > 0
