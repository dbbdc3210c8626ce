"""Identity: the sum tells documents, tokens and copies apart, and not their order or split."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.mixing.identity import document_digests, hash_tokens, sum_digests

DOCUMENTS = st.lists(
    st.tuples(st.text(max_size=8), st.lists(st.integers(0, 2**32 - 1), max_size=6)),
    min_size=1,
    max_size=8,
)


def digest_of(documents, copies=None, gap=0):
    """`gap`: tokens between documents, which belong to none."""
    tokens, starts, ends = [], [], []
    for _, its in documents:
        starts.append(len(tokens))
        tokens += its
        ends.append(len(tokens))
        tokens += [9] * gap
    hashes = hash_tokens(np.array(tokens, np.uint32), np.array(starts, int), np.array(ends, int))
    ids = pa.array([name for name, _ in documents], pa.large_string())
    times = np.ones(len(documents), np.uint32) if copies is None else np.array(copies, np.uint32)
    return sum_digests(document_digests(ids, hashes), times)


@given(DOCUMENTS, st.integers(0, 8))
def test_order_split_and_gaps_do_not_matter(documents, cut):
    whole = digest_of(documents)
    assert digest_of(documents[::-1], gap=1) == whole
    parts = [part for part in (documents[:cut], documents[cut:]) if part]
    assert sum(map(digest_of, parts)) % 2**64 == whole


@given(DOCUMENTS)
def test_copies_are_documents_that_stand_more_often(documents):
    assert digest_of(documents, [2] * len(documents)) == digest_of(documents * 2)
    assert digest_of(documents, [0] * len(documents)) == 0


def test_another_id_length_or_token_is_another_digest():
    base = [("a", [1, 2]), ("b", [3])]
    others = [
        [("a", [3]), ("b", [1, 2])],
        [("a", [2, 1]), ("b", [3])],
        [("a", [1, 2]), ("c", [3])],
        [("a", [1, 2]), ("b", [3, 0])],
        [("a", [1, 2]), ("a", [1, 2])],
        [("a", [1, 2])],
    ]
    assert len({digest_of(one) for one in [base, *others]}) == 7
