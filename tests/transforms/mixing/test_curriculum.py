"""Curricula: shares of stages sum to those of the whole, and ends of stages to its tokens."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.mixing.budget import SourceBudget
from transforms.mixing.curriculum import (
    Curriculum,
    CurriculumStage,
    shares_in_stage,
    sources_mixed,
    tokens_by_stage,
)

NAMES = ["code", "math", "web"]
parts = st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any)


@given(st.lists(st.tuples(st.integers(1, 9), parts), min_size=2, max_size=6), st.integers(0, 10**7))
def test_every_stage_has_its_part_to_within_a_token(
    asked: list[tuple[int, list[int]]], tokens: int
) -> None:
    whole = sum(weight for weight, _ in asked)
    curriculum = Curriculum(
        tuple(
            CurriculumStage(
                weight / whole, {n: one / sum(its) for n, one in zip(NAMES, its, strict=True)}
            )
            for weight, its in asked
        )
    )
    shares = curriculum.proportions()
    assert sum(shares.values()) == pytest.approx(1)
    for place, source in enumerate(NAMES):
        exact = [Fraction(weight * its[place], sum(its) * whole) for weight, its in asked]
        assert shares.get(source, 0) == pytest.approx(float(sum(exact)))
        if source in shares:
            ends = (0, *curriculum.ends(source, tokens), tokens)
            assert list(ends) == sorted(ends)
            for number, part in enumerate(exact):
                seen = ends[number + 1] - ends[number]
                assert abs(seen - tokens * float(part / sum(exact))) < 1 + 1e-6 * tokens


@pytest.mark.parametrize(
    ("named", "exclude", "wanted"),
    [
        ({}, (), {"web": 0.6, "code": 0.4, "math": 0}),
        ({"code": 0.7}, (), {"web": 0.3, "code": 0.7, "math": 0}),
        ({"math": 0.5}, (), {"web": 0.3, "code": 0.2, "math": 0.5}),
        ({"math": 0.1, "code": 0.2, "web": 0.7}, (), {"web": 0.7, "code": 0.2, "math": 0.1}),
        ({"math": 0.9, "code": 0.1}, (), {"web": 0, "code": 0.1, "math": 0.9}),
        ({"web": 0}, (), {"web": 0, "code": 1, "math": 0}),
        ({"math": 0.5}, ("web",), {"code": 2 / 7, "math": 5 / 7}),
        ({"code": 1}, ("code",), {"web": 0, "math": 0}),
    ],
)
def test_sources_that_a_stage_does_not_name_share_the_rest(
    named: dict[str, float], exclude: tuple[str, ...], wanted: dict[str, float]
) -> None:
    shares = {"web": 0.6, "code": 0.4}
    names = sources_mixed(shares, [{"share": 0.5}, {"share": 0.5, "shares": {"math": 0.5}}])
    assert names == ["web", "code", "math"]
    assert shares_in_stage(shares, named, names, exclude) == pytest.approx(wanted)


def test_a_stage_holds_what_stands_between_two_ends() -> None:
    def budget(wanted: int, taken: int, *ends: SourceBudget) -> SourceBudget:
        return SourceBudget(9, 90, wanted, 0, 0, taken, 1, 5, stage_ends=ends)

    whole = budget(50, 48, budget(10, 9), budget(30, 26))
    found = [one["web"] for one in tokens_by_stage({"web": whole})]
    assert [(one.wanted_tokens, one.taken_tokens) for one in found] == [(10, 9), (20, 17), (20, 22)]
    assert tokens_by_stage({"web": budget(50, 48)}) == []
    assert SourceBudget.from_json(whole.to_json()) == whole
