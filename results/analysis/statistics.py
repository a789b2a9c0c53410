"""Means with their intervals over seeds or trials, and whether two means can be distinguished."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from results.wording import number

CONFIDENCE = 0.95

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Mean:
    """A mean of n values, their standard deviation and the mean's 95% interval; NaN if n is too small for them."""

    value: float
    sd: float
    low: float
    high: float
    n: int
    num_images: int = 0
    """The number of examples that the interval covers besides the n values; 0 if it covers the values alone."""

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)

    @property
    def is_apart_from_zero(self) -> bool:
        """Returns whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """Returns in words whether a difference with this interval is apart from zero."""
        return "apart" if self.is_apart_from_zero else "not distinguishable"


UNBOUNDED: Bounds = (-math.inf, math.inf)


def bounds_of(direction: str, goal: str | None = None) -> Bounds:
    """Returns the lowest and the highest possible score of a goal, which is in the words of `goal_text`.

    A user's own score has the bounds that its goal states. Of Frugal's own, a maximized one is a share from 0 to 1, and
    a minimized one an error.
    """
    kind, *settings = (goal or "").split(" ")
    if kind == "custom":
        return _stated(dict(each.split("=", 1) for each in settings if "=" in each).get("bounds", "null"))
    return (0.0, 1.0) if direction == "maximize" else (0.0, math.inf)


def _stated(text: str) -> Bounds:
    """Returns bounds from JSON. Tables may come from anyone, so that anything else counts as no bounds."""
    try:
        low, high = (float(end) for end in json.loads(text))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return UNBOUNDED
    return (low, high) if low < high else UNBOUNDED


def mean(values: Sequence[float], bounds: Bounds = UNBOUNDED) -> Mean:
    """Returns the mean with Student's t interval, which takes the values as draws from one normal distribution.

    The interval is clipped to the bounds, since the true mean is within them. Raises ValueError for no values.
    """
    n = len(values)
    if not n:
        raise ValueError("mean: no values; expected at least one")
    middle = sum(values) / n
    if n == 1:
        return Mean(middle, math.nan, math.nan, math.nan, 1)
    from scipy.stats import t  # importing scipy.stats takes a second

    sd = math.sqrt(sum((value - middle) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / math.sqrt(n)
    low, high = max(middle - half, min(bounds[0], middle)), min(middle + half, max(bounds[1], middle))
    return Mean(middle, sd, low, high, n)


def paired_difference(first: dict[int, float], second: dict[int, float]) -> Mean | None:
    """Returns the mean of first minus second over the seeds that both have, or None if they share none.

    Pairing cancels the effect of a seed that is common to both.
    """
    shared = sorted(first.keys() & second.keys())
    return mean([first[seed] - second[seed] for seed in shared]) if shared else None


def describe_difference(gap: Mean) -> str:
    """Returns a difference with its 95% interval as text: +0.01 (+0.004 to +0.02)."""
    return f"{gap.value:+.2g} ({gap.low:+.2g} to {gap.high:+.2g})"


def mean_cells(stats: Mean) -> tuple[str, str, str, str]:
    """Returns a table's cells for a mean: the mean, its 95% interval, standard deviation, and number of values."""
    interval = f"{number(stats.low)} to {number(stats.high)}" if stats.has_interval else ""
    return number(stats.value), interval, f"{stats.sd:.2g}" if stats.n > 1 else "", str(stats.n)
