import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.token_scan import TokenCounts, scan_tokens

EOS = 9
BOUND = st.integers(-1, 14)


def twin(tokens: list[int], documents: list[tuple[int, int]], vocabulary: int) -> TokenCounts:
    inner = missing = empty = misplaced = covered = reached = 0
    for start, end in documents:
        if not reached <= start <= end <= len(tokens):
            misplaced += 1
            continue
        reached = end
        document = tokens[start:end]
        covered += len(document)
        inner += document[:-1].count(EOS)
        missing += document[-1:] != [EOS]
        empty += all(token == EOS for token in document)
    out_of_range = sum(token >= vocabulary for token in tokens)
    return TokenCounts(out_of_range, inner, missing, empty, misplaced, covered)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 12) | st.just(2**32 - 1), max_size=12),
    st.lists(st.tuples(BOUND, BOUND), max_size=5),
    st.integers(0, 13),
)
def test_equals_plain_python(
    tokens: list[int], documents: list[tuple[int, int]], vocabulary: int
) -> None:
    starts = np.array([start for start, _ in documents], np.int64)
    ends = np.array([end for _, end in documents], np.int64)
    seen = scan_tokens(np.array(tokens, np.uint32), starts, ends, vocabulary, EOS)
    assert seen == twin(tokens, documents, vocabulary)


def test_starts_and_ends_must_pair_up() -> None:
    with pytest.raises(ValueError, match="pair up"):
        scan_tokens(np.zeros(3, np.uint32), np.array([0, 1]), np.array([1]), 10, EOS)
