import json
from pathlib import Path

import pytest

from transforms.tokens import loading
from transforms.tokens.loading import describe_tokenizer, load_tokenizer
from transforms.tokens.specification import TokenizerError, TokenizerSpec
from transforms.tokens.training import train_bpe


@pytest.fixture
def trained(tmp_path) -> Path:
    path = tmp_path / "tokenizer.json"
    train_bpe(["a first text", "another text"], 260, str(path))
    return path


def test_what_is_told_of_a_tokenizer_is_what_loading_it_tells(trained, tmp_path):
    spec = TokenizerSpec(str(trained))
    loaded = load_tokenizer(spec)
    for _ in range(2):  # loaded, then remembered
        told = describe_tokenizer(spec, str(tmp_path / "memory"))
        assert told[:4] == (
            loaded.identity.fingerprint,
            loaded.identity.vocabulary_size,
            loaded.identity.eos,
            loaded.identity.pad,
        )
        assert told.notice == loaded.notice


def test_a_file_that_was_described_is_not_loaded_again(trained, tmp_path, monkeypatch):
    spec = TokenizerSpec(str(trained))
    first = describe_tokenizer(spec, str(tmp_path / "memory"))
    monkeypatch.setattr(loading, "load_tokenizer", None)
    assert describe_tokenizer(spec, str(tmp_path / "memory")) == first
    moved = trained.rename(tmp_path / "elsewhere.json")
    assert describe_tokenizer(TokenizerSpec(str(moved)), str(tmp_path / "memory")) == first


def test_a_file_that_changed_is_described_anew(trained, tmp_path):
    memory = str(tmp_path / "memory")
    first = describe_tokenizer(TokenizerSpec(str(trained)), memory)
    train_bpe(["quite another text", "and one more of it"], 262, str(trained))
    loading._load.cache_clear()
    assert describe_tokenizer(TokenizerSpec(str(trained)), memory) != first


def test_other_words_of_the_recipe_are_described_anew(trained, tmp_path):
    memory = str(tmp_path / "memory")
    first = describe_tokenizer(TokenizerSpec(str(trained)), memory)
    other = describe_tokenizer(TokenizerSpec(str(trained), eos="<|pad|>"), memory)
    assert (first.eos, other.eos) == (0, 1)


@pytest.mark.parametrize("content", ["", "{", '{"fingerprint": 1}', "[]"])
def test_a_damaged_memory_is_written_anew(trained, tmp_path, content):
    spec, memory = TokenizerSpec(str(trained)), tmp_path / "memory"
    first = describe_tokenizer(spec, str(memory))
    (remembered,) = memory.glob("*.json")
    good = json.loads(remembered.read_text())
    remembered.write_text(content)
    assert describe_tokenizer(spec, str(memory)) == first
    assert json.loads(remembered.read_text()) == good


def test_a_tokenizer_that_changed_since_is_refused(trained):
    with pytest.raises(TokenizerError, match="has changed since this run began"):
        load_tokenizer(TokenizerSpec(str(trained)), "another fingerprint")


def test_an_encoding_of_tiktoken_is_loaded_once(tmp_path, monkeypatch):
    """It has no file of its own: its name and tiktoken's version tell it."""
    loads = []

    def load(spec):
        loads.append(spec)
        return load_tokenizer(TokenizerSpec(str(tmp_path / "tokenizer.json")))

    train_bpe(["a first text", "another text"], 260, str(tmp_path / "tokenizer.json"))
    monkeypatch.setattr(loading, "load_tokenizer", load)
    memory = str(tmp_path / "memory")
    for name in ("cl100k_base", "o200k_base", "cl100k_base"):
        describe_tokenizer(TokenizerSpec(name), memory)
    assert [spec.name for spec in loads] == ["cl100k_base", "o200k_base"]
