import numpy as np
import pytest

from transforms.checks.tokens import check_tokens

EOS = 9
CLEAN = {
    "rescan.files": 1,
    "rescan.tokens": 7,
    "rescan.documents": 2,
    "rescan.tokens_out_of_range": 0,
    "rescan.inner_eos": 0,
    "rescan.missing_eos": 0,
    "rescan.empty_documents": 0,
    "rescan.misplaced_documents": 0,
    "rescan.stray_tokens": 0,
}
TOKENS = [1, 2, EOS, 3, 4, 5, EOS]


@pytest.mark.parametrize(
    ("tokens", "starts", "ends", "changed"),
    [
        (TOKENS, [0, 3], [3, 7], {}),
        ([1, 10, EOS, 3, 4, 5, EOS], [0, 3], [3, 7], {"rescan.tokens_out_of_range": 1}),
        ([1, EOS, EOS, 3, 4, 5, EOS], [0, 3], [3, 7], {"rescan.inner_eos": 1}),
        ([1, 2, 3, 3, 4, 5, EOS], [0, 3], [3, 7], {"rescan.missing_eos": 1}),
        (
            [EOS, EOS, EOS, 3, 4, 5, EOS],
            [0, 1],
            [1, 7],
            {"rescan.empty_documents": 1, "rescan.inner_eos": 2},
        ),
        (TOKENS, [0, 3], [3, 8], {"rescan.misplaced_documents": 1, "rescan.stray_tokens": 4}),
        (TOKENS, [0, 0], [3, 3], {"rescan.misplaced_documents": 1, "rescan.stray_tokens": 4}),
        ([1, 2, EOS, 3, 4, EOS, 6], [0, 3], [3, 6], {"rescan.stray_tokens": 1}),
        # An end that is one token off is seen from both sides.
        (TOKENS, [0, 2], [2, 7], {"rescan.missing_eos": 1, "rescan.inner_eos": 1}),
    ],
)
def test_each_defect_is_counted_and_nothing_else(
    tokens: list[int], starts: list[int], ends: list[int], changed: dict[str, int]
) -> None:
    seen = check_tokens(
        np.array(tokens, np.uint32), np.array(starts, np.int64), np.array(ends, np.int64), 10, EOS
    )
    assert seen == CLEAN | changed


def test_a_memory_mapped_file_is_read_as_it_is(tmp_path) -> None:
    path = tmp_path / "part.npy"
    path.write_bytes(np.array(TOKENS, "<u4").tobytes())
    tokens = np.memmap(path, "<u4", mode="r")
    assert check_tokens(tokens, np.array([0, 3]), np.array([3, 7]), 10, EOS) == CLEAN


def test_an_empty_file_has_all_counters() -> None:
    nothing = np.empty(0, np.int64)
    seen = check_tokens(np.empty(0, np.uint32), nothing, nothing, 10, EOS)
    assert seen == dict.fromkeys(CLEAN, 0) | {"rescan.files": 1}
