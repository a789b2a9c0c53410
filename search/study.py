"""The study: which candidates were tried, what they reported, how they ended. Its journal is the one record of a run.

Optuna samples in a study in memory, which has its finished trials and nothing else to write; the journal gets one
record for a trial's start, two for each report and two for its end, the last of each being the one that counts. So a
journal cut off anywhere is a study that is a little younger, and `Study.open` rebuilds everything from it: sampler,
rungs and counts.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from results.schema import Status
from search.asha import Asha
from search.tasks import Metric
from spaces.network import InvalidNetwork
from spaces.recipe import Candidate
from spaces.space import Params, Space

FORMAT = 1
MAX_DRAWS = 1_000
"""Draws for one trial before the space counts as exhausted or its budget as too tight."""
SAMPLER_DRAWS = 100
"""Draws that the sampler proposes; after that many rejections in a row, draws are random."""

STATES = {Status.COMPLETE: TrialState.COMPLETE, Status.PRUNED: TrialState.PRUNED}
"""What Optuna is told of an ending; every other one is a FAIL."""


class SearchEnded(Exception):
    """No further candidate can be had; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a network may cost, limits included. None is no limit."""

    max_params: int | None = None
    max_macs: int | None = None

    def rejection(self, candidate: Candidate) -> str | None:
        """Why a candidate is over the budget, or None if it keeps it."""
        if self.max_params is not None and candidate.network.num_params > self.max_params:
            return "over max_params"
        if self.max_macs is not None and candidate.network.num_macs > self.max_macs:
            return "over max_macs"
        return None


@dataclass
class TrialRecord:
    """A numbered trial as the study knows it."""

    number: int
    candidate: Candidate
    seed: int
    origin: str
    reference: str | None = None
    params: Params = field(default_factory=dict)
    status: Status = Status.RUNNING
    reports: list[dict[str, Any]] = field(default_factory=list)
    """In order; each has a Report's fields, and `order`, its place among all reports of the run."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Draws that had to be rejected before this one, by reason."""
    stop_rung: float | None = None
    error: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Study:
    """Asked for candidates, told of reports and endings. Open it with `Study.open`, under the run's lock."""

    def __init__(
        self,
        storage: BaseStorage,
        study_id: int,
        *,
        space: Space,
        budget: Budget,
        objective: Metric,
        asha: Asha,
        sampler: str,
        seed: int,
        reports_per_epoch: int,
    ) -> None:
        self.space, self.budget, self.objective, self.asha = space, budget, objective, asha
        self.sampler, self.seed, self.reports_per_epoch = sampler, seed, reports_per_epoch
        self.trials: list[TrialRecord] = []
        self.rejected: Counter[str] = Counter()
        self.num_draws = 0
        self._journal, self._journal_id = storage, study_id
        self._journal_trials: list[int] = []
        self._memory = InMemoryStorage()
        self._memory_id = self._memory.create_new_study([_direction(objective)], "memory")
        self._memory_trials: dict[int, int] = {}
        self._known: set[str] = set()
        self._num_reports = 0
        self._replay()

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any], *, name: str, **options: Any) -> Study:
        """The study of a journal, which is made if it is not there, under the run's name.

        `identity` is what makes rows comparable. Raises ValueError with the difference if the journal's is another.
        """
        cut_torn_line(path)
        storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_NoLock()))
        studies = storage.get_all_studies()
        if not studies:
            # Named by the run: of Optuna's default name, two in one storage would merge
            study_id = storage.create_new_study([_direction(options["objective"])], name)
            storage.set_study_user_attr(study_id, "frugal", {"format": FORMAT, "identity": identity})
        else:
            study_id = studies[0]._study_id
            _check_identity(path, studies[0].user_attrs.get("frugal"), identity)
            if not studies[0].user_attrs:  # killed between the two records above
                storage.set_study_user_attr(study_id, "frugal", {"format": FORMAT, "identity": identity})
        return cls(storage, study_id, **options)

    def running(self) -> list[TrialRecord]:
        """Trials that have not ended: live ones, or, in a run just reopened, orphans to be issued again."""
        return [trial for trial in self.trials if trial.status == Status.RUNNING]

    def add_reference(self, name: str, candidate: Candidate) -> TrialRecord:
        """Starts a published network as the next trial."""
        return self._start(candidate, {}, origin="reference", reference=name)

    def suggest(self) -> TrialRecord:
        """Draws and starts a candidate that keeps the budget and was not tried before. Raises SearchEnded."""
        rejected: Counter[str] = Counter()
        sampler = self._make_sampler()
        for draw in range(MAX_DRAWS):
            if draw == SAMPLER_DRAWS:
                sampler = RandomSampler(seed=self._entropy(len(self.trials), 2))
            study = optuna.load_study(study_name="memory", storage=self._memory, sampler=sampler)
            trial = study.ask()
            params = self.space.draw(partial(suggest_value, trial))
            candidate, reason = self._judge(params)
            if candidate and not reason:
                record = self._start(candidate, params, origin=self.sampler, rejected=rejected)
                self._memory_trials[record.number] = trial._trial_id
                return record
            rejected[reason or "invalid"] += 1
            study.tell(trial, state=TrialState.FAIL)
        self.rejected += rejected
        self.num_draws += MAX_DRAWS
        raise SearchEnded(_why_ended(rejected))

    def report(self, number: int, report: dict[str, Any]) -> Status:
        """Takes a trial's next report and answers how the trial stands: RUNNING if it goes on, else how it ended.

        A report that is known already, from a trial that went on from its last checkpoint, changes nothing.
        """
        trial = self.trials[number]
        if trial.status != Status.RUNNING or report["step"] <= len(trial.reports):
            return trial.status
        report = {**report, "order": self._num_reports}
        journal_id = self._journal_trials[number]
        self._journal.set_trial_user_attr(journal_id, f"report:{report['step']}", _finite_json(report))
        self._journal.set_trial_intermediate_value(journal_id, report["step"], report["val_score"])
        return self._take(trial, report, record=True)

    def end(self, number: int, status: Status, *, error: str | None = None, stop_rung: float | None = None) -> None:
        """Ends a trial that runs; Optuna is told COMPLETE with the last value, PRUNED with its reports, or FAIL."""
        trial = self.trials[number]
        if trial.status != Status.RUNNING:
            return
        ending = {"status": str(status), "error": error, "stop_rung": stop_rung}
        journal_id = self._journal_trials[number]
        self._journal.set_trial_user_attr(journal_id, "ending", ending)
        values = [trial.reports[-1]["val_score"]] if status == Status.COMPLETE else None
        self._journal.set_trial_state_values(journal_id, STATES.get(status, TrialState.FAIL), values)
        self._finish(trial, ending, datetime.now(UTC))

    def best(self) -> TrialRecord | None:
        """The completed trial with the best final score, the earlier one of equals."""
        completed = [trial for trial in self.trials if trial.status == Status.COMPLETE]
        sign = self._sign()
        return max(completed, key=lambda t: (sign * t.reports[-1]["val_score"], -t.number), default=None)

    def acceptance(self) -> float:
        """The share of all draws that became trials."""
        return 1 - self.rejected.total() / self.num_draws if self.num_draws else math.nan

    def _judge(self, params: Params) -> tuple[Candidate | None, str | None]:
        try:
            candidate = self.space.build(params)
            reason = self.budget.rejection(candidate)
        except InvalidNetwork:
            return None, "image shrinks to nothing"
        if not reason and candidate.to_json() in self._known:
            reason = "equal to an earlier trial"
        return candidate, reason

    def _start(
        self,
        candidate: Candidate,
        params: Params,
        *,
        origin: str,
        reference: str | None = None,
        rejected: Counter[str] | None = None,
    ) -> TrialRecord:
        number = len(self.trials)
        trial = TrialRecord(
            number=number,
            candidate=candidate,
            params=params,
            seed=self._entropy(number, 0),
            origin=origin,
            reference=reference,
            rejected=rejected or Counter(),
            started_at=datetime.now(UTC),
        )
        attrs = {
            "candidate": candidate.to_json(),
            "seed": trial.seed,
            "origin": origin,
            "reference": reference,
            "rejected": dict(trial.rejected),
        }
        template = create_trial(
            state=TrialState.RUNNING, params=params, distributions=self.space.distributions(params), user_attrs=attrs
        )
        template.datetime_start = trial.started_at
        self._journal_trials.append(self._journal.create_new_trial(self._journal_id, template_trial=template))
        self._add(trial)
        return trial

    def _add(self, trial: TrialRecord) -> None:
        self.trials.append(trial)
        self._known.add(trial.candidate.to_json())
        self.rejected += trial.rejected
        self.num_draws += trial.rejected.total() + (trial.reference is None)

    def _take(self, trial: TrialRecord, report: dict[str, Any], record: bool) -> Status:
        """A report's consequences, the same for a live one (`record`) and for one read from the journal."""
        trial.reports.append(report)
        self._num_reports = max(self._num_reports, report["order"] + 1)
        ending = self._ending(trial, report)
        if ending is None:
            return Status.RUNNING
        status, stop_rung = ending
        if record:
            self.end(trial.number, status, stop_rung=stop_rung)
        return status

    def _ending(self, trial: TrialRecord, report: dict[str, Any]) -> tuple[Status, float | None] | None:
        if not all(math.isfinite(report[name]) for name in ("train_loss", "val_loss", "val_score")):
            return Status.FAILED_NAN, None
        # References are there to be compared with: they are trained in full, and take no place in a rung
        if trial.reference is None and not self.asha.goes_on(report["step"], self._sign() * report["val_score"]):
            return Status.PRUNED, report["step"] / self.reports_per_epoch
        return (Status.COMPLETE, None) if report["finished"] else None

    def _finish(self, trial: TrialRecord, ending: dict[str, Any], ended_at: datetime | None) -> None:
        trial.status, trial.error = Status(ending["status"]), ending["error"]
        trial.stop_rung, trial.ended_at = ending["stop_rung"], ended_at
        memory_id = self._memory_trials.get(trial.number)
        if memory_id is None:
            return
        state = STATES.get(trial.status, TrialState.FAIL)
        if state != TrialState.FAIL:
            for report in trial.reports:
                self._memory.set_trial_intermediate_value(memory_id, report["step"], report["val_score"])
        values = [trial.reports[-1]["val_score"]] if state != TrialState.FAIL else None
        self._memory.set_trial_state_values(memory_id, state, values)

    def _replay(self) -> None:
        """Rebuilds trials, rungs and the sampler's study from the journal, in the order in which things happened."""
        frozen = self._journal.get_all_trials(self._journal_id, deepcopy=False)
        for entry in frozen:
            self._journal_trials.append(entry._trial_id)
            trial = _record(entry)
            self._add(trial)
            if trial.reference is None:
                template = create_trial(
                    state=TrialState.RUNNING, params=entry.params, distributions=entry.distributions
                )
                self._memory_trials[trial.number] = self._memory.create_new_trial(self._memory_id, template)
        reports = [
            (entry.number, _report(entry, step)) for entry in frozen for step in sorted(entry.intermediate_values)
        ]
        for number, report in sorted(reports, key=lambda item: item[1]["order"]):
            # An ending that was decided but not written any more is written now
            self._take(self.trials[number], report, record=not frozen[number].state.is_finished())
        for entry in frozen:
            if entry.state.is_finished():
                self._finish(self.trials[entry.number], entry.user_attrs["ending"], entry.datetime_complete)

    def _make_sampler(self) -> BaseSampler:
        """Afresh for each suggestion, its random state made of the run's seed and the trial's number alone."""
        seed = self._entropy(len(self.trials), 1)
        if self.sampler == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group=True
            return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def _entropy(self, number: int, purpose: int) -> int:
        return int(np.random.SeedSequence([self.seed, number, purpose]).generate_state(1)[0])

    def _sign(self) -> int:
        return 1 if self.objective.direction == "maximize" else -1


