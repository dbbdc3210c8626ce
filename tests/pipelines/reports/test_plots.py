"""Plots: drawn from any budgets and sweeps, the same bytes each time."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pipelines.reports.plots import MOST_DRAWN, draw_funnel, draw_quality, draw_shares, draw_sweep
from transforms.mixing.budget import SourceBudget
from transforms.mixing.cells import Cell, GradedBudget
from transforms.mixing.partition import Partition
from transforms.mixing.upsampling import solve_curve


def graded(topics=("art", "law"), steps=((0, 1),)):
    partition = Partition(topics, tuple((0.25, 0.5) for _ in topics), steps)
    edges = np.array([0, 0.25, 0.5, 1.0])
    cells = tuple(
        Cell(place, 1.0, SourceBudget(4, 100, 50 * place.number, 0, 0, 50 * place.number, 2))
        for place in partition.places()
    )
    return GradedBudget(
        8, 100 * len(cells), 99, 0, 0, 99, 4, partition=partition, cells=cells,
        curves={topic: solve_curve(0.5, edges, 1, 3.0) for topic in topics},
    )  # fmt: skip


@pytest.mark.parametrize(
    "budget", [graded(), graded(("",)), graded(steps=((0, 1), (2, 0), (3, 2)))]
)
def test_quality_is_drawn_for_every_source_and_topic(budget):
    content = draw_quality({"web": budget, "pdf": budget})
    ET.fromstring(content)
    text = content.decode()
    assert "web: 99 of" in text
    assert "pdf: 99 of" in text
    for topic in budget.partition.topics:
        assert (topic or "taken") in text
    assert draw_quality({"web": budget, "pdf": budget}) == content


def test_a_sweep_is_drawn_with_what_is_not_known():
    lines = {"web": [10, None, 30], "code": [5, 5, 5]}
    wanted = {"web": [25, 25, 25], "code": [9, 9, None]}
    content = draw_sweep("gopher.words.min", ["1", "2", "3"], lines, wanted)
    ET.fromstring(content)
    for part in ("gopher.words.min", "web", "code", "wanted by the mix"):
        assert part in content.decode()
    assert content.decode().count("stroke-dasharray") >= 3  # one of each source, and in the legend
    assert draw_sweep("k", ["1"], {"web": [1]}, {"web": [2]}, "png").startswith(b"\x89PNG")


def text_of(content):
    ET.fromstring(content)
    return content.decode()


def test_shares_are_drawn_for_every_source():
    shares = {"web": (0.9, 0.2, 0.21), "code": (0.1, 0.8, 0.79)}
    text = text_of(draw_shares(shares))
    for part in ("web", "code", "21.0 %", "90.0 %", "79.0 %", "asked"):
        assert part in text
    assert draw_shares(shares).decode() == text


@pytest.mark.parametrize("sources", [0, 1, 2, 5])
def test_what_each_stage_leaves_is_drawn_for_every_source(sources):
    left = {
        f"source-{n}": [("input", 12_345), ("filter", n), ("select", 0)] for n in range(sources)
    }
    text = text_of(draw_funnel(left))
    for name in left:
        assert name in text
    assert text.count("12,345") == sources
    assert draw_funnel(left).decode() == text


def test_of_many_sources_the_largest_are_drawn_and_it_is_said():
    many = {f"source-{n:03d}": n for n in range(100)}
    left = {name: [("input", n)] for name, n in many.items()}
    shares = {name: (0.01, 0.01, n / 4950) for name, n in many.items()}
    for text in (text_of(draw_funnel(left)), text_of(draw_shares(shares))):
        assert f"the {MOST_DRAWN} largest of 100 sources" in text
        assert "source-099" in text
        assert "source-010" not in text
