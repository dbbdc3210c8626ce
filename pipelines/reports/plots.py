"""Plots of a plan and of a mix: how often text is taken by its quality, what a sweep would change,
what share each source has, and what each stage leaves of it.

In: budgets, the outlooks of a sweep, or counts. Out: SVG or PNG, the same bytes for the same
numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from transforms.mixing.cells import GradedBudget

__all__ = ["draw_funnel", "draw_quality", "draw_shares", "draw_sweep"]

GREEN, GREY = "#2f6b4f", "#b8b8b8"
LINES = ("#2f6b4f", "#c46a1b", "#39608f", "#8a3f6b", "#7c7a2d", "#555555")  # told apart
MOST_NAMED = 8  # topics that a legend lists
MOST_DRAWN = 24  # sources of a plot: the largest
BAR_INCHES = 0.17  # height that a bar takes
_LABEL: Any = {"textcoords": "offset points", "va": "center", "fontsize": 7}
_SETTINGS: Any = {"svg.hashsalt": "vineleaf", "font.size": 8, "svg.fonttype": "none"}


def draw_quality(budgets: Mapping[str, GradedBudget], kind: str = "svg") -> bytes:
    """For each source and topic its curve, and as steps what is taken of each bin: epochs over the
    quantile of quality, by tokens. `kind`: svg or png."""
    with _figure(len(budgets), 2.6, kind) as (figure, sink):
        for number, (source, budget) in enumerate(sorted(budgets.items()), 1):
            axes = figure.add_subplot(len(budgets), 1, number)
            topics = budget.partition.topics
            for index, topic in enumerate(topics):
                edges, epochs = _steps(budget, topic)
                colour = LINES[index % len(LINES)]
                label = (topic or "no topic") if len(topics) > 1 else "taken"
                axes.stairs(epochs, edges, color=colour, label=label, linewidth=1.2)
                curve = (budget.curves or {}).get(topic)
                if curve is not None:
                    x = np.linspace(curve.discard, 1, 200)
                    axes.plot(x, curve.at(x), color=colour, linewidth=0.6, linestyle=":")
            axes.set_xlim(0, 1)
            axes.set_ylim(bottom=0)
            axes.set_ylabel("epochs")
            axes.set_title(
                f"{source}: {budget.taken_tokens:,} of {budget.available_tokens:,} tokens",
                loc="left",
            )
            axes.spines[["top", "right"]].set_visible(False)
            if len(topics) <= MOST_NAMED:
                axes.legend(frameon=False, loc="upper left")
        axes.set_xlabel("quantile of quality, by tokens; dotted: the curve; steps: bins as taken")
    return sink.getvalue()


def _steps(budget: GradedBudget, topic: str) -> tuple[np.ndarray[Any, Any], list[float]]:
    """Edges of a topic's bins in quantiles, and how often what stands there once is taken."""
    there: dict[int, int] = {}
    taken: dict[int, int] = {}
    for cell in budget.cells:
        if cell.place.topic == topic:
            size = cell.budget.available_tokens * cell.place.times
            there[cell.place.number] = there.get(cell.place.number, 0) + size
            its = taken.get(cell.place.number, 0)
            taken[cell.place.number] = its + cell.budget.taken_tokens
    sizes = np.array([there[number] for number in sorted(there)], np.float64)
    edges = np.concatenate([[0.0], np.cumsum(sizes) / max(sizes.sum(), 1.0)])
    return edges, [taken[n] / there[n] if there[n] else 0.0 for n in sorted(there)]


def draw_sweep(
    key: str,
    values: Sequence[str],
    there: Mapping[str, Sequence[float | None]],
    wanted: Mapping[str, Sequence[float | None]],
    kind: str = "svg",
) -> bytes:
    """Tokens that there would be of each source, and those that the mix wants of it, dashed in the
    same colour, over the values of a key."""
    with _figure(1, 3.4, kind) as (figure, sink):
        axes = figure.add_subplot(1, 1, 1)
        places = range(len(values))
        for index, (name, tokens) in enumerate(there.items()):
            colour = LINES[index % len(LINES)]
            axes.plot(places, _known(tokens), color=colour, marker="o", markersize=3, label=name)
            axes.plot(places, _known(wanted[name]), color=colour, linestyle="--", linewidth=1)
        axes.plot([], [], color=GREY, linestyle="--", linewidth=1, label="wanted by the mix")
        axes.set_xticks(list(places), list(values))
        axes.set_xlabel(key)
        axes.set_ylabel("tokens that there would be")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        if len(there) <= MOST_NAMED:
            axes.legend(frameon=False)
    return sink.getvalue()


