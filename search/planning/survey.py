"""Estimates, before a search, the share of draws within the budget and the time that the search will take."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from optuna.samplers import RandomSampler

from data.splits import Split, Splits
from search.study.budget import Budget, judge
from search.study.pruning.pruner import Pruner
from search.study.sampling.draws import draws_from
from spaces.goal import Goal
from spaces.layers import InvalidNetwork
from spaces.recipe import Candidate
from spaces.space import Params, Space
from trainables.task_code import TaskCode

TIMED_CANDIDATES = 6
TIMED_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Random draws from a space, judged by a budget."""

    num_draws: int
    rejected: Counter[str]
    feasible: list[Candidate]
    over: list[Candidate]
    """Valid networks that are over the budget."""
    misfit: str = ""
    """The reason why the first network that cannot be built cannot; empty if all can."""

    @property
    def acceptance(self) -> float:
        """The share of draws that are within the budget."""
        return len(self.feasible) / self.num_draws

    def smallest(self) -> Candidate | None:
        """Returns the smallest network seen, feasible or not."""
        return min([*self.feasible, *self.over], key=lambda c: c.network.num_params, default=None)

    def largest(self) -> Candidate | None:
        """Returns the largest feasible network."""
        return max(self.feasible, key=lambda c: c.network.num_params, default=None)

    def rates(self) -> str:
        """Returns the rejections as '31.0% over max_params, 12.0% image shrinks to nothing'."""
        return ", ".join(f"{count / self.num_draws:.1%} {reason}" for reason, count in self.rejected.most_common())


def survey(space: Space, budget: Budget, seed: int, num_draws: int = 1_000) -> Survey:
    """Draws candidates as a search draws its first trials, and judges them by the budget."""
    rejected: Counter[str] = Counter()
    feasible, over, misfit = [], [], ""
    for params in islice(draws_from(space, RandomSampler(seed=seed)), num_draws):
        candidate, reason = judge(space, budget, params)
        if reason:
            rejected[reason] += 1
        if candidate:
            (over if reason else feasible).append(candidate)
        elif not misfit:
            misfit = _find_misfit(space, params)
    return Survey(num_draws=num_draws, rejected=rejected, feasible=feasible, over=over, misfit=misfit)


def _find_misfit(space: Space, params: Params) -> str:
    try:
        space.build(params).network.trace()
    except InvalidNetwork as error:
        return str(error)
    return ""


def predict_epochs(pruner: Pruner, *, num_trials: int, max_epochs: int, reports_per_epoch: int, seed: int) -> float:
    """Returns the total epochs of all trials, assuming that each has one random score and they run one by one."""
    rng = random.Random(seed)
    num_reports = 0
    for _ in range(num_trials):
        score = rng.random()
        for step in range(1, max_epochs * reports_per_epoch + 1):
            num_reports += 1
            if not pruner.should_continue(step, score):
                break
    return num_reports / reports_per_epoch


def time_epoch(
    candidates: Sequence[Candidate], goal: Goal, splits: Splits, seed: int, code: TaskCode | None = None
) -> float:
    """Returns the median seconds that an epoch of these candidates takes on one core, timed on a few batches."""
    import torch

    from trainables.goals import DeviceSplit
    from trainables.machine import prepare_process
    from trainables.training import Training

    prepare_process()
    seconds = []
    for candidate in candidates[:TIMED_CANDIDATES]:
        sample = splits.train.take(np.arange(min(_sample_size(candidate, splits), len(splits.train))))
        few = DeviceSplit.of(sample.x, sample.y, torch.device("cpu"))
        training = Training(candidate, few, few, goal=goal, seed=seed, epochs=2, code=code)
        training.advance()  # warms up: the first steps choose kernels
        start = time.perf_counter()
        training.advance()
        steps_and_validation = time.perf_counter() - start
        start = time.perf_counter()
        training.scores()
        validation = time.perf_counter() - start
        pixels, train, val = (_num_pixels(split) for split in (sample, splits.train, splits.val))
        seconds.append(((steps_and_validation - validation) * train + validation * val) / pixels)
    return statistics.median(seconds)


def _sample_size(candidate: Candidate, splits: Splits) -> int:
    return 2 if isinstance(splits.train.x, list) else candidate.recipe.batch_size * TIMED_STEPS


def _num_pixels(split: Split) -> int:
    return sum(image.size for image in split.x) if isinstance(split.x, list) else split.x.size
