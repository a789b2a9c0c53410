"""A surrogate of training: gives any candidate a curve and a cost like those of recorded candidates near it.

A Gaussian process over the space's parameters, the network's size and its MACs, in numpy, for all
places of a curve at once. It works on normal scores (a score's rank among those recorded at its place, as a quantile of
the normal distribution): diverged candidates would pull at anything else. What it cannot tell is not smoothed away, or
searching would be too easy: a candidate's curve is the expected one plus the whole leave-one-out error of one of the
recorded candidates nearest to it, drawn by chance. So curves keep their spread, and a good first epoch says as much, or
as little, of the last one as it did in the recording. `LeaveOneOut` says how much the surrogate knows: with a rank
correlation of 0, no sampler could win, and with 1, none would be needed.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from benchmarks.search_quality.recorded_curves import Array, RecordedCurves
from spaces.recipe import Candidate
from spaces.space import Parameter, Params

SMALLEST_ERROR = 1e-5
TAIL = 0.25
"""Of the recorded candidates, the best ones whose scores say how those of still better ones would rise."""
WIDTHS, NOISES = (0.5, 1.0, 2.0, 4.0, 8.0), (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Kernels that are tried: widths, in the median distance of two candidates, and variances of noise."""


@dataclass(frozen=True)
class Curve:
    """What a candidate would report at each of the recording's places, and what a part of its training costs."""

    scores_S: Array
    part_seconds: float
    """Of training up to the next place, with a validation there."""


@dataclass(frozen=True)
class LeaveOneOut:
    """How well each recorded candidate is foretold by the others: its last score and the seconds of a part."""

    rank_correlation: float
    nearest_rank_correlation: float
    """Of the nearest neighbour's score alone, in place of the surrogate's."""
    variance_explained: float
    """Of the normal scores, R²."""
    seconds_variance_explained: float
    """Of the logarithms, R²."""


class Surrogate:
    """Gives a candidate the curve that it might have had; the same one whenever candidate and seed are the same."""

    def __init__(self, recorded: RecordedCurves, neighbours: int) -> None:
        self.recorded, self.neighbours = recorded, neighbours
        self._features, drawn = Features(recorded), zip(recorded.params, recorded.candidates, strict=True)
        self._x_NF = np.array([self._features.of(*each) for each in drawn])
        self._quantiles = Quantiles(recorded.scores_NS)
        self._scores = GaussianProcess(self._x_NF, self._quantiles.normal_scores_NS)
        # A candidate's parts all cost the same, but for what else the machine did meanwhile
        self._log_seconds = np.log(np.median(recorded.seconds_NS, axis=1))[:, None]
        self._seconds = GaussianProcess(self._x_NF, self._log_seconds)

    def curve(self, params: Params, candidate: Candidate, seed: int) -> Curve:
        x_F = self._features.of(params, candidate)
        distances_N = squared_distances(x_F[None], self._x_NF)[0]
        random = np.random.default_rng([seed, zlib.crc32(candidate.to_json().encode())])
        like = random.choice(np.argsort(distances_N, kind="stable")[: self.neighbours])
        scores_S = self._scores.expected(distances_N) + self._scores.left_out_errors[like]
        # Of the seconds, the expected ones alone: most of the error is what else the machine did
        return Curve(self._quantiles.scores(scores_S), math.exp(self._seconds.expected(distances_N)[0]))

    @cached_property
    def left_out(self) -> LeaveOneOut:
        last = self._quantiles.normal_scores_NS[:, -1]
        errors = self._scores.left_out_errors[:, -1]
        between = squared_distances(self._x_NF, self._x_NF)
        np.fill_diagonal(between, np.inf)
        return LeaveOneOut(
            rank_correlation(last, last - errors),
            rank_correlation(last, last[between.argmin(axis=1)]),
            1 - float(errors.var() / last.var()),
            1 - float(self._seconds.left_out_errors.var() / self._log_seconds.var()),
        )


class Features:
    """A candidate as a point: the squared distance of two counts the choices that differ, numbers by their range.

    A number that only one of two candidates has differs by at least 1. The network's size and its MACs, which many
    parameters work on together, stand beside them, by the recorded range of their logarithms.
    """

    def __init__(self, recorded: RecordedCurves) -> None:
        self.parameters = recorded.task.space.parameters
        sizes = np.array([_sizes(candidate) for candidate in recorded.candidates])
        self._least, self._range = sizes.min(axis=0), np.ptp(sizes, axis=0) + 1e-9

    def of(self, params: Params, candidate: Candidate) -> Array:
        chosen = [number for parameter in self.parameters for number in _coordinates(parameter, params)]
        return np.array([*chosen, *(_sizes(candidate) - self._least) / self._range])


