"""Scanning a batch: what is read plainly stands in the place of the text that hides it."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.decontamination.benchmarks import Item
from transforms.decontamination.index import IndexParameters, build_index
from transforms.decontamination.readings import plain_texts, scan_texts
from transforms.documents import text_buffers
from transforms.kernels.ngram_lookup import count_hits
from transforms.kernels.words import find_words

LOOKUP = build_index([Item("b", "1", "question", "a b c d", True)], IndexParameters(ngram=4)).lookup
PIECES = ["a b c d", "a <i>b</i> c&nbsp;d", "a b", "c d", "<b>", "é 漢 ", "\n", "other words "]
texts = st.lists(st.lists(st.sampled_from(PIECES), max_size=5).map("".join), min_size=1, max_size=6)


@settings(deadline=None)
@given(texts)
def test_a_batch_is_scanned_as_if_hidden_texts_stood_there_in_their_plain_reading(
    documents: list[str],
) -> None:
    shown = []
    read_otherwise = plain_texts([one.encode() for one in documents])
    for number, text in enumerate(documents):
        plain = read_otherwise.get(number)
        as_it_stands, _ = count_hits(find_words(*_buffers([text.encode()])), LOOKUP)
        hidden = plain is not None and not as_it_stands.any()
        read, _ = count_hits(find_words(*_buffers([plain or b""])), LOOKUP)
        shown.append(plain if hidden and plain is not None and read.any() else text.encode())
    scan = scan_texts(LOOKUP, *text_buffers(pa.array(documents, pa.large_string())))
    data, offsets = _buffers(shown)
    words = find_words(data, offsets)
    hits, runs = count_hits(words, LOOKUP)
    assert scan.data.tobytes() == data.tobytes()
    for ours, wanted in zip((*scan.words, scan.hits, scan.runs), (*words, hits, runs), strict=True):
        assert ours.dtype == wanted.dtype
        assert ours.tolist() == wanted.tolist()


def _buffers(encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    return text_buffers(pa.array(encoded, pa.large_binary()))
