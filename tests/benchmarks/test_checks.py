"""Each check passes equal work and fails when one side is made wrong."""

import random

from benchmarks.checks import (
    same_documents,
    same_estimates,
    same_kept,
    same_labels,
    same_marks,
    same_outputs,
    same_planted,
    same_text,
    same_tokens,
    same_verdicts,
)

IDS = [f"d{number}" for number in range(100)]


def test_verdicts():
    ours = {"gopher": {one: number % 3 == 0 for number, one in enumerate(IDS)}}
    kept = ours["gopher"]
    wrong = {one: not value for one, value in kept.items()}
    check = same_verdicts("gopher")
    assert check(ours, {"own words": kept}).ok
    assert not check(ours, {"own words": wrong}).ok
    assert not check(ours, {"own words": {}, "our words": {}}).ok
    # With equal words nearly all verdicts must be equal, whatever the peer's own words give.
    assert check(ours, {"own words": wrong, "our words": kept}).ok
    some = {**kept, **dict.fromkeys(IDS[:10], None)}
    assert not check(ours, {"own words": kept, "our words": some}).ok
    # With a plain reading all must be equal, and the peer's own verdicts must not be nonsense.
    half = {**kept, **{one: wrong[one] for one in IDS[:45]}}
    assert check(ours, {"own words": half, "plain reading": kept}).ok
    assert not check(ours, {"own words": wrong, "plain reading": kept}).ok
    one = {**kept, "d0": not kept["d0"]}
    assert not check(ours, {"own words": kept, "plain reading": one}).ok


def test_marks():
    found = {one: {"kept_lines": number, "lines": 100} for number, one in enumerate(IDS)}
    theirs = {one: {"kept_lines": number, "lines": 99} for number, one in enumerate(IDS)}
    theirs["d0"] = {"kept_lines": 1, "lines": 99}
    check = same_marks("c4 marks")

    def answer(**changed):
        given = {"own words": theirs, "plain reading": found, "their definitions": theirs}
        return given | {name.replace("_", " "): value for name, value in changed.items()}

    # Whatever differs, both readings must explain all of it.
    explained = check({"c4 marks": found}, answer())
    assert explained.ok
    assert explained.sentence.startswith(
        "99.0% of 100 documents with as many lines kept, 0.0% with all marks equal"
    )
    one = {**found, "d0": {"kept_lines": 0, "lines": 99}}
    assert not check({"c4 marks": one}, answer()).ok
    assert not check({"c4 marks": found}, answer(plain_reading=one)).ok
    assert not check({"c4 marks": found}, answer(their_definitions=found)).ok
    nothing = answer(own_words={}, plain_reading={}, their_definitions={})
    assert not check({"c4 marks": found}, nothing).ok


def estimates(seed, bias=0.0, values=286):
    draw = random.Random(seed)
    pairs = []
    for number in range(100):
        true = 0.5 + number / 250
        equal = sum(draw.random() < true for _ in range(values))
        pairs.append([true, equal / values + bias])
    return pairs


def test_estimates():
    good = estimates(1)
    assert same_estimates(good, estimates(2)).ok
    assert not same_estimates(good, estimates(2, bias=0.05)).ok
    assert not same_estimates(estimates(2, bias=-0.05), good).ok
    assert not same_estimates(good, estimates(2, values=40)).ok
    assert not same_estimates([], []).ok


def test_tokens():
    digests = ["a", "b", "c"]
    assert same_tokens(digests, ["a", "b"]).ok
    assert not same_tokens(digests, ["a", "c"]).ok
    assert not same_tokens(["a"], digests).ok
    assert not same_tokens(digests, []).ok


def test_labels():
    ours = {one: ["en", 0.9] for one in IDS}
    assert same_labels(ours, {one: ["en", 0.900005] for one in IDS}).ok
    assert not same_labels(ours, {one: ["de", 0.9] for one in IDS}).ok
    assert not same_labels(ours, {one: ["en", 0.9001] for one in IDS}).ok
    assert not same_labels(ours, {}).ok


def test_duplicates():
    assert same_documents(["a", "b"], ["a", "c"]).ok
    assert not same_documents(["a", "b"], ["a"]).ok
    assert not same_documents([], []).ok


def test_planted_items():
    check = same_planted(["d1", "d2", "other"], IDS)
    assert check(["d1", "d2", "d7", "beyond"], ["d1", "d2"]).ok
    assert not check(["d1"], ["d1", "d2"]).ok
    assert not check(["d1", "d2"], ["d1"]).ok
    assert not check(["d1", "d2"], IDS).ok
    assert not same_planted([], IDS)([], []).ok


def test_text():
    ours = {"page": [0.95, 0.99]}
    assert same_text(ours, {"page": [0.9, 0.95]}).ok
    assert not same_text(ours, {"page": [0.9, 0.5]}).ok
    assert not same_text({"page": [0.3, 1.0]}, ours).ok


def test_outputs_of_one_road_run_in_two_ways():
    ours = {"kept": IDS[:50], "tokens": 5}
    assert same_outputs(ours, {"kept": IDS[49::-1], "tokens": 5}).ok
    assert not same_outputs(ours, {"kept": IDS[:49], "tokens": 5}).ok
    assert not same_outputs(ours, {"kept": IDS[:50], "tokens": 4}).ok
    assert not same_outputs({"kept": [], "tokens": 0}, {"kept": [], "tokens": 0}).ok


def test_fates():
    check = same_kept(IDS)
    ours = {"kept": [*IDS[:50], "beyond"], "tokens": 5}
    assert check(ours, {"kept": IDS[:45], "tokens": 4}).ok
    assert not check(ours, {"kept": IDS[50:], "tokens": 4}).ok
    assert not check(ours, {"kept": IDS[:45], "tokens": 0}).ok
    assert not check({"kept": [], "tokens": 5}, {"kept": [], "tokens": 5}).ok
