"""Optuna's proposals, made in studies in memory, so that no rejected draw reaches the journal."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Container, Iterator
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from results.schema import Status
from search.engines.tpe import MOST_GOOD, OneHistoryTPE
from search.study.journal import STATES, direction
from search.study.seeds import entropy
from search.study.trial import TrialRecord
from spaces.goal import Metric
from spaces.space import Params, Space

MAX_DRAWS = 1_000
"""Draws for one trial before the space counts as exhausted or its budget as too tight."""
SAMPLER_DRAWS = 100
"""Draws that the sampler proposes for one trial; after so many rejections in a row, draws are random."""
BEST, LATEST = MOST_GOOD, 100
"""Of the trials that have ended, those that the sampler is shown: TPE never counts more than MOST_GOOD as good."""


SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    "tpe": OneHistoryTPE,
    "random": lambda seed, num_ended: RandomSampler(seed=seed),
}
"""By the names of `search.planning.config.Sampler`: each is made of a seed, and of how many trials have ended."""


class Proposals:
    """Draws from a space by a sampler that knows the trials begun so far, and how they ended.

    A sampler is made afresh for each trial, its random state from the run's seed and the trial's number alone. What it
    is shown of a long history is bounded, since what TPE costs grows with it.
    """

    def __init__(self, objective: Metric, sampler: str, seed: int) -> None:
        if sampler not in SAMPLERS:
            raise ValueError(
                f"sampler={sampler}: no such sampler in search/study/proposals.py; it has {', '.join(SAMPLERS)}"
            )
        self.objective, self.sampler, self.seed = objective, sampler, seed
        self._running: dict[int, FrozenTrial] = {}
        self._ended: dict[int, FrozenTrial] = {}
        self._by_number: list[int] = []
        self._by_rank: list[tuple[Any, int]] = []

    def draws(self, space: Space, number: int) -> Iterator[Params]:
        """Up to MAX_DRAWS draws for the trial of a number."""
        sampler, storage = self._make_sampler(number), _Shown(self.shown())
        storage.create_new_study([direction(self.objective)], "proposals")
        for attempt in range(MAX_DRAWS):
            if attempt == SAMPLER_DRAWS:
                sampler = RandomSampler(seed=entropy(self.seed, number, purpose=2))
            trial = optuna.load_study(study_name="proposals", storage=storage, sampler=sampler).ask()
            yield space.draw(partial(suggest_value, trial))

    def start(self, trial: TrialRecord, distributions: dict[str, BaseDistribution]) -> None:
        """The sampler is to know of this trial from now on."""
        self._running[trial.number] = _frozen(trial, distributions)

    def end(self, trial: TrialRecord) -> None:
        """Tells the sampler how a trial ended, with its reports. It forgets what failed; it knows no references."""
        frozen = self._running.pop(trial.number, None)
        if frozen is None or trial.status not in STATES:
            return
        self._ended[trial.number] = _frozen(trial, frozen.distributions)
        insort(self._by_number, trial.number)
        insort(self._by_rank, (self._rank(trial), trial.number))

    def shown(self) -> list[FrozenTrial]:
        """What the sampler looks back on: the BEST of the trials that have ended, the LATEST, and all that run."""
        numbers = {number for _, number in self._by_rank[:BEST]} | {*self._by_number[-LATEST:]}
        ended = [self._ended[number] for number in sorted(numbers)]
        return ended + [self._running[number] for number in sorted(self._running)]

    def _rank(self, trial: TrialRecord) -> tuple[bool, int, float]:
        """As TPE ranks: completed trials by their score, then pruned ones by how far they came."""
        is_pruned, last = trial.status == Status.PRUNED, trial.reports[-1]
        return is_pruned, -last.step if is_pruned else 0, -self.objective.signed(last.val_score)

    def _make_sampler(self, number: int) -> BaseSampler:
        return SAMPLERS[self.sampler](entropy(self.seed, number, purpose=1), len(self._ended))


class _Shown(InMemoryStorage):
    """A study for one suggestion: its draws are its only trials, and not among those that a sampler looks back on."""

    def __init__(self, shown: list[FrozenTrial]) -> None:
        super().__init__()
        self.shown = shown

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self.shown if states is None or trial.state in states]


def _frozen(trial: TrialRecord, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    """A trial as Optuna knows it; its number differs from those of all draws, which TPE tells from what it is shown."""
    has_ended = trial.status in STATES
    frozen = create_trial(
        state=STATES[trial.status] if has_ended else TrialState.RUNNING,
        params=trial.params,
        distributions=distributions,
        value=trial.reports[-1].val_score if has_ended else None,
        intermediate_values={report.step: report.val_score for report in trial.reports} if has_ended else None,
    )
    frozen.number = MAX_DRAWS + trial.number
    return frozen


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