def suggest_value(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
    raise TypeError(f"{name}: unknown distribution {distribution!r}")


def cut_torn_line(path: Path) -> None:
    """Removes what a killed process left of a last line: appending after it would break the next read."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


class _NoLock(BaseJournalFileLock):
    """The run's own lock keeps other processes out; Optuna's, left by a killed process, would stall us for 30 s."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _direction(objective: Metric) -> optuna.study.StudyDirection:
    return optuna.study.StudyDirection[objective.direction.upper()]


def _check_identity(path: Path, found: dict[str, Any] | None, identity: dict[str, Any]) -> None:
    if found is None:
        return
    if found["format"] != FORMAT:
        raise ValueError(f"{path}: written in format {found['format']}; this version of Frugal reads format {FORMAT}")
    before = found["identity"]
    changed = [name for name in {**before, **identity} if before.get(name) != identity.get(name)]
    if changed:
        lines = "; ".join(f"{name} was {before.get(name)}, is now {identity.get(name)}" for name in changed)
        raise ValueError(
            f"{path.parent}: a run that exists goes on as it began, or its rows would not compare: {lines}"
        )


def _record(entry: FrozenTrial) -> TrialRecord:
    attrs = entry.user_attrs
    return TrialRecord(
        number=entry.number,
        candidate=Candidate.from_json(attrs["candidate"]),
        seed=attrs["seed"],
        origin=attrs["origin"],
        reference=attrs["reference"],
        params=dict(entry.params),
        rejected=Counter(attrs["rejected"]),
        started_at=entry.datetime_start,
    )


def _report(entry: FrozenTrial, step: int) -> dict[str, Any]:
    report = entry.user_attrs[f"report:{step}"]
    return {name: math.nan if value is None and name in _FLOATS else value for name, value in report.items()}


_FLOATS = ("train_loss", "val_loss", "val_score")


def _finite_json(report: dict[str, Any]) -> dict[str, Any]:
    """A report without NaN and infinity, which JSON does not know; they are read back as NaN."""
    return {name: None if name in _FLOATS and not math.isfinite(value) else value for name, value in report.items()}


def _why_ended(rejected: Counter[str]) -> str:
    rates = ", ".join(f"{count / MAX_DRAWS:.0%} {reason}" for reason, count in rejected.most_common())
    if rejected["equal to an earlier trial"]:
        return f"the space is exhausted: {MAX_DRAWS} draws gave nothing new that keeps the budget ({rates})"
    return f"the budget is too tight for the space: {MAX_DRAWS} draws in a row were rejected ({rates})"
