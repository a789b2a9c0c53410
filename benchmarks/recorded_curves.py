"""Learning curves of random candidates, recorded once, and a surrogate that gives any other candidate one like them.

    python -m search.run task=tiny10k sampler=random num_trials=160 grace_epochs=18 reports_per_epoch=4 \\
        references=false confirm.top_k=0 run=curves
    python -m benchmarks.search_quality record=results/runs/curves

The first line trains, for hours; the second packs what `results.load` knows of that run into one file.

The surrogate is a Gaussian process over the space's parameters, the network's size and its MACs, in numpy, for all
places of a curve at once. It works on normal scores (a score's rank among those recorded at its place, as a quantile of
the normal distribution): diverged candidates would pull at anything else. What it cannot tell is not smoothed away, or
searching would be too easy: a candidate's curve is the expected one plus the whole leave-one-out error of one of the
recorded candidates nearest to it, drawn by chance. So curves keep their spread, and a good first epoch says as much, or
as little, of the last one as it did in the recording. `LeaveOneOut` says how much the surrogate knows: with a rank
correlation of 0, no sampler could win, and with 1, none would be needed.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import results
from results.files import replacing
from results.schema import Status
from search import tasks
from search.tasks import Task
from spaces.recipe import Candidate
from spaces.space import Parameter, Params

Array = NDArray[np.float64]

FACTS = b"frugal.recorded_curves"
"""Where a packed file's metadata has what holds for all of its curves, as JSON."""
LISTS = ("train_loss", "val_loss", "val_score", "seconds")
SMALLEST_ERROR = 1e-5
TAIL = 0.25
"""Of the recorded candidates, the best ones whose scores say how those of still better ones would rise."""
WIDTHS, NOISES = (0.5, 1.0, 2.0, 4.0, 8.0), (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Kernels that are tried: widths, in the median distance of two candidates, and variances of noise."""


@dataclass(frozen=True)
class RecordedCurves:
    """The recorded candidates of a task: N whole trials, each with the same S reports."""

    facts: dict[str, Any]
    params: list[Params]
    candidates: list[Candidate]
    scores_NS: Array
    seconds_NS: Array
    """Of each part of an epoch, with its validation."""

    @property
    def task(self) -> Task:
        return tasks.find(self.facts["task"])

    @property
    def reports_per_epoch(self) -> int:
        return self.facts["reports_per_epoch"]

    @property
    def max_epochs(self) -> int:
        return self.facts["max_epochs"]

    @property
    def best(self) -> float:
        """The best score at the end of a curve."""
        return float(self.scores_NS[:, -1].max())


def pack(run: Path, path: Path) -> int:
    """Writes the whole curves of a run's drawn trials into one file; how many there are.

    Raises ValueError if there is no such run, or nothing complete in it.
    """
    board = results.load(None, run).sort_values("trial")
    whole = board[(board["status"] == Status.COMPLETE) & board["reference"].isna()]
    if not len(whole):
        raise ValueError(f"record={run}: no trial of this run is complete yet")
    config: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"))  # type: ignore[assignment]
    names = ["trial", "seed", *(name for name in whole if name.startswith("param_")), "candidate_json"]
    table = pa.Table.from_pandas(whole[names], preserve_index=False)
    reports = results.load(None, run, table="curves").sort_values(["trial", "step"])
    lists = reports.groupby("trial")[list(LISTS)].agg(list).loc[whole["trial"]]
    for name in LISTS:
        table = table.append_column(name, pa.array(lists[name].to_list(), pa.list_(pa.float32())))
    facts = _facts(config) | {"devices": sorted(set(whole["device"]))}
    with replacing(path) as file:
        pq.write_table(
            table.replace_schema_metadata({FACTS: json.dumps(facts).encode()}),
            file,
            compression="zstd",
            compression_level=19,
        )
    return len(whole)


def _facts(config: dict[str, Any]) -> dict[str, Any]:
    import torch  # here: whoever only reads curves does without it

    from trainables.machine import describe

    names = ("task", "max_epochs", "reports_per_epoch", "max_params", "max_macs", "seed")
    facts = {name: config[name] for name in (*names, "dataset", "versions", "git_commit")}
    return facts | {"cpu": describe(torch.device("cpu"))["cpu"]}  # of this machine: a run's tables name none


def read(path: Path) -> RecordedCurves:
    """The curves of a packed file. Raises ValueError if it is none."""
    try:
        table = pq.ParquetFile(path).read(use_threads=False)
        facts = json.loads((table.schema.metadata or {})[FACTS])
    except FileNotFoundError:
        raise ValueError(f"curves={path}: there is no such file; record=RUN makes one of a run") from None
    except (pa.ArrowException, KeyError) as error:
        raise ValueError(f"curves={path}: not a file of recorded curves ({error}); record=RUN makes one") from None
    rows = table.to_pylist()
    num_reports = facts["max_epochs"] * facts["reports_per_epoch"]
    rows = [row for row in rows if len(row["val_score"]) == num_reports]  # others ended by their recipe's patience
    return RecordedCurves(
        facts,
        [_params(row) for row in rows],
        [Candidate.from_json(row["candidate_json"]) for row in rows],
        np.array([row["val_score"] for row in rows], np.float64),
        np.array([row["seconds"] for row in rows], np.float64),
    )


def _params(row: dict[str, Any]) -> Params:
    prefix = "param_"
    return {name[len(prefix) :]: v for name, v in row.items() if name.startswith(prefix) and v is not None}


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
