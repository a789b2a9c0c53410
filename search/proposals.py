"""Optuna's proposals. They are made in a study in memory, so that no rejected draw reaches the journal."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial

from search.journal import STATES, TrialRecord, direction
from spaces.goal import Metric
from spaces.space import Params, Space

MAX_DRAWS = 1_000
"""Draws for one trial before the space counts as exhausted or its budget as too tight."""
SAMPLER_DRAWS = 100
"""Draws that the sampler proposes for one trial; after so many rejections in a row, draws are random."""


@dataclass(frozen=True)
class Draw:
    params: Params
    trial: optuna.Trial


class Proposals:
    """Draws from a space by a sampler that knows the trials kept so far, and how they ended.

    A sampler is made afresh for each trial, its random state from the run's seed and the trial's number alone.
    """

    def __init__(self, objective: Metric, sampler: str, seed: int) -> None:
        self.sampler, self.seed = sampler, seed
        self._storage = InMemoryStorage()
        self._study_id = self._storage.create_new_study([direction(objective)], "proposals")
        self._trial_ids: dict[int, int] = {}

    def draws(self, space: Space, number: int) -> Iterator[Draw]:
        """Up to MAX_DRAWS draws for the trial of a number; those not kept are forgotten."""
        sampler = self._make_sampler(number)
        for attempt in range(MAX_DRAWS):
            if attempt == SAMPLER_DRAWS:
                sampler = RandomSampler(seed=entropy(self.seed, number, purpose=2))
            study = optuna.load_study(study_name="proposals", storage=self._storage, sampler=sampler)
            trial = study.ask()
            yield Draw(space.draw(partial(suggest_value, trial)), trial)
            study.tell(trial, state=TrialState.FAIL)

    def keep(self, draw: Draw, number: int) -> None:
        """The draw became the trial of this number."""
        self._trial_ids[number] = draw.trial._trial_id

    def restore(self, trial: TrialRecord, distributions: dict[str, BaseDistribution]) -> None:
        """Adds a trial of an earlier session."""
        template = create_trial(state=TrialState.RUNNING, params=trial.params, distributions=distributions)
        self._trial_ids[trial.number] = self._storage.create_new_trial(self._study_id, template)

    def end(self, trial: TrialRecord) -> None:
        """Tells the sampler how a trial ended, with its reports; it never hears of references."""
        trial_id = self._trial_ids.get(trial.number)
        if trial_id is None:
            return
        state = STATES.get(trial.status, TrialState.FAIL)
        values = None
        if state != TrialState.FAIL:
            for report in trial.reports:
                self._storage.set_trial_intermediate_value(trial_id, report["step"], report["val_score"])
            values = [trial.reports[-1]["val_score"]]
        self._storage.set_trial_state_values(trial_id, state, values)

    def _make_sampler(self, number: int) -> BaseSampler:
        seed = entropy(self.seed, number, purpose=1)
        if self.sampler == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group=True
            return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def suggest_value(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """A value of a distribution, suggested by a trial's sampler."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
    raise TypeError(f"{name}: unknown distribution {distribution!r}")


def entropy(seed: int, number: int, *, purpose: int) -> int:
    """32 random bits from a run's seed and a trial's number; each purpose (0: training) has its own."""
    return int(np.random.SeedSequence([seed, number, purpose]).generate_state(1)[0])