def _known(values: Sequence[float | None]) -> list[float]:
    return [np.nan if one is None else one for one in values]


def draw_shares(shares: Mapping[str, tuple[float, float, float]], kind: str = "svg") -> bytes:
    """For each source its share of the tokens that there are, that the recipe asks for, and that
    the mix holds, each of 0..1."""
    names = _largest({name: its[2] for name, its in shares.items()})
    with _figure(1, 0.9 + 3.6 * BAR_INCHES * len(names), kind) as (figure, sink):
        axes = figure.add_subplot(1, 1, 1)
        places = np.arange(len(names), dtype=np.float64)
        pool, asked, held = (np.array([shares[name][k] for name in names]) * 100 for k in range(3))
        axes.barh(places - 0.2, held, 0.4, color=GREEN, label="of the mix")
        axes.barh(places + 0.2, pool, 0.4, color=GREY, label="of the tokens that there are")
        axes.vlines(asked, places - 0.42, places + 0.02, "black", linewidth=1.2, label="asked")
        for place, one, there in zip(places, held, pool, strict=True):
            axes.annotate(f"{one:.1f} %", (one, place - 0.2), (4, 0), **_LABEL)
            axes.annotate(f"{there:.1f} %", (there, place + 0.2), (4, 0), **_LABEL)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlim(0, max([1.0, *pool, *asked, *held]) * 1.12)
        axes.set_xlabel(f"% of tokens{_left_out(shares, names)}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
    return sink.getvalue()


def draw_funnel(left: Mapping[str, Sequence[tuple[str, int]]], kind: str = "svg") -> bytes:
    """For each source the documents that are left after each stage; the first is what came in."""
    names = _largest({name: its[0][1] for name, its in left.items()})
    steps = max((len(left[name]) for name in names), default=1)
    columns = 1 if len(names) == 1 else 2
    rows = -(-len(names) // columns)
    with _figure(max(rows, 1), 0.55 + 1.1 * BAR_INCHES * steps, kind) as (figure, sink):
        for number, name in enumerate(names, 1):
            axes = figure.add_subplot(rows, columns, number)
            stages = [stage for stage, _ in left[name]]
            counts = np.array([count for _, count in left[name]], np.float64)
            shares = 100 * counts / max(counts[0], 1.0)
            places = np.arange(len(stages))
            axes.barh(places, np.full(len(stages), 100.0), 0.72, color="#ececec")
            axes.barh(places, shares, 0.72, color=GREEN)
            for place, (_, count) in enumerate(left[name]):
                axes.annotate(f"{count:,}", (100, place), (4, 0), **_LABEL)
            axes.set_yticks(places, stages)
            axes.invert_yaxis()
            axes.set_xlim(0, 100)
            axes.set_title(name, loc="left")
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(axis="y", length=0)
        engine: Any = figure.get_layout_engine()
        engine.set(wspace=0.06)  # between a panel's numbers and the next one's names
        figure.supxlabel(
            f"% of the source's documents that are left after a stage{_left_out(left, names)}",
            fontsize=8,
        )
    return sink.getvalue()


def _largest(sizes: Mapping[str, float]) -> list[str]:
    """The names that a plot has room for, in their order."""
    chosen = sorted(sizes, key=lambda name: (-sizes[name], name))[:MOST_DRAWN]
    return [name for name in sizes if name in {*chosen}]


def _left_out(all_of_them: Mapping[str, object], names: Sequence[str]) -> str:
    missing = len(all_of_them) - len(names)
    return f"; the {len(names)} largest of {len(all_of_them)} sources" if missing else ""


@contextmanager
def _figure(rows: int, inches: float, kind: str) -> Iterator[tuple[Figure, io.BytesIO]]:
    sink = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(8, inches * rows), layout="constrained")
        yield figure, sink
        metadata: Any = {"Date": None} if kind == "svg" else None
        figure.savefig(sink, format=kind, metadata=metadata, dpi=100)
