"""The chart of results: MB per CPU second of each stage and of its peers, on a logarithmic axis."""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib import pyplot

from benchmarks.report import Results
from benchmarks.stages import STAGES

__all__ = ["draw_chart"]

OURS = "#2f6b4f"
THEIRS = "#b8b8b8"
UNCHECKED = "#ffffff"
BAR_INCHES = 0.24
MARGIN_INCHES = 1.3


def draw_chart(results: Results, path: str) -> None:
    """Write the chart to `path` (.svg or .png), the same bytes for the same results."""
    bars: list[tuple[str, float, str, bool]] = []  # label, rate, colour, first of a stage
    for stage in results.stages:
        if not (stage.peers or STAGES[stage.name].rate) or stage.name == "cores":
            continue
        if stage.ours.problem:
            continue
        bars.append((STAGES[stage.name].title, stage.ours.rate, OURS, True))
        for peer in stage.peers:
            if not peer.measurement.problem:
                colour = UNCHECKED if peer.ratio is None else THEIRS
                bars.append((peer.measurement.side, peer.measurement.rate, colour, False))
    matplotlib.use("Agg")
    settings: Any = {"svg.hashsalt": "vineleaf", "font.size": 8, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        height = MARGIN_INCHES + BAR_INCHES * max(len(bars), 1)
        figure, axes = pyplot.subplots(figsize=(9, height), layout="constrained")
        places = []
        place = 0.0
        for _, rate, colour, first in bars:
            place -= 1.5 if first else 1.0
            places.append(place)
            axes.barh(place, rate, height=0.8, color=colour, edgecolor="#808080", linewidth=0.5)
            axes.text(rate * 1.06, place, f"{rate:,.3g}", va="center")
        axes.set_yticks(places, [label for label, _, _, _ in bars])
        for label, (_, _, _, first) in zip(axes.get_yticklabels(), bars, strict=True):
            label.set_fontweight("bold" if first else "normal")
        axes.set_xscale("log")
        axes.set_xlabel("MB per CPU second, one core, logarithmic; white: not the same work")
        axes.margins(x=0.12, y=0.01)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_title("Vineleaf (green, bold) and peers (grey)", loc="left")
        figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None, dpi=100)
        pyplot.close(figure)
