"""Batches for tests of quality rules: texts between others, so that offsets do not start at 0."""

import ast
import sysconfig
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from transforms.documents import SCHEMA, DocumentBatch

AROUND = ["#! before\n- x...", "after, the end.\n"]


def _batch(texts, metadata=None):
    metadata = metadata or [{}] * len(texts)
    before, after = AROUND
    columns = {
        "id": [str(row) for row in range(len(texts) + 2)],
        "text": [before, *texts, after],
        "source": ["web"] * (len(texts) + 2),
        "added": [None] * (len(texts) + 2),
        "created": [None] * (len(texts) + 2),
        "metadata": [orjson.dumps(one).decode() for one in ({}, *metadata, {})],
    }
    return DocumentBatch(pa.RecordBatch.from_pydict(columns, SCHEMA).slice(1, len(texts)))


@pytest.fixture(scope="session")
def make_batch():
    """make_batch(texts, metadata=None): a slice of a record batch that holds more."""
    return _batch


@pytest.fixture(scope="session")
def corpus():
    """Some hundred texts that every Python has: sources and docstrings of its library."""
    texts = []
    for name in ("argparse", "email/message", "json/decoder", "logging/__init__", "statistics"):
        source = (Path(sysconfig.get_path("stdlib")) / f"{name}.py").read_text("utf-8")
        tree, lines = ast.parse(source), source.split("\n")
        texts.append(ast.get_docstring(tree) or "")
        for node in ast.walk(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                texts.append("\n".join(lines[node.lineno - 1 : node.end_lineno]))
                texts.append(ast.get_docstring(node) or "")
    return [text for text in texts if text.strip()]
