"""Parts that are remembered are shared under another name, unless they are no longer what they
were."""

import pytest

from pipelines.mixing.reuse import Written, remember_parts, reuse_parts
from transforms import storage
from transforms.datasets import Dataset, OutputFile


@pytest.fixture
def remembered(folder):
    """A mix of two files that is remembered, and one that may share them."""
    old = Dataset(f"{folder}/old", "f1")
    files = []
    for path, content in (
        ("tokens/web/part-003-00000.npy", b"1234"),
        ("mds/web/part-003-00000.mds", b"x"),
    ):
        storage.write_bytes(old.path(path), content)
        digest, size_bytes = storage.sha256_of(old.path(path))
        files.append(OutputFile(path, size_bytes, digest, rows=7))
    remember_parts(f"{folder}/memory", "k", old, "003", Written(files, {"tokens": 1}))
    return f"{folder}/memory", old, Dataset(f"{folder}/new", "f2")


def test_parts_are_shared_under_the_name_they_have_now(remembered):
    memory, _, new = remembered
    found = reuse_parts(memory, "k", new, "012")
    assert found is not None
    assert [file.path for file in found.files] == [
        "tokens/web/part-012-00000.npy", "mds/web/part-012-00000.mds",
    ]  # fmt: skip
    assert [file.rows for file in found.files] == [7, 7]
    assert found.counts == {"tokens": 1}
    assert storage.read_bytes(new.path("tokens/web/part-012-00000.npy")) == b"1234"


@pytest.mark.parametrize("change", [b"1235", b"123", None])
def test_nothing_is_shared_of_parts_that_have_changed(remembered, change):
    memory, old, new = remembered
    path = old.path("tokens/web/part-003-00000.npy")
    storage.delete([path])
    if change is not None:
        storage.write_bytes(path, change)
    assert reuse_parts(memory, "k", new, "012") is None
    assert not storage.exists(new.path("mds/web/part-012-00000.mds"))


def test_parts_that_nobody_wrote_are_not_shared(remembered):
    memory, _, new = remembered
    assert reuse_parts(memory, "other", new, "012") is None
    storage.write_bytes(f"{memory}/k.json", b"{broken")
    assert reuse_parts(memory, "k", new, "012") is None
