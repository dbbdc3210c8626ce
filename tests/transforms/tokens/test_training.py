"""Training: the same texts give the same bytes, and the kernel takes what comes out."""

import subprocess
import sys
from pathlib import Path

import pytest

from transforms.tokens.loading import load_tokenizer
from transforms.tokens.specification import TokenizerSpec
from transforms.tokens.training import train_bpe

ROOT = Path(__file__).resolve().parents[3]
TRAIN = """
import argparse, inspect, pydoc, sys
from transforms.tokens.training import train_bpe
texts = (open(module.__file__).read() for module in (argparse, inspect, pydoc))
train_bpe(texts, 1000, sys.argv[1])
"""


def test_two_trainings_in_different_processes_give_equal_bytes(tmp_path):
    trained = []
    for attempt, cores in enumerate(("1", "2")):
        path = tmp_path / f"{attempt}.json"
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONHASHSEED": str(attempt),
            "RAYON_NUM_THREADS": cores,
        }
        subprocess.run(
            [sys.executable, "-c", TRAIN, str(path)], check=True, cwd=ROOT, env=environment
        )
        trained.append(path.read_bytes())
    assert trained[0] == trained[1]


def test_the_vocabulary_has_the_size_that_was_asked_and_its_special_tokens_first(tmp_path):
    path = str(tmp_path / "tokenizer.json")
    train_bpe(iter([train_bpe.__doc__, Path(__file__).read_text()]), 280, path)
    tokenizer = load_tokenizer(TokenizerSpec(path))
    assert tokenizer.kernel
    assert (tokenizer.identity.vocabulary_size, tokenizer.identity.eos, tokenizer.identity.pad) == (
        280,
        0,
        1,
    )


def test_few_texts_give_the_bytes_alone(tmp_path):
    path = str(tmp_path / "tokenizer.json")
    train_bpe(iter([]), 500, path)
    assert load_tokenizer(TokenizerSpec(path)).identity.vocabulary_size == 258
    assert [one.name for one in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_vocabulary_without_room_for_the_bytes_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must be at least 258 \(got 257\)"):
        train_bpe(iter([]), 257, str(tmp_path / "tokenizer.json"))
