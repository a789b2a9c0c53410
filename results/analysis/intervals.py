"""95% intervals for mean scores over examples and seeds, which cover both.

Scores [S, N] are those of networks of S seeds on the same N examples. Their mean varies with the seeds, with the
examples, and with the interaction of both: a two-way random-effects model without replication, whose variance
components add up (Searle, Casella & McCulloch 1992, Variance Components, chapter 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from results.analysis.statistics import CONFIDENCE, Bounds


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and examples, its estimated variance, and the degrees of freedom of that estimate."""

    mean: float
    variance: float
    degrees: float


def spread(scores_SN: np.ndarray) -> Spread:
    """Returns the spread of scores [S, N] of at least 2 examples; for one seed, the variance is the examples' alone.

    A negative estimate of the seeds' variance counts as zero. Degrees of freedom are Satterthwaite's (1946), and at
    least those of the smaller component.
    """
    (num_seeds, num_images), mean = scores_SN.shape, float(scores_SN.mean())
    assert num_images > 1, "one example says nothing about others"
    by_seed, by_image = scores_SN.mean(axis=1), scores_SN.mean(axis=0)
    images = float(by_image.var(ddof=1)) / num_images
    if num_seeds == 1:
        return Spread(mean, images, num_images - 1)
    seeds = float(by_seed.var(ddof=1)) / num_seeds
    rest = scores_SN - by_seed[:, None] - by_image + mean
    both = float(np.square(rest).sum()) / ((num_seeds - 1) * (num_images - 1)) / scores_SN.size
    variance = images + max(seeds - both, 0.0)  # seeds and examples each include the interaction once
    fewest = min(num_seeds, num_images) - 1
    uncertainty = (
        seeds**2 / (num_seeds - 1) + images**2 / (num_images - 1) + both**2 / ((num_seeds - 1) * (num_images - 1))
    )
    return Spread(mean, variance, max(variance**2 / uncertainty, fewest) if variance else num_images - 1)


def score_interval(scores_SN: np.ndarray, bounds: Bounds) -> tuple[float, float]:
    """Returns the interval of the mean of scores, within the bounds of the score.

    A score with two bounds is treated as a share, one with a single bound as an error, by its distance from the bound.
    A score beyond its bounds is treated as one without any, as is its interval.
    """
    low, high = bounds
    if not low <= scores_SN.mean() <= high or not (math.isfinite(low) or math.isfinite(high)):
        return difference_interval(scores_SN)
    if math.isinf(high):
        return _moved(error_interval(scores_SN - low), low, 1.0)
    if math.isinf(low):
        return _moved(error_interval(high - scores_SN), high, -1.0)
    return _moved(share_interval((scores_SN - low) / (high - low)), low, high - low)


def score_difference_interval(differences_SN: np.ndarray, bounds: Bounds) -> tuple[float, float]:
    """Returns the interval of the mean of differences of scores with these bounds, paired by example and seed."""
    if bounds == (0, 1) and np.isin(differences_SN, (-1, 0, 1)).all():
        return share_difference_interval(differences_SN)
    return difference_interval(differences_SN)


def _moved(interval: tuple[float, float], start: float, scale: float) -> tuple[float, float]:
    first, second = (start + scale * end for end in interval)
    return min(first, second), max(first, second)


def share_interval(scores_SN: np.ndarray) -> tuple[float, float]:
    """Returns the interval of the mean of scores that are 0 or 1, or of other shares, within 0 and 1.

    It is Wilson's (1927), for the number of examples that would give a simple proportion this variance (Dean & Pagano
    2015, for clustered data). Its width is never zero. Scores of 0 or 1 count at most as what they are: as many draws.
    """
    found, num_images = spread(scores_SN), scores_SN.shape[1]
    share = found.mean
    size = share * (1 - share) / found.variance if found.variance and 0 < share < 1 else num_images
    if np.isin(scores_SN, (0, 1)).all():
        size = min(size, scores_SN.size)
    square = _quantile(found.degrees) ** 2
    middle = (share + square / (2 * size)) / (1 + square / size)
    half = math.sqrt(square * (share * (1 - share) / size + square / (4 * size**2))) / (1 + square / size)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def error_interval(scores_SN: np.ndarray) -> tuple[float, float]:
    """Returns the interval of the mean of errors, above 0: Student's on the logarithm, since such errors are skewed."""
    found = spread(scores_SN)
    half = _half(found)
    if found.mean <= 0:
        return 0.0, half
    return found.mean * math.exp(-half / found.mean), found.mean * math.exp(half / found.mean)


def difference_interval(differences_SN: np.ndarray) -> tuple[float, float]:
    """Returns Student's interval of the mean of differences, paired by example and seed, or of any other numbers."""
    found = spread(differences_SN)
    half = _half(found)
    return found.mean - half, found.mean + half


def share_difference_interval(differences_SN: np.ndarray) -> tuple[float, float]:
    """Returns the interval of the mean of differences of scores that are 0 or 1, within -1 and 1.

    Two examples are added, one that favours each side, so that the interval of two networks that agree on all examples
    has a width (Bonett & Price 2012; with S seeds each counts 1 / sqrt(S), as one example of one seed would).
    """
    num_seeds = len(differences_SN)
    added = np.full((num_seeds, 1), num_seeds**-0.5)
    low, high = difference_interval(np.concatenate([differences_SN, added, -added], axis=1))
    return max(low, -1.0), min(high, 1.0)


def _half(found: Spread) -> float:
    return _quantile(found.degrees) * math.sqrt(found.variance)


def _quantile(degrees: float) -> float:
    from scipy.stats import t  # importing scipy.stats takes a second

    return float(t.ppf((1 + CONFIDENCE) / 2, degrees))
