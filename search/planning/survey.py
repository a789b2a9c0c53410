"""What a search would meet, without training: how its draws fall under the budget, and how long it may take."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import optuna

from data.splits import Split, Splits
from search.study.asha import Asha
from search.study.budget import Budget, judge
from search.study.proposals import suggest_value
from spaces.goal import Goal
from spaces.recipe import Candidate
from spaces.space import Space

TIMED_CANDIDATES = 6
TIMED_STEPS = 4


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Random draws from a space, held against a budget."""

    num_draws: int
    rejected: Counter[str]
    feasible: list[Candidate]
    over: list[Candidate]
    """Valid networks over the budget."""

    @property
    def acceptance(self) -> float:
        return len(self.feasible) / self.num_draws

    def smallest(self) -> Candidate | None:
        """The smallest network seen, feasible or not."""
        return min([*self.feasible, *self.over], key=lambda c: c.network.num_params, default=None)

    def largest(self) -> Candidate | None:
        """The largest feasible network."""
        return max(self.feasible, key=lambda c: c.network.num_params, default=None)

    def rates(self) -> str:
        """'31% over max_params, 12% image shrinks to nothing'."""
        return ", ".join(f"{count / self.num_draws:.1%} {reason}" for reason, count in self.rejected.most_common())


def survey(space: Space, budget: Budget, seed: int, num_draws: int = 1_000) -> Survey:
    """Draws at random, as the search's start-up does. Nothing is trained."""
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), sampler=sampler)
    rejected: Counter[str] = Counter()
    feasible, over = [], []
    for _ in range(num_draws):
        trial = study.ask()
        candidate, reason = judge(space, budget, space.draw(partial(suggest_value, trial)))
        if reason:
            rejected[reason] += 1
        if candidate:
            (over if reason else feasible).append(candidate)
    return Survey(num_draws=num_draws, rejected=rejected, feasible=feasible, over=over)


def predict_epochs(asha: Asha, num_trials: int, reports_per_epoch: int, seed: int) -> float:
    """Epochs that ASHA trains in all, if scores are exchangeable and trials come one after the other."""
    rng = random.Random(seed)
    reports = 0
    for _ in range(num_trials):
        score = rng.random()
        for step in range(1, asha.last + 1):
            reports += 1
            if not asha.goes_on(step, score):
                break
    return reports / reports_per_epoch


def time_epoch(candidates: Sequence[Candidate], goal: Goal, splits: Splits, seed: int) -> float:
    """Median seconds for an epoch of these candidates on one core of this machine, from a few batches of its data."""
    import torch

    from trainables.goals import DeviceSplit
    from trainables.machine import prepare_process
    from trainables.training import Training

    prepare_process()
    seconds = []
    for candidate in candidates[:TIMED_CANDIDATES]:
        sample = splits.train.take(np.arange(min(_sample_size(candidate, splits), len(splits.train))))
        few = DeviceSplit.of(sample.x, sample.y, torch.device("cpu"))
        training = Training(candidate, few, few, goal=goal, seed=seed, epochs=2)
        training.advance()  # the first steps choose their kernels
        start = time.perf_counter()
        training.advance()
        both = time.perf_counter() - start
        start = time.perf_counter()
        training.scores()
        validation = time.perf_counter() - start
        pixels, train, val = (_num_pixels(split) for split in (sample, splits.train, splits.val))
        seconds.append(((both - validation) * train + validation * val) / pixels)
    return statistics.median(seconds)


def _sample_size(candidate: Candidate, splits: Splits) -> int:
    return 2 if isinstance(splits.train.x, list) else candidate.recipe.batch_size * TIMED_STEPS


def _num_pixels(split: Split) -> int:
    return sum(image.size for image in split.x) if isinstance(split.x, list) else split.x.size
