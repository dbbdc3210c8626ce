"""What kernels take at most, compiled code's own arrays included, is what their docstrings say:
measured in a process of its own, as the system counts it, on texts that are bad for one of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MEASURE = r"""
import ctypes, json, sys
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # no huge pages: memory is counted by 4 KB
import numpy as np
from transforms.kernels.code_statistics import CommentSyntax, measure_code, syntax_table
from transforms.kernels.cut import Spans, cut_spans, join_spans
from transforms.kernels.deflate import deflated_bytes
from transforms.kernels.fasttext_tokens import find_tokens
from transforms.kernels.hashing import hash_rows
from transforms.kernels.lines import find_lines
from transforms.kernels.minhash import band_keys, signatures
from transforms.kernels.ngram_lookup import build_lookup, count_hits
from transforms.kernels.packing import pack_best_fit
from transforms.kernels.passage_keys import hash_passages
from transforms.kernels.pii import find_pii
from transforms.kernels.shingles import find_shingles
from transforms.kernels.table_lines import measure_tables
from transforms.kernels.token_scan import scan_tokens
from transforms.kernels.winnow import find_anchors
from transforms.kernels.words import find_words

piece = json.loads(sys.argv[1]).encode()
size = 8 << 20
text = (piece * (size // len(piece) + 1))[: size // len(piece) * len(piece)]
def batch(text):
    return np.frombuffer(text * 2, np.uint8), np.array([0, len(text), 2 * len(text), 2 * len(text)])

def status(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) << 10

def taken(run):
    open("/proc/self/clear_refs", "w").write("5")  # the peak so far is forgotten
    before = status("VmRSS")
    result = run()
    return status("VmHWM") - before, result

def runs(data, offsets):
    words, lines, documents = find_words(data, offsets), find_lines(data, offsets), len(offsets) - 1
    syntax = np.zeros(documents, np.int64)
    table = syntax_table([CommentSyntax((b"#",), ((b"/*", b"*/"),))])
    keys = np.unique(words.hashes)[:1000]
    lookup = build_lookup(keys, np.ones(len(keys), np.uint8), 1, np.empty(0, np.uint64), 0)
    starts = np.arange(0, len(data) - 64, 64)
    ends = starts + 64
    spans = Spans(np.array([0, 1, 1, 1]), starts[:1], starts[:1] + len(piece))
    values = signatures(words, 5, 1, 286)
    tokens = np.zeros(len(data) // 4, np.uint32)
    at = np.arange(0, len(tokens), 1000)
    wanted = np.ones(documents, np.bool_)
    n = len(words.hashes)
    yield "signatures", lambda: signatures(words, 5, 1, 286), lambda _: 4 * 288 * documents
    yield "band_keys", lambda: band_keys(values, 26, 11), lambda _: 8 * 26 * documents
    yield "find_shingles", lambda: find_shingles(words, 5), lambda _: 8 * n
    yield "count_hits", lambda: count_hits(words, lookup), lambda _: 12 * documents
    yield "find_pii", lambda: find_pii(data, offsets), lambda it: (
        49 * sum(len(spans.starts) for spans in it)
    )
    yield "measure_code", lambda: measure_code(data, offsets, syntax, table), lambda _: 0
    yield "measure_tables", lambda: measure_tables(data, lines), lambda _: 0
    yield "deflated_bytes", lambda: deflated_bytes(data, offsets), lambda _: 136 << 10
    yield "find_tokens", lambda: find_tokens(data, offsets), lambda it: 17 * len(it.starts)
    yield "hash_rows", lambda: hash_rows(data, offsets), lambda _: 16 * documents
    yield "hash_passages", lambda: hash_passages(starts, ends, words), lambda _: 16 * len(starts)
    yield "find_anchors", lambda: find_anchors(data, offsets, wanted, 500, 64), lambda it: (
        16 * len(it.keys)
    )
    yield "cut_spans", lambda: cut_spans(data, offsets, join_spans([spans])), lambda _: len(data)
    yield "pack_best_fit", lambda: pack_best_fit(at % 500 + 1, 512), lambda _: 64 * len(at)
    yield "scan_tokens", lambda: scan_tokens(tokens, at[:-1], at[1:], 10, 0), lambda _: 0

small = {name: run for name, run, _ in runs(*batch(text[: 1000 // len(piece) * len(piece)]))}
for run in small.values():
    run()  # compiled, and tables made
told = {}
for name, run, most in runs(*batch(text)):
    peak, result = taken(run)
    told[name] = [peak, most(result)]
print(json.dumps(told))
"""
SLACK = 256 << 10  # bytes of pages that are half used, stacks, and Python's own objects
# Memory that is given back is at once the system's again, so none is used twice unseen.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
TEXTS = {
    "one line": "some words and then, ",
    "one word": "x",
    "lines of a character": "x\n",
    "words of a character": "x ",
    "digits and dots": "1.",
    "addresses": "a@b.co ",
    "pipes": "|1|\n",
    "ideographs": "日",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_kernel_takes_what_its_docstring_says(name):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps(TEXTS[name])],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {kernel: its for kernel, its in told.items() if its[0] > its[1] + SLACK} == {}
    assert max(peak for peak, _ in told.values()) > SLACK  # the measure measures
