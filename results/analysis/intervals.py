"""95% intervals of scores of images by networks of several seeds: they cover the seeds and the images.

A score [S, N] is one network's on one image. Each of S seeds is scored on the same N images, so the mean varies with
the seeds, with the images, and with what a seed makes of an image: a two-way random-effects model without
replication, whose variance components add up (Searle, Casella & McCulloch 1992, Variance Components, chapter 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from results.analysis.statistics import CONFIDENCE


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and images, its estimated variance, and the degrees of freedom of that estimate."""

    mean: float
    variance: float
    degrees: float


def spread(scores_SN: np.ndarray) -> Spread:
    """Of at least 2 images. With one seed, the variance is that of the images alone.

    The seeds' part is taken as zero where its estimate is negative. Degrees of freedom are Satterthwaite's (1946), and
    no fewer than those of the smaller part.
    """
    (num_seeds, num_images), mean = scores_SN.shape, float(scores_SN.mean())
    assert num_images > 1, "one image says nothing of others"
    by_seed, by_image = scores_SN.mean(axis=1), scores_SN.mean(axis=0)
    images = float(by_image.var(ddof=1)) / num_images
    if num_seeds == 1:
        return Spread(mean, images, num_images - 1)
    seeds = float(by_seed.var(ddof=1)) / num_seeds
    rest = scores_SN - by_seed[:, None] - by_image + mean
    both = float(np.square(rest).sum()) / ((num_seeds - 1) * (num_images - 1)) / scores_SN.size
    variance = images + max(seeds - both, 0.0)  # seeds and images each hold what they have in common once
    fewest = min(num_seeds, num_images) - 1
    uncertainty = (
        seeds**2 / (num_seeds - 1) + images**2 / (num_images - 1) + both**2 / ((num_seeds - 1) * (num_images - 1))
    )
    return Spread(mean, variance, max(variance**2 / uncertainty, fewest) if variance else num_images - 1)


def share_interval(scores_SN: np.ndarray) -> tuple[float, float]:
    """The interval of the mean of scores that are 0 or 1, within 0 and 1.

    Wilson's (1927), with as many images as would give a plain share this variance (Dean & Pagano 2015, for clustered
    data). Its width is never zero.
    """
    found, num_images = spread(scores_SN), scores_SN.shape[1]
    share = found.mean
    size = min(share * (1 - share) / found.variance, scores_SN.size) if found.variance else num_images
    square = _quantile(found.degrees) ** 2
    middle = (share + square / (2 * size)) / (1 + square / size)
    half = math.sqrt(square * (share * (1 - share) / size + square / (4 * size**2))) / (1 + square / size)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def error_interval(scores_SN: np.ndarray) -> tuple[float, float]:
    """The interval of the mean of errors, above 0: Student's on the logarithm, since errors of images are skewed."""
    found = spread(scores_SN)
    half = _half(found)
    if found.mean <= 0:
        return 0.0, half
    return found.mean * math.exp(-half / found.mean), found.mean * math.exp(half / found.mean)


def difference_interval(differences_SN: np.ndarray) -> tuple[float, float]:
    """The interval of the mean of differences of errors, image by image and seed by seed: Student's."""
    found = spread(differences_SN)
    half = _half(found)
    return found.mean - half, found.mean + half


def share_difference_interval(differences_SN: np.ndarray) -> tuple[float, float]:
    """The interval of the mean of differences of scores that are 0 or 1, within -1 and 1.

    Two images are added, one to the credit of each side, so that networks that agree on all images are not said to be
    equal for certain (Bonett & Price 2012; with S seeds each counts 1 / sqrt(S), as one image of one seed would).
    """
    num_seeds = len(differences_SN)
    added = np.full((num_seeds, 1), num_seeds**-0.5)
    low, high = difference_interval(np.concatenate([differences_SN, added, -added], axis=1))
    return max(low, -1.0), min(high, 1.0)


def _half(found: Spread) -> float:
    return _quantile(found.degrees) * math.sqrt(found.variance)


def _quantile(degrees: float) -> float:
    from scipy.stats import t  # a second, which only intervals pay

    return float(t.ppf((1 + CONFIDENCE) / 2, degrees))
