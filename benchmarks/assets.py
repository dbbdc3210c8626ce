"""What stages need besides texts, made from packages and the corpus once and kept beside it.

cl100k_base          the ranks that bpe-openai carries, under the name of tiktoken's cache
cl100k.json          the same vocabulary as a tokenizer.json, merges found from the ranks
quality-<digest>.bin a fastText model of 100 dimensions and word bigrams: manuals or not; it lies
                     with the corpus that it was trained on, whose digest it is named by
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from importlib.metadata import distribution
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.inputs import read_documents
from pipelines.train_classifier import fit_model

__all__ = ["CL100K_PATTERN", "RANKS_NAME", "make_quality_model", "make_ranks", "make_tokenizer"]

RANKS_NAME = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"  # of cl100k_base in tiktoken's cache
CL100K_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
EOS = "<|endoftext|>"
EOS_ID = 100257
TRAINING_BYTES = 4_000_000  # of text, for the quality model
DIMENSIONS = 100
BUCKETS = 2_000_000  # rows for bigrams, fastText's default: the matrix has 800 MB


def make_ranks(folder: str) -> str:
    """The rank file of cl100k_base in `folder`, which can be TIKTOKEN_CACHE_DIR; gives its path."""
    path = os.path.join(folder, RANKS_NAME)
    if not os.path.exists(path):
        packed = distribution("bpe-openai").locate_file("bpe_openai/data/cl100k_base.tiktoken.gz")
        _write(path, gzip.decompress(Path(str(packed)).read_bytes()))
    return path


def make_tokenizer(folder: str) -> str:
    """cl100k_base as a tokenizer.json in `folder`; gives its path."""
    path = os.path.join(folder, "cl100k.json")
    if os.path.exists(path):
        return path
    ranks: dict[bytes, int] = {}
    for line in Path(make_ranks(folder)).read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    letters = _byte_letters()
    spelled = {token: "".join(letters[byte] for byte in token) for token in ranks}
    merges = [[spelled[part] for part in _parts(token, ranks)] for token in ranks if len(token) > 1]
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": EOS_ID, "content": EOS, "special": True, "normalized": False}
            | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": CL100K_PATTERN},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {
                    "type": "ByteLevel",
                    "add_prefix_space": False,
                    "trim_offsets": True,
                    "use_regex": False,
                },
            ],
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": {spelled[token]: rank for token, rank in ranks.items()},
            "merges": merges,
        },
    }
    _write(path, json.dumps(content).encode())
    return path


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in a byte-level vocabulary (GPT-2)."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    letters, others = [], 0
    for byte in range(256):
        letters.append(chr(byte if byte in shown else 256 + others))
        others += byte not in shown
    return letters


def _parts(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens that are merged last when a token is made: those of lower rank alone."""
    parts = [token[place : place + 1] for place in range(len(token))]
    while len(parts) > 2:
        joined = [
            (ranks.get(parts[place] + parts[place + 1], len(ranks)), place)
            for place in range(len(parts) - 1)
        ]
        _, place = min(joined)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def make_quality_model(corpus: Corpus) -> str:
    """A fastText classifier trained on the first documents of the corpus, in its folder and named
    by its digest; gives its path. TrainingError where fastText cannot train."""
    path = os.path.join(corpus.folder, f"quality-{corpus.digest[:16]}.bin")
    if os.path.exists(path):
        return path
    lines = os.path.join(corpus.folder, "training.txt")
    with open(lines, "w", encoding="utf-8") as file:
        for document in read_documents(corpus.folder, TRAINING_BYTES):
            label = "hq" if document["source"] == "prose" else "cc"
            file.write(f"__label__{label} {' '.join(document['text'].split())}\n")
    asked = {"input": lines, "dim": DIMENSIONS, "wordNgrams": 2, "bucket": BUCKETS, "epoch": 3}
    fit_model(asked, f"{path}.new")
    os.replace(f"{path}.new", path)
    return path


def _write(path: str, content: bytes) -> None:
    Path(f"{path}.new").write_bytes(content)
    os.replace(f"{path}.new", path)
