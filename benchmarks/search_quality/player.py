"""A search that is played: the real study, with a surrogate in the place of training.

`Study` with its gate, budget, sampler, rungs and decisions, on the task's own space; a journal that keeps nothing
stands in for the one on disk. Two slots always train.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from optuna.distributions import BaseDistribution

from benchmarks.search_quality.surrogate import Curve, Surrogate
from results.schema import Status
from search.planning.keys import RunKeys
from search.study.budget import Budget
from search.study.journal import Entry, Journal
from search.study.pruning.asha import Asha
from search.study.pruning.none import NoPruning
from search.study.pruning.pruner import Pruner, PruningKeys
from search.study.study import Study
from search.study.trial import Ending, Reported, TrialRecord
from search.tasks import tiny10k
from spaces.report import Report

SLOTS = 2


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a search goes about it."""

    sampler: str = RunKeys.sampler
    grace_epochs: float | None = tiny10k.SCALE.grace_epochs
    """None is no pruning."""
    reduction_factor: int = RunKeys.reduction_factor
    reports_per_epoch: int = RunKeys.reports_per_epoch

    def __str__(self) -> str:
        name = {"tpe": "TPE"}.get(self.sampler, self.sampler)
        if self.grace_epochs is None:
            return f"{name} without ASHA"
        partial_epochs = f", {self.reports_per_epoch} reports an epoch" if self.reports_per_epoch > 1 else ""
        return f"{name}, η={self.reduction_factor}, grace {self.grace_epochs:g}{partial_epochs}"

    def pruner(self, max_epochs: int) -> Pruner:
        """Returns the pruner before its first report."""
        if self.grace_epochs is None:
            return NoPruning()
        return Asha.from_keys(
            PruningKeys(
                grace_epochs=self.grace_epochs,
                reduction_factor=self.reduction_factor,
                max_epochs=max_epochs,
                reports_per_epoch=self.reports_per_epoch,
            )
        )


@dataclass
class Play:
    """A search that was played: after how many trials and training seconds there was which best score.

    Seconds are those of the parts that have been trained to their end.
    """

    spent: list[float] = field(default_factory=list)
    num_trials: list[int] = field(default_factory=list)
    best: list[float] = field(default_factory=list)

    def add(self, spent: float, num_trials: int, best: float) -> None:
        self.spent.append(spent)
        self.num_trials.append(num_trials)
        self.best.append(best)

    def best_at(self, spent: float) -> float:
        """NaN where no trial had been trained to its end."""
        return self._last(self.best, (each <= spent for each in self.spent))

    def best_after(self, num_trials: int) -> float:
        return self._last(self.best, (each <= num_trials for each in self.num_trials))

    def trials_at(self, spent: float) -> float:
        return self._last(self.num_trials, (each <= spent for each in self.spent))

    @staticmethod
    def _last(values: Sequence[float], before: Iterable[bool]) -> float:
        num = sum(before)  # both grow from event to event
        return values[num - 1] if num else math.nan


class NoJournal(Journal):
    """Keeps reports alone: a search that is played ends with its process."""

    def __init__(self) -> None:
        self._kept: defaultdict[int, list[Reported]] = defaultdict(list)

    def entries(self) -> list[Entry]:
        return []

    def start(self, trial: TrialRecord, distributions: dict[str, BaseDistribution]) -> None:
        pass

    def report(self, number: int, report: Reported) -> None:
        self._kept[number].append(report)

    def reports(self, number: int) -> list[Reported]:
        return self._kept[number]

    def end(self, number: int, ending: Ending, value: float | None) -> None:
        pass


def play(
    strategy: Strategy,
    surrogate: Surrogate,
    seed: int,
    val_share: float,
    *,
    seconds: float = math.inf,
    num_trials: float = math.inf,
) -> Play:
    """A search until its training seconds are spent, or until so many trials have been begun and have ended.

    An event is the end of a part of training in one of the slots, with its validation.
    """
    recorded, every = surrogate.recorded, surrogate.recorded.reports_per_epoch // strategy.reports_per_epoch
    study, played, spent, best = open_study(strategy, surrogate, seed), Play(), 0.0, math.nan
    curves: dict[int, Curve] = {}
    due: list[tuple[float, float, int]] = []

    def train(number: int, now: float) -> None:
        """The trial's next part: as long as several of the recording's, but validated only at its end."""
        part = curves[number].part_seconds * (every * (1 - val_share) + val_share)
        heapq.heappush(due, (now + part, part, number))

    def begin(now: float) -> None:
        if len(study.trials) < num_trials:
            trial = study.suggest()
            curves[trial.number] = surrogate.curve(trial.params, trial.candidate, seed)
            train(trial.number, now)

    for _ in range(SLOTS):
        begin(0.0)
    while due and spent < seconds:
        now, part, number = heapq.heappop(due)
        step = len(study.trials[number].reports) + 1
        score = float(curves[number].scores_S[step * every - 1])
        is_last = step == recorded.max_epochs * strategy.reports_per_epoch
        status = study.report(number, report(step, score, is_last))
        if status == Status.COMPLETE:
            best = score if math.isnan(best) else max(score, best)
        spent += part
        played.add(spent, len(study.trials), best)
        if status == Status.RUNNING:
            train(number, now)
        else:
            begin(now)
    return played


def open_study(strategy: Strategy, surrogate: Surrogate, seed: int) -> Study:
    task, facts = surrogate.recorded.task, surrogate.recorded.facts
    return Study(
        NoJournal(),
        space=task.space,
        budget=Budget(max_params=facts["max_params"], max_macs=facts["max_macs"]),
        objective=task.objective,
        last_step=surrogate.recorded.max_epochs * strategy.reports_per_epoch,
        pruner=strategy.pruner(surrogate.recorded.max_epochs),
        sampler=strategy.sampler,
        seed=seed,
        reports_per_epoch=strategy.reports_per_epoch,
    )


def report(step: int, score: float, is_last: bool) -> Report:
    """What a study looks at; the losses need only be finite."""
    return Report(
        step=step,
        epoch=float(step),
        train_loss=0.0,
        val_loss=0.0,
        val_score=score,
        learning_rate=0.0,
        seconds=0.0,
        num_images=0,
        finished=is_last,
    )
