"""Means with their intervals over seeds, or over trials, and whether two can be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Mean:
    """A mean of n values with their standard deviation and a 95% interval of the mean; NaN where n is too small."""

    value: float
    sd: float
    low: float
    high: float
    n: int
    num_images: int = 0
    """That the interval covers beside the n values; 0 where it covers these alone."""

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)

    @property
    def is_apart_from_zero(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def bounds_of(direction: str) -> Bounds:
    """Where scores can lie: what is maximized is an accuracy, what is minimized an error."""
    return (0.0, 1.0) if direction == "maximize" else (0.0, math.inf)


def mean(values: Sequence[float], bounds: Bounds = (-math.inf, math.inf)) -> Mean:
    """By Student's t: the values are taken as draws from one normal distribution. ValueError for none.

    The interval is cut off at the bounds, since the true mean lies within them.
    """
    n = len(values)
    if not n:
        raise ValueError("mean: no values; expected at least one")
    middle = sum(values) / n
    if n == 1:
        return Mean(middle, math.nan, math.nan, math.nan, 1)
    from scipy.stats import t  # a second, which only intervals pay

    sd = math.sqrt(sum((value - middle) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / math.sqrt(n)
    low, high = max(middle - half, min(bounds[0], middle)), min(middle + half, max(bounds[1], middle))
    return Mean(middle, sd, low, high, n)


def paired_difference(first: dict[int, float], second: dict[int, float]) -> Mean | None:
    """The mean of first minus second over the seeds that both have, or None where they share none.

    Pairs take out what a seed does to both alike.
    """
    shared = sorted(first.keys() & second.keys())
    return mean([first[seed] - second[seed] for seed in shared]) if shared else None
