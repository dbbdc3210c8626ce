"""What stages need is made of their corpus, and comes out the same."""

import json
from pathlib import Path

import pytest

from benchmarks import assets
from benchmarks.corpus import Corpus

pytest.importorskip("fasttext", reason="could not import fasttext, of the extra train")


def corpus_of(folder: Path, digest: str) -> Corpus:
    documents = folder / "documents"
    documents.mkdir(parents=True)
    lines = (
        {"source": "prose" if n % 2 else "notes", "text": f"word{n % 7} and {n}\n"}
        for n in range(200)
    )
    (documents / "0.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return Corpus(str(folder), digest, 1, 1, {}, {}, 0, 0, 0, {})


def test_a_quality_model_is_that_of_its_corpus_and_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "DIMENSIONS", 16)
    monkeypatch.setattr(assets, "BUCKETS", 20_000)
    one, same, other = (
        assets.make_quality_model(corpus_of(tmp_path / str(number), digest))
        for number, digest in enumerate(("aa", "aa", "bb"))
    )
    assert Path(one).name == Path(same).name != Path(other).name
    assert Path(one).read_bytes() == Path(same).read_bytes()


def test_a_model_of_another_corpus_in_the_same_folder_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "fit_model", lambda asked, path: Path(path).write_text("model"))
    corpus = corpus_of(tmp_path, "aa")
    first = assets.make_quality_model(corpus)
    again = assets.make_quality_model(Corpus(**{**vars(corpus), "digest": "bb"}))
    assert first != again
