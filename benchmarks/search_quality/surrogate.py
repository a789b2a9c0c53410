"""A surrogate of training: gives any candidate a curve and a cost like those of recorded candidates near it.

It is a Gaussian process over the space's parameters, the network's size and its MACs, fitted to all S steps of a curve
at once. It predicts normal scores (a score's rank among those recorded at the same step, as a quantile of the normal
distribution), because diverged candidates would distort the scores themselves. A smooth prediction would make searching
too easy, so a candidate's curve is the expected one plus the leave-one-out errors of a nearby recorded candidate, drawn
at random. Curves keep their spread, and a first epoch predicts the last one as well as it did in the recording.
`LeaveOneOut` measures the surrogate: with a rank correlation of 0 no sampler could win, with 1 none would be needed.
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
"""The share of recorded candidates, the best ones, from which scores above the best are extrapolated."""
WIDTHS, NOISES = (0.5, 1.0, 2.0, 4.0, 8.0), (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""The kernels to choose from: widths in median distances of two candidates, and variances of the noise."""


@dataclass(frozen=True)
class Curve:
    """A candidate's score at each recorded step, and the cost of a step."""

    scores_S: Array
    part_seconds: float
    """The seconds of training from one step to the next, with a validation."""


@dataclass(frozen=True)
class LeaveOneOut:
    """How well the last score and the cost of each recorded candidate are predicted from the others."""

    rank_correlation: float
    nearest_rank_correlation: float
    """The rank correlation if the nearest candidate's score is the prediction."""
    variance_explained: float
    """R² of the normal scores."""
    seconds_variance_explained: float
    """R² of the logarithms of the seconds."""


class Surrogate:
    """Gives a candidate a curve that depends only on the candidate and the seed."""

    def __init__(self, recorded: RecordedCurves, neighbours: int) -> None:
        self.recorded, self.neighbours = recorded, neighbours
        self._features, drawn = Features(recorded), zip(recorded.params, recorded.candidates, strict=True)
        self._x_NF = np.array([self._features.of(*each) for each in drawn])
        self._quantiles = Quantiles(recorded.scores_NS)
        self._scores = GaussianProcess(self._x_NF, self._quantiles.normal_scores_NS)
        # All parts of a candidate cost the same, except for other load on the machine
        self._log_seconds = np.log(np.median(recorded.seconds_NS, axis=1))[:, None]
        self._seconds = GaussianProcess(self._x_NF, self._log_seconds)

    def curve(self, params: Params, candidate: Candidate, seed: int) -> Curve:
        x_F = self._features.of(params, candidate)
        distances_N = squared_distances(x_F[None], self._x_NF)[0]
        random = np.random.default_rng([seed, zlib.crc32(candidate.to_json().encode())])
        like = random.choice(np.argsort(distances_N, kind="stable")[: self.neighbours])
        scores_S = self._scores.expected(distances_N) + self._scores.left_out_errors[like]
        # The expected seconds without an error, which is mostly other load on the machine
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
    """Encodes candidates as points whose squared distance counts the differing choices.

    Numbers are scaled by their range; a number that only one of two candidates has counts at least 1. The network's
    size and MACs, on which many parameters act together, are added, scaled by the recorded range of their logarithms.
    """

    def __init__(self, recorded: RecordedCurves) -> None:
        self.parameters = recorded.task.space.parameters
        sizes = np.array([_sizes(candidate) for candidate in recorded.candidates])
        self._min, self._range = sizes.min(axis=0), np.ptp(sizes, axis=0) + 1e-9

    def of(self, params: Params, candidate: Candidate) -> Array:
        chosen = [number for parameter in self.parameters for number in _coordinates(parameter, params)]
        return np.array([*chosen, *(_sizes(candidate) - self._min) / self._range])


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
    """Converts scores to quantiles of the normal distribution and back, separately for each step.

    Above the best recorded score, the logarithm of the error keeps falling as it does within the best quarter; no score
    is below the worst recorded one.
    """

    def __init__(self, scores_NS: Array) -> None:
        self._goodness_NS = np.sort(-np.log(np.maximum(1 - scores_NS, SMALLEST_ERROR)), axis=0)
        num = len(scores_NS)
        self._normal_N = np.array([NormalDist().inv_cdf((n + 0.5) / num) for n in range(num)])
        tail = min(int((1 - TAIL) * num), num - 2)
        self._slope_S = np.polyfit(self._normal_N[tail:], self._goodness_NS[tail:], 1)[0]
        # Equal scores get the mean of their quantiles
        middle = [(column[:, None] > column).sum(1) + (column[:, None] >= column).sum(1) for column in scores_NS.T]
        self.normal_scores_NS = np.array([[NormalDist().inv_cdf(m / (2 * num)) for m in each] for each in middle]).T

    def scores(self, normal_S: Array) -> Array:
        rank_S = np.interp(normal_S, self._normal_N, np.arange(len(self._normal_N)))
        below_S = np.minimum(rank_S.astype(int), len(self._normal_N) - 2)
        steps = np.arange(len(normal_S))
        low, high = self._goodness_NS[below_S, steps], self._goodness_NS[below_S + 1, steps]
        beyond_S = np.maximum(normal_S - self._normal_N[-1], 0) * self._slope_S
        return 1 - np.exp(-(low + (high - low) * (rank_S - below_S) + beyond_S))


class GaussianProcess:
    """Regression of several targets [N, T] on points [N, F], with the kernel of the smallest leave-one-out error."""

    def __init__(self, x_NF: Array, y_NT: Array) -> None:
        self._squares = squared_distances(x_NF, x_NF)
        self._scale = float(np.median(self._squares[np.triu_indices(len(x_NF), 1)]))
        self._mean_T = y_NT.mean(axis=0)
        fits = [(self._fit(y_NT - self._mean_T, width, noise), width) for width in WIDTHS for noise in NOISES]
        (self._weights_NT, self.left_out_errors), self._width = min(fits, key=lambda fit: (fit[0][1] ** 2).sum())

    def expected(self, squares_N: Array) -> Array:
        """Returns the targets [T] expected at a point, given its squared distances to all N known points."""
        return self._mean_T + self._kernel(squares_N, self._width) @ self._weights_NT

    def _fit(self, y_NT: Array, width: float, noise: float) -> tuple[Array, Array]:
        """Returns weights and leave-one-out errors, both [N, T] (Rasmussen and Williams 2006, section 5.4.2)."""
        inverse = np.linalg.inv(self._kernel(self._squares, width) + noise * np.eye(len(y_NT)))
        weights_NT = inverse @ y_NT
        return weights_NT, weights_NT / np.diag(inverse)[:, None]

    def _kernel(self, squares: Array, width: float) -> Array:
        return np.exp(-squares / (2 * width**2 * self._scale))


def squared_distances(x_NF: Array, y_MF: Array) -> Array:
    return ((x_NF[:, None] - y_MF) ** 2).sum(-1)


def rank_correlation(x_N: Array, y_N: Array) -> float:
    """Returns Spearman's rank correlation."""
    ranks = [(each[:, None] > each).sum(1) + (each[:, None] >= each).sum(1) for each in (x_N, y_N)]
    return float(np.corrcoef(ranks)[0, 1])
