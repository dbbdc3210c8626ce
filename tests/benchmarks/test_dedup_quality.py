"""Near duplicates on a planted corpus: what is found, what is removed, and how that is counted."""

from itertools import combinations

import numpy as np
import pytest

from benchmarks.dedup_quality import BINS, Pairs, measure, plant_copies, true_pairs
from benchmarks.dedup_tools import TOOLS, Removed
from benchmarks.inputs import word_shingles
from transforms.dedup.minhash import BANDS, ROWS

TEXT_BYTES = 1_500_000


@pytest.fixture(scope="module")
def planted():
    texts = plant_copies(TEXT_BYTES, seed=7)
    return texts, true_pairs(texts)


def test_planted_similarities_spread_over_all_bins(planted):
    _, pairs = planted
    counts, _ = np.histogram(pairs.similarity, BINS)
    assert (counts >= 5).all(), counts


def test_the_join_finds_all_pairs_with_their_similarity(planted):
    texts = planted[0][:40]
    sets = [set(word_shingles(text)) for text in texts]
    expected = {
        (a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        for a, b in combinations(range(len(texts)), 2)
    }
    seen = true_pairs(texts, 0.3)
    found = dict(zip(map(tuple, seen.ends.tolist()), seen.similarity.tolist(), strict=True))
    assert found == pytest.approx({pair: s for pair, s in expected.items() if s >= 0.3})
    assert found


@pytest.mark.parametrize("seed", [7, 8])
def test_recall_is_0_995_and_precision_0_99_at_the_default(planted, seed):
    texts = planted[0] if seed == 7 else plant_copies(TEXT_BYTES, seed)
    pairs = planted[1] if seed == 7 else true_pairs(texts)
    quality = measure(texts, pairs, TOOLS["vineleaf"](texts, BANDS, ROWS))
    assert (pairs.similarity >= 0.8).sum() > 60
    assert quality.removed > 50
    assert quality.recall >= 0.995
    assert quality.precision >= 0.99
    assert quality.to_survivor is not None
    assert quality.to_survivor >= 0.99


def test_pairs_count_as_found_when_one_of_them_is_removed():
    ends = np.array([(0, 1), (2, 3), (4, 5), (0, 6)])
    pairs = Pairs(ends, np.array([0.95, 0.8, 0.55, 0.99]))
    survivor = np.array([0, 0, 2, 3, 4, 4, 6])
    texts = ["a b", "b a", "c", "d", "e", "e", "f"]
    quality = measure(texts, pairs, Removed(survivor != np.arange(7), survivor))
    assert (quality.removed, quality.recall) == (2, pytest.approx(1 / 3))
    assert (quality.precision, quality.to_survivor) == (0.5, 0.5)
    found = dict(zip(BINS, quality.found, strict=False))
    assert found == {
        0.5: 1.0, 0.6: None, 0.7: None, 0.75: None, 0.8: 0.0, 0.85: None, 0.9: None, 0.95: 0.5
    }  # fmt: skip


@pytest.mark.parametrize("tool", ["rensa", "datasketch"])
def test_peers_keep_the_first_of_what_hangs_together(tool):
    one = " ".join(f"w{k}" for k in range(300))
    texts = ["", one, "other words than those", one + " more", one, ""]
    done = TOOLS[tool](texts, 26, 11)
    assert done.removed.tolist() == [False, False, False, True, True, False]
    assert done.survivor is not None
    assert done.survivor.tolist() == [0, 1, 2, 1, 1, 5]
