"""Quality-aware upsampling: how often text is taken, by the quantile of its quality.

Dolma 3's curve: f(x) = 0 for x < a, else C (x - a)^p exp(l (x - a)), where x in 0..1 is the
quantile of quality by tokens and a the share that is discarded. Its integral is the wanted over the
available tokens, and its mean over the best bin is at most `cap`. Of the curves that allow that,
the one with the largest p in 0..2 is taken, then the largest l in 0..2. p = 0 and l = 0 is level:
all that is kept is taken equally often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["MOST_GROWTH", "MOST_POWER", "Curve", "first_kept", "solve_curve"]

MOST_POWER = 2.0  # of p, in Dolma 3
MOST_GROWTH = 2.0  # of l, in Dolma 3
_SLACK = 1e-9  # of the cap, relative: what a float may miss
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """f(x) = scale * (x - discard)^power * exp(growth * (x - discard)), 0 below `discard`."""

    discard: float
    power: float
    growth: float
    scale: float

    def at(self, x: Floats) -> Floats:
        """Epochs at the quantiles x."""
        y = np.maximum(np.asarray(x, np.float64) - self.discard, 0.0)
        value = self.scale * y**self.power * np.exp(self.growth * y)
        return np.where(np.asarray(x) < self.discard, 0.0, value)

    def means(self, edges: Floats) -> Floats:
        """Mean epochs between each two neighbouring quantiles; 0 where they are one."""
        y = np.maximum(np.asarray(edges, np.float64) - self.discard, 0.0)
        parts = self.scale * np.diff(_primitive(y, self.power, self.growth))
        widths = np.diff(edges)
        return np.divide(parts, widths, out=np.zeros(len(widths)), where=widths > 0)


def first_kept(edges: Floats, discard: float) -> int:
    """The first bin that is not discarded: that whose lower edge is nearest to `discard`, since a
    bin is kept or discarded as a whole. The best bin is always kept.

    `edges`: rising quantiles of the bins, 0 first and 1 last.
    """
    return int(np.argmin(np.abs(edges[:-1] - discard)))


def solve_curve(target: float, edges: Floats, first: int, cap: float) -> Curve:
    """The curve over bins with these edges of which the first `first` are discarded.

    `target`: wanted over available tokens. ValueError when even the level curve takes the best bin
    more often than `cap`.
    """
    from scipy.optimize import brentq  # its import takes a tenth of a run with nothing to do

    discard = float(edges[first])
    top = max(len(edges) - 2, first)
    while top > first and edges[top] >= edges[-1]:
        top -= 1  # a bin of no width

    def excess(power: float, growth: float) -> float:
        """How much more often than `cap` the best bin is taken."""
        best: float = _curve(target, discard, power, growth).means(edges[[top, -1]])[0]
        return best - cap

    if excess(0.0, 0.0) > _SLACK * cap:
        level = target / (1.0 - discard)
        raise ValueError(f"what is kept would be taken {level:.4g} times, more than {cap:g}")
    if excess(MOST_POWER, 0.0) > 0:
        power = 0.0
        if excess(0.0, 0.0) < 0:
            power = float(brentq(excess, 0.0, MOST_POWER, args=(0.0,)))
        return _curve(target, discard, power, 0.0)
    if excess(MOST_POWER, MOST_GROWTH) <= 0:
        return _curve(target, discard, MOST_POWER, MOST_GROWTH)
    growth = float(brentq(lambda one: excess(MOST_POWER, one), 0.0, MOST_GROWTH))
    return _curve(target, discard, MOST_POWER, growth)


def _curve(target: float, discard: float, power: float, growth: float) -> Curve:
    whole = float(_primitive(np.array([1.0 - discard]), power, growth)[0])
    return Curve(discard, power, growth, target / whole)


def _primitive(y: Floats, power: float, growth: float) -> Floats:
    """Integral of t^power exp(growth t) from 0 to y."""
    from scipy.special import hyp1f1

    series: Floats = y ** (power + 1) / (power + 1) * hyp1f1(power + 1, power + 2, growth * y)
    return series
