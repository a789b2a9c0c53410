"""The study: the candidates that were tried, their reports, and how they ended.

All its state is in its journal. `Study.open` rebuilds trials, rungs, counts and the sampler's history from there, with
the same code that a live run uses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from results.schema import Status
from search.study.budget import Budget, judge
from search.study.journal import Entry, Journal
from search.study.journal_file import reading
from search.study.pruning.pruner import Pruner
from search.study.sampling.registry import SAMPLERS
from search.study.sampling.sampler import MAX_DRAWS, Problem
from search.study.seeds import entropy
from search.study.trial import KNOWN, WARM, Ending, Reported, TrialRecord
from spaces.goal import Metric
from spaces.recipe import Candidate
from spaces.report import Report
from spaces.space import Params, Space

REPEATED = "equal to an earlier trial"


class SearchEnded(Exception):
    """Raised if no further candidate can be drawn; the message gives the reason."""


class Study:
    """Suggests candidates and decides on their reports. Open it with `Study.open`, under the run's lock."""

    def __init__(
        self,
        journal: Journal,
        *,
        space: Space,
        budget: Budget,
        objective: Metric,
        last_step: int,
        pruner: Pruner,
        sampler: str,
        seed: int,
        reports_per_epoch: int,
    ) -> None:
        self.space, self.budget, self.objective = space, budget, objective
        self.last_step = last_step
        """The number of reports of a whole trial."""
        self.pruner = pruner
        self.sampler, self.seed, self.reports_per_epoch = sampler, seed, reports_per_epoch
        self.trials: list[TrialRecord] = []
        self.num_drawn = 0
        """The number of candidates other than references. One that failed and was retried counts once."""
        self.repeated: dict[int, int] = {}
        """Maps the number of each failed trial that was retried to that of its retry."""
        self.best: TrialRecord | None = None
        """The completed trial with the best final score, the first of equals."""
        self._running: dict[int, TrialRecord] = {}
        self.rejected: Counter[str] = Counter()
        self.num_draws = 0
        self._num_reports = 0
        self._known: set[str] = set()
        self._journal = journal
        self._sampler = SAMPLERS[sampler].make(
            Problem(space=space, budget=budget, objective=objective, last_step=last_step, seed=seed)
        )
        self._replay(journal.entries())

    @classmethod
    def open(cls, path: Path, identity: Mapping[str, object], *, name: str, objective: Metric, **options: Any) -> Study:
        """Opens the study of a journal, which is created if it is missing. Raises ValueError as `Journal.open` does."""
        journal = Journal.open(path, identity, name=name, objective=objective)
        with reading(path):
            return cls(journal, objective=objective, **options)

    def running(self) -> list[TrialRecord]:
        """Returns the trials that have not ended. In a run that was just reopened, they are orphans to issue again."""
        return list(self._running.values())

    @property
    def current(self) -> list[TrialRecord]:
        """All trials except those that failed and were retried, so that each candidate occurs once."""
        return [trial for trial in self.trials if trial.number not in self.repeated]

    def to_repeat(self, references: Container[str]) -> list[TrialRecord]:
        """Returns the trials that a fault of the machine may have ended, without references other than these."""
        retryable = [trial for trial in self.current if trial.status.is_retryable]
        return [trial for trial in retryable if trial.reference is None or trial.reference in references]

    def repeat(self, failed: TrialRecord) -> TrialRecord:
        """Starts a failed trial's candidate again, with its seed, as the next trial.

        Optuna's journal accepts no record of a trial that has ended, so the failed trial stays as it is.
        """
        assert failed.status.is_retryable
        assert failed.number not in self.repeated
        record = self._record(failed.candidate, origin=failed.origin, reference=failed.reference, params=failed.params)
        return self._start(replace(record, seed=failed.seed, repeats=failed.number))

    def add_reference(self, name: str, candidate: Candidate, seed: int | None = None) -> TrialRecord:
        """Starts a candidate that was not drawn here, such as a published network, as the next trial."""
        trial = self._record(candidate, origin="reference", reference=name)
        return self._start(trial if seed is None else replace(trial, seed=seed))

    def add_warm(self, candidate: Candidate, params: Params) -> TrialRecord:
        """Starts an earlier run's candidate, which is a point of this space, as the next trial."""
        return self._start(self._record(candidate, origin=WARM, params=params))

    def add_known(self, candidate: Candidate, params: Params, seed: int, reports: Sequence[Report]) -> TrialRecord:
        """Imports an earlier run's trial with its curve, which the pruner sees as if it had been trained here."""
        record = replace(self._record(candidate, origin=KNOWN, params=params), seed=seed)
        trial = self._start(record)
        for report in reports:
            self.report(trial.number, report)
        return trial

    def note(self, name: str, value: object) -> None:
        """Records a JSON value about the whole study in its journal, under a name that no other note has."""
        self._journal.note(name, value)

    def notes(self) -> dict[str, Any]:
        """Returns all notes by name."""
        return self._journal.notes()

    def knows(self, candidate: Candidate) -> bool:
        """Returns whether a trial has this candidate."""
        return candidate.to_json() in self._known

    def suggest(self) -> TrialRecord:
        """Draws and starts a new candidate within the budget. Raises SearchEnded if none is found."""
        rejected: Counter[str] = Counter()

        def gate(params: Params) -> Candidate | None:
            candidate, reason = self._judge(params)
            if reason:
                rejected[reason] += 1
            return None if reason else candidate

        for params in islice(self._sampler.draws(len(self.trials), gate), MAX_DRAWS):
            if candidate := gate(params):
                record = self._record(candidate, origin=self.sampler, params=params)
                return self._start(replace(record, rejected=rejected))
        self.rejected += rejected
        self.num_draws += rejected.total()
        raise SearchEnded(_why_ended(rejected))

    def report(self, number: int, report: Report) -> Status:
        """Receives a trial's next report, and returns the trial's status: RUNNING if it continues.

        A report that is known already, since its trial resumed from its last checkpoint, changes nothing.
        """
        trial = self.trials[number]
        if trial.status != Status.RUNNING or report.step <= len(trial.reports):
            return trial.status
        reported = Reported.of(report, self._num_reports)
        self._journal.report(number, reported)
        if ending := self._take(trial, reported):
            self.end(number, ending.status, stop_rung=ending.stop_rung)
        return trial.status

    def end(self, number: int, status: Status, *, error: str | None = None, stop_rung: float | None = None) -> None:
        """Ends a running trial. Optuna's state is COMPLETE with the last value, PRUNED with its reports, or FAIL."""
        trial = self.trials[number]
        if trial.status != Status.RUNNING:
            return
        ending = Ending(status, error, stop_rung, datetime.now(UTC))
        self._journal.end(number, ending, trial.reports[-1].val_score if status == Status.COMPLETE else None)
        trial.reports = self._journal.reports(number)  # their values are then in memory once, as the journal holds them
        self._finish(trial, ending)

    def best_report(self, trial: TrialRecord) -> Reported | None:
        """Returns a trial's report with the best finite score, the first of equals, or None if it has none."""
        finite = [report for report in trial.reports if math.isfinite(report.val_score)]
        return max(finite, key=lambda report: self.signed(report.val_score), default=None)

    def acceptance(self) -> float:
        """Returns the share of all draws that became trials."""
        return 1 - self.rejected.total() / self.num_draws if self.num_draws else math.nan

    def signed(self, score: float) -> float:
        """Returns the score as one to maximize."""
        return self.objective.signed(score)

    def rank(self, completed: TrialRecord) -> tuple[float, float, int]:
        """Returns a completed trial's rank as one to maximize: by score, then by validation loss and number.

        Few validation examples give many trials the same score.
        """
        last = completed.reports[-1]
        loss = last.val_loss if math.isfinite(last.val_loss) else math.inf
        return self.signed(last.val_score), -loss, -completed.number

    def _judge(self, params: Params) -> tuple[Candidate | None, str | None]:
        candidate, reason = judge(self.space, self.budget, params)
        if candidate and not reason and candidate.to_json() in self._known:
            reason = REPEATED
        return candidate, reason

    def _record(
        self, candidate: Candidate, *, origin: str, reference: str | None = None, params: Params | None = None
    ) -> TrialRecord:
        """Returns the next trial, with a seed of its own."""
        number = len(self.trials)
        return TrialRecord(
            number=number,
            candidate=candidate,
            seed=entropy(self.seed, number, purpose=0),
            origin=origin,
            reference=reference,
            params=params or {},
            started_at=datetime.now(UTC),
        )

    def _start(self, trial: TrialRecord) -> TrialRecord:
        self._journal.start(trial, self.space.distributions(trial.params))
        self._add(trial)
        return trial

    def _add(self, trial: TrialRecord) -> None:
        self.trials.append(trial)
        self._running[trial.number] = trial
        if trial.repeats is not None:
            self.repeated[trial.repeats] = trial.number
        if trial.reference is None:
            self.num_drawn += trial.repeats is None
            self._sampler.start(trial)
        self._known.add(trial.candidate.to_json())
        self.rejected += trial.rejected
        is_drawn = trial.reference is None and trial.repeats is None and not trial.is_earlier
        self.num_draws += trial.rejected.total() + is_drawn

    def _take(self, trial: TrialRecord, report: Reported) -> Ending | None:
        """Adds a report. Returns the trial's ending if the trial ends with it."""
        trial.reports.append(report)
        self._num_reports = report.order + 1
        if not report.is_finite:
            return Ending(Status.FAILED_NAN)
        # References are trained in full for comparison, and the pruner does not see them. Nor does it see a retried
        # trial's reports as far as it has seen those of the failed trial
        is_exempt = trial.reference is not None or report.step <= self._num_reported_before(trial)
        continues = is_exempt or self.pruner.should_continue(report.step, self.signed(report.val_score))
        if not continues and trial.origin != KNOWN:  # an imported curve costs nothing more
            return Ending(Status.PRUNED, stop_rung=report.step / self.reports_per_epoch)
        # Checked here as well as by the worker, so that no trial can run past its end
        return Ending(Status.COMPLETE) if report.finished or report.step >= self.last_step else None

    def _num_reported_before(self, trial: TrialRecord) -> int:
        """Returns the largest number of reports among the failed trials that this one repeats, or 0."""
        furthest = 0
        while trial.repeats is not None:
            trial = self.trials[trial.repeats]
            furthest = max(furthest, len(trial.reports))
        return furthest

    def _finish(self, trial: TrialRecord, ending: Ending) -> None:
        trial.status, trial.error = ending.status, ending.error
        trial.stop_rung, trial.ended_at = ending.stop_rung, ending.at
        del self._running[trial.number]
        self._sampler.end(trial)
        if trial.status == Status.COMPLETE and (self.best is None or self.rank(trial) > self.rank(self.best)):
            self.best = trial

    def _replay(self, entries: list[Entry]) -> None:
        """Replays the journal's reports in the order in which they arrived."""
        reports = [(entry, report) for entry in entries for report in entry.reports]
        reports.sort(key=lambda pair: pair[1].order)
        self._check_whole(entries, [report.order for _, report in reports])
        for entry in entries:
            self._add(entry.trial)
        for entry, report in reports:
            decided = self._take(entry.trial, report)
            if decided and not entry.ending:  # the process was killed before it wrote the ending
                self.end(entry.trial.number, decided.status, stop_rung=decided.stop_rung)
        for entry in entries:
            if entry.ending:
                self._finish(entry.trial, entry.ending)

    def _check_whole(self, entries: list[Entry], orders: list[int]) -> None:
        """Raises ValueError if a record is missing or occurs twice, which Optuna does not check."""
        for number, entry in enumerate(entries):
            if entry.trial.repeats is not None:
                _check_repeats(entry, entries[:number])
            is_drawn = entry.trial.reference is None and entry.trial.origin != KNOWN
            if is_drawn and entry.trial.repeats is None and entry.trial.seed != entropy(self.seed, number, purpose=0):
                raise ValueError(f"trial {number} belongs to another run: its seed does not match")
            if [report.step for report in entry.reports] != list(range(1, len(entry.reports) + 1)):
                raise ValueError(f"a report of trial {number} is missing")
        if orders != list(range(len(orders))):
            raise ValueError("reports are missing")


def _check_repeats(entry: Entry, before: list[Entry]) -> None:
    """Raises ValueError unless the trial is the only one that repeats a certain earlier trial, which failed."""
    trial, failed = entry.trial, [each for each in before if each.trial.number == entry.trial.repeats]
    is_right = [
        (each.trial.candidate, each.trial.seed) == (trial.candidate, trial.seed)
        and each.ending is not None
        and each.ending.status.is_retryable
        for each in failed
    ]
    if is_right != [True] or any(each.trial.repeats == trial.repeats for each in before):
        raise ValueError(
            f"trial {trial.number} repeats trial {trial.repeats}, which did not fail before it, or is repeated twice"
        )


def _why_ended(rejected: Counter[str]) -> str:
    num_draws = rejected.total()
    rates = ", ".join(f"{count / num_draws:.0%} {reason}" for reason, count in rejected.most_common())
    if rejected[REPEATED]:
        return f"the space is exhausted: {num_draws} draws gave no new candidate within the budget ({rates})"
    return f"the budget is too tight for the space: {num_draws} draws in a row were rejected ({rates})"
