"""Draws of Optuna's samplers from a space, made in a study in memory, so that no rejected draw reaches the journal."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from functools import partial

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.study.sampling.sampler import Problem
from search.study.seeds import entropy
from spaces.space import Params, Space, Value


def draws_from(
    space: Space,
    sampler: BaseSampler,
    history: Sequence[FrozenTrial] = (),
    direction: StudyDirection = StudyDirection.MAXIMIZE,
) -> Iterator[Params]:
    """Yields draws of an Optuna sampler, without end, each from the same history of trials."""
    storage = _History(history)
    storage.create_new_study([direction], "draws")
    study = optuna.load_study(study_name="draws", storage=storage, sampler=sampler)
    while True:
        yield space.draw(partial(suggest_value, study.ask()))


def random_draws(problem: Problem, number: int, *, purpose: int) -> Iterator[Params]:
    """Yields random draws for the trial with a number, without end."""
    return draws_from(problem.space, RandomSampler(seed=entropy(problem.seed, number, purpose=purpose)))


def suggest_value(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Value | None:
    """Returns a value of a distribution, suggested by a trial's sampler."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
    raise TypeError(f"{name}: unknown distribution {distribution!r}")


class _History(InMemoryStorage):
    """Shows a sampler the trials of a history, and none of the draws that were made since."""

    def __init__(self, history: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._history = history

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._history if states is None or trial.state in states]
