"""Plots of a plan: how often text is taken by its quality, and what a sweep would change.

In: budgets, or the outlooks of a sweep. Out: SVG or PNG, the same bytes for the same numbers.
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

__all__ = ["draw_quality", "draw_sweep"]

GREEN, GREY = "#2f6b4f", "#b8b8b8"
LINES = ("#2f6b4f", "#c46a1b", "#39608f", "#8a3f6b", "#7c7a2d", "#555555")  # told apart
MOST_NAMED = 8  # topics that a legend lists
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
    lines: Mapping[str, Sequence[float | None]],
    wanted: float,
    kind: str = "svg",
) -> bytes:
    """Tokens that there would be (in all, by name of a line) over the values of a key; `wanted`:
    those of the mix."""
    with _figure(1, 3.4, kind) as (figure, sink):
        axes = figure.add_subplot(1, 1, 1)
        places = range(len(values))
        for index, (name, tokens) in enumerate(lines.items()):
            known = [np.nan if one is None else one for one in tokens]
            colour = LINES[index % len(LINES)]
            axes.plot(places, known, color=colour, marker="o", markersize=3, label=name)
        axes.axhline(wanted, color=GREY, linestyle="--", linewidth=1, label="wanted by the mix")
        axes.set_xticks(list(places), list(values))
        axes.set_xlabel(key)
        axes.set_ylabel("tokens that there would be")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        if len(lines) <= MOST_NAMED:
            axes.legend(frameon=False)
    return sink.getvalue()


@contextmanager
def _figure(rows: int, inches: float, kind: str) -> Iterator[tuple[Figure, io.BytesIO]]:
    sink = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(8, inches * rows), layout="constrained")
        yield figure, sink
        metadata: Any = {"Date": None} if kind == "svg" else None
        figure.savefig(sink, format=kind, metadata=metadata, dpi=100)
