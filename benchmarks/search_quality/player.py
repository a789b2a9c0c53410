"""Plays a search: the real study, with a surrogate in place of training.

`Study` works with its own budget, sampler, rungs and decisions, on the task's own space; the journal keeps reports in
memory only. Two slots are always busy.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
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
    """The settings of a search that strategies differ in. With `grace_epochs` None, nothing is pruned."""

    sampler: str = RunKeys.sampler
    grace_epochs: float | None = tiny10k.laptop.grace_epochs
    reduction_factor: int = RunKeys.reduction_factor
    reports_per_epoch: int = RunKeys.reports_per_epoch

    def __str__(self) -> str:
        name = {"tpe": "TPE"}.get(self.sampler, self.sampler)
        if self.grace_epochs is None:
            return f"{name} without ASHA"
        partial_epochs = f", {self.reports_per_epoch} reports per epoch" if self.reports_per_epoch > 1 else ""
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
    """The course of a played search: seconds spent, number of trials started and best score after each event.

    Only the seconds of finished parts of training count.
    """

    spent: list[float] = field(default_factory=list)
    num_trials: list[int] = field(default_factory=list)
    best: list[float] = field(default_factory=list)

    def add(self, spent: float, num_trials: int, best: float) -> None:
        self.spent.append(spent)
        self.num_trials.append(num_trials)
        self.best.append(best)

    def best_at(self, spent: float) -> float:
        """Returns the best score after a number of seconds, or NaN if no trial had ended yet."""
        return self._last(self.best, spent)

    def trials_at(self, spent: float) -> float:
        return self._last(self.num_trials, spent)

    def _last(self, values: Sequence[float], spent: float) -> float:
        num = bisect_right(self.spent, spent)
        return values[num - 1] if num else math.nan


class NoJournal(Journal):
    """Keeps only reports, in memory: a played search ends with its process."""

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
    """Plays a search until its training seconds are spent, or until `num_trials` trials have ended.

    An event is the end of a part of training in one of the slots, with its validation.
    """
    recorded, every = surrogate.recorded, surrogate.recorded.reports_per_epoch // strategy.reports_per_epoch
    study, played, spent, best = open_study(strategy, surrogate, seed), Play(), 0.0, math.nan
    curves: dict[int, Curve] = {}
    due: list[tuple[float, float, int]] = []

    def train(number: int, now: float) -> None:
        """Schedules the trial's next part: it spans several recorded parts, but is validated only at its end."""
        part = curves[number].part_seconds * (every * (1 - val_share) + val_share)
        heapq.heappush(due, (now + part, part, number))

    def start_trial(now: float) -> None:
        if len(study.trials) < num_trials:
            trial = study.suggest()
            curves[trial.number] = surrogate.curve(trial.params, trial.candidate, seed)
            train(trial.number, now)

    for _ in range(SLOTS):
        start_trial(0.0)
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
            start_trial(now)
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
    """Returns a report with the fields that a study reads; the losses need only be finite."""
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
