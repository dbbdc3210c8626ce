import json
from pathlib import Path

import pytest

from benchmarks import corpus as corpus_module
from benchmarks.corpus import Corpus, build_corpus
from benchmarks.inputs import document_files, read_documents, read_items, read_pages, read_truth
from pipelines.demo.planting import similarity

for package in ("django", "gramps", "matplotlib", "spacy"):
    pytest.importorskip(package, reason=f"could not import {package}, part of the corpus")

TEXT_BYTES = 1_000_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return build_corpus(str(tmp_path_factory.mktemp("corpus")), TEXT_BYTES)


@pytest.fixture(scope="module")
def documents(corpus):
    return read_documents(corpus.folder, 10 * TEXT_BYTES)


def content(folder):
    root = Path(folder)
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*.jsonl"))}


def test_the_same_bytes_come_out_twice(corpus, tmp_path):
    again = build_corpus(str(tmp_path), TEXT_BYTES)
    assert again.digest == corpus.digest
    assert content(tmp_path) == content(corpus.folder)


def test_a_corpus_that_is_there_is_not_made_again(corpus, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in Path(corpus.folder).rglob("*.jsonl")}
    assert build_corpus(corpus.folder, TEXT_BYTES) == corpus
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("damaged", [b"", b'{"digest": "ab', b"\xff", b"[]", b"{}"])
def test_a_corpus_whose_report_is_damaged_is_made_anew(tmp_path, monkeypatch, damaged):
    made = Corpus(str(tmp_path), "digest", 1, 1, {}, {}, 0, 0, 0, {})
    monkeypatch.setattr(corpus_module._Builder, "build", lambda builder: made)
    (tmp_path / "corpus.json").write_bytes(damaged)
    assert build_corpus(str(tmp_path), TEXT_BYTES) == made
    monkeypatch.setattr(corpus_module._Builder, "build", None)
    assert build_corpus(str(tmp_path), TEXT_BYTES) == made


def test_a_report_that_could_not_be_written_whole_is_not_there(tmp_path, monkeypatch):
    made = Corpus(str(tmp_path), "digest", 1, 1, {}, {}, 0, 0, 0, {})
    monkeypatch.setattr(corpus_module._Builder, "build", lambda builder: made)

    def half(path: Path, text: str, encoding: str) -> None:
        path.write_bytes(text[: len(text) // 2].encode(encoding))
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(OSError, match="No space left"):
        build_corpus(str(tmp_path), TEXT_BYTES)
    assert not (tmp_path / "corpus.json").exists()


def test_another_seed_gives_another_corpus(corpus, tmp_path):
    assert build_corpus(str(tmp_path), TEXT_BYTES, seed=2).digest != corpus.digest


def test_all_kinds_are_there_in_about_their_shares(corpus):
    assert sum(corpus.documents.values()) > 100
    for kind, share in {"prose": 0.42, "notes": 0.17, "languages": 0.16, "code": 0.25}.items():
        assert corpus.kind_bytes[kind] / TEXT_BYTES == pytest.approx(share, rel=0.6), kind


def test_ids_differ_and_counts_are_true(corpus, documents):
    ids = [one["id"] for one in documents]
    assert len(set(ids)) == len(ids) == sum(corpus.documents.values())
    assert sum(len(one["text"].encode()) for one in documents) == corpus.text_bytes


def test_copies_have_the_similarity_that_is_told(corpus, documents):
    texts = {one["id"]: one["text"] for one in documents}
    copies = read_truth(corpus.folder)["copies"]
    assert len(copies) == corpus.copies > 3
    for one, other, told in copies:
        assert similarity(texts[one], texts[other]) == pytest.approx(told, abs=1e-6)
    assert {told == 1.0 for _, _, told in copies} == {True, False}


def test_contaminated_documents_hold_their_item(corpus, documents):
    texts = {one["id"]: one["text"] for one in documents}
    items = {one["id"]: one for one in read_items(corpus.folder)}
    planted = read_truth(corpus.folder)["contaminated"]
    assert len(planted) == corpus.contaminated > 0
    for document, item, mode in planted:
        assert items[item]["question"] in texts[document]
        assert (items[item]["answer"] in texts[document]) or mode == "question"


def test_pages_are_whole_and_about_a_text(corpus):
    pages = read_pages(corpus.folder, 10 * TEXT_BYTES)
    assert sum(len(page["html"].encode()) for page in pages) == corpus.html_bytes > 0
    for page in pages:
        assert page["html"].startswith("<!DOCTYPE html>")
        assert page["html"].endswith("</html>")
        assert page["main"]


def test_a_slice_is_the_first_documents(corpus, documents):
    few = read_documents(corpus.folder, 100_000)
    assert few == documents[: len(few)]
    assert sum(len(one["text"].encode()) for one in few[:-1]) < 100_000


def test_documents_are_in_dolmas_format(corpus):
    for path in document_files(corpus.folder):
        with open(path, encoding="utf-8") as file:
            for line in file:
                assert json.loads(line).keys() == {"id", "text", "source", "added", "metadata"}