def _sizes(candidate: Candidate) -> Array:
    return np.log([candidate.network.num_params, candidate.network.num_macs])


def _coordinates(parameter: Parameter, params: Params) -> list[float]:
    value = params.get(parameter.name)
    match parameter.distribution:
        case CategoricalDistribution(choices=choices):
            return [math.sqrt(0.5) * (value == choice) for choice in choices]
        case IntDistribution(low=low, high=high, log=log) | FloatDistribution(low=low, high=high, log=log):
            if value is None:
                return [0.5, 0.0]
            low, high, number = (math.log(x) if log else x for x in (low, high, float(value)))
            return [(number - low) / (high - low or 1.0), 1.0]
    raise TypeError(f"{parameter.name}: unknown distribution {parameter.distribution!r}")


class Quantiles:
    """Scores as quantiles of the normal distribution and back, at each place by the scores that were recorded there.

    Above the best of them, the logarithm of the error goes on as it falls within the best quarter; below the worst
    there is nothing.
    """

    def __init__(self, scores_NS: Array) -> None:
        self._goodness_NS = np.sort(-np.log(np.maximum(1 - scores_NS, SMALLEST_ERROR)), axis=0)
        num = len(scores_NS)
        self._normal_N = np.array([NormalDist().inv_cdf((n + 0.5) / num) for n in range(num)])
        tail = min(int((1 - TAIL) * num), num - 2)
        self._slope_S = np.polyfit(self._normal_N[tail:], self._goodness_NS[tail:], 1)[0]
        # Equal scores have the mean of their quantiles
        middle = [(column[:, None] > column).sum(1) + (column[:, None] >= column).sum(1) for column in scores_NS.T]
        self.normal_scores_NS = np.array([[NormalDist().inv_cdf(m / (2 * num)) for m in each] for each in middle]).T

    def scores(self, normal_S: Array) -> Array:
        place_S = np.interp(normal_S, self._normal_N, np.arange(len(self._normal_N)))
        below_S = np.minimum(place_S.astype(int), len(self._normal_N) - 2)
        steps = np.arange(len(normal_S))
        low, high = self._goodness_NS[below_S, steps], self._goodness_NS[below_S + 1, steps]
        beyond_S = np.maximum(normal_S - self._normal_N[-1], 0) * self._slope_S
        return 1 - np.exp(-(low + (high - low) * (place_S - below_S) + beyond_S))


class GaussianProcess:
    """Regression of several targets [N, T] on points [N, F], all with the kernel that leaves out one best."""

    def __init__(self, x_NF: Array, y_NT: Array) -> None:
        self._squares = squared_distances(x_NF, x_NF)
        self._scale = float(np.median(self._squares[np.triu_indices(len(x_NF), 1)]))
        self._mean_T = y_NT.mean(axis=0)
        fits = [(self._fit(y_NT - self._mean_T, width, noise), width) for width in WIDTHS for noise in NOISES]
        (self._weights_NT, self.left_out_errors), self._width = min(fits, key=lambda fit: (fit[0][1] ** 2).sum())

    def expected(self, squares_N: Array) -> Array:
        """The targets [T] expected at a point, by its squared distances to all of those that are known."""
        return self._mean_T + self._kernel(squares_N, self._width) @ self._weights_NT

    def _fit(self, y_NT: Array, width: float, noise: float) -> tuple[Array, Array]:
        """Weights, and the errors at each point if it is left out (Rasmussen and Williams 2006, 5.4.2)."""
        inverse = np.linalg.inv(self._kernel(self._squares, width) + noise * np.eye(len(y_NT)))
        weights_NT = inverse @ y_NT
        return weights_NT, weights_NT / np.diag(inverse)[:, None]

    def _kernel(self, squares: Array, width: float) -> Array:
        return np.exp(-squares / (2 * width**2 * self._scale))


def squared_distances(x_NF: Array, y_MF: Array) -> Array:
    return ((x_NF[:, None] - y_MF) ** 2).sum(-1)


def rank_correlation(x_N: Array, y_N: Array) -> float:
    """Spearman's."""
    ranks = [(each[:, None] > each).sum(1) + (each[:, None] >= each).sum(1) for each in (x_N, y_N)]
    return float(np.corrcoef(ranks)[0, 1])
