"""Two places are compared as far as both documents and the windows reach, and no further."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.common_passages import Places, compare_places


def one_by_one(text, first, second, least, most, apart, size):
    """The plain twin: windows are tried one after the other."""
    (i, i_left, i_right), (j, j_left, j_right) = first, second
    left = 0
    while left < min(most, i_left, j_left) and text[i - left - 1] == text[j - left - 1]:
        left += 1
    right = 0
    while right < min(size - least, i_right, j_right) and text[i + right] == text[j + right]:
        right += 1
    before = text[j - left - 1] if left < min(most, j_left) else -1
    behind = text[j + right] if right < min(size - least, j_right) else -1
    covered = set()
    for lead in range(least, most + 1):
        fits = min(i_left, j_left) >= lead and min(i_right, j_right) >= size - lead
        if fits and text[i - lead : i - lead + size] == text[j - lead : j - lead + size]:
            start = -lead if not 0 < apart < size else max(-lead, size - lead - apart)
            covered |= set(range(start, size - lead))
    span = (min(covered), max(covered) + 1) if covered else (0, 0)
    assert covered == set(range(*span))
    return left, right, before, behind, span


@st.composite
def pairs(draw):
    texts = draw(
        st.lists(st.text(st.sampled_from("aabé"), min_size=1, max_size=30), min_size=1, max_size=2)
    )
    encoded = [one.encode() for one in texts]
    whole = b"".join(encoded)
    starts = [0, len(encoded[0])]
    numbers = sorted(draw(st.integers(0, len(texts) - 1)) for _ in range(2))
    at = [starts[n] + draw(st.integers(0, len(encoded[n]) - 1)) for n in numbers]
    if numbers[0] == numbers[1]:
        at.sort()
    places = [
        (a, a - starts[n], starts[n] + len(encoded[n]) - a)
        for a, n in zip(at, numbers, strict=True)
    ]
    apart = at[1] - at[0] if numbers[0] == numbers[1] else 0
    size = draw(st.integers(1, 12))
    least = draw(st.integers(0, size - 1))
    return whole, places, least, draw(st.integers(least, size - 1)), apart, size


@settings(max_examples=500, deadline=None)
@given(pairs())
def test_it_agrees_with_trying_each_window(case):
    text, (first, second), least, most, apart, size = case
    column = lambda *values: np.array(values, np.int64)  # noqa: E731
    seen = compare_places(
        np.frombuffer(text, np.uint8),
        Places(*(column(value) for value in first)),
        Places(*(column(value) for value in second)),
        column(least),
        column(most),
        column(apart),
        size,
    )
    left, right, before, behind, (start, end) = one_by_one(
        text, first, second, least, most, apart, size
    )
    assert (seen.left[0], seen.right[0]) == (left, right)
    assert (seen.before[0], seen.behind[0]) == (before, behind)
    assert (seen.start[0], seen.end[0]) == (start, end)
    if end > start:
        at, stop = second[0] + start, second[0] + second[2]
        edges = [k for k in range(len(text) + 1) if k == len(text) or text[k] & 0xC0 != 0x80]
        assert at + seen.head[0] == min(k for k in edges if k >= min(at, stop))
        tail = second[0] + end
        assert tail - seen.tail[0] == max(k for k in edges if k <= tail)
