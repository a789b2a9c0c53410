"""Job: what a study has to train, a search's or a retraining's, and what becomes of the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from data.splits import Splits
from search.planning.plan import Plan
from search.runs.folder import BEST, RunFolder
from search.runs.study_tables import write_tables
from search.study.study import Study
from search.study.trial import TrialRecord
from spaces.goal import Goal
from spaces.recipe import Candidate
from spaces.space import Params
from trainables.task_code import TaskCode
from trainables.trial_spec import TrialSpec


@dataclass(frozen=True)
class Given:
    """A candidate that is not drawn: a published network, or one that a search has found."""

    candidate: Candidate
    _: KW_ONLY
    seed: int | None = None
    """None for the study's own choice, which depends on the trial's number."""
    length: int | None = None
    """The number of parts of an epoch after which it is scored, once, and ends. None to score after each part."""
    trial: int | None = None
    """Its number in the search, for its model file. None if it is not from a search."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained in a study's folder, and what becomes of the results."""

    folder: RunFolder
    goal: Goal
    max_epochs: int
    """The epochs that schedules are stretched over."""
    num_trials: int
    """The number of candidates to draw, beside the given ones."""
    given: Mapping[str, Given]
    """Candidates by name that are trained in full, before all others."""
    warm: Sequence[tuple[Candidate, Params]] = ()
    """Earlier runs' candidates, which are tried before any is drawn and count among `num_trials`."""
    reports_per_epoch: int
    max_failures: int
    record_steps: bool
    """Whether a trial's training step is recorded once and replayed."""
    data_dir: Path
    """Where workers cache the features of frozen backbones, if their nodes can write there."""
    code: TaskCode | None
    """The code of a user's own task, for workers."""
    facts: Mapping[str, object]
    """JSON values that a model file records about its origin."""
    models: Path
    model_name: Callable[[Study, int], str | None]
    """Returns the name without suffix under which to keep the results of a trial that has just ended, or None."""
    write_tables: Callable[[Study, bool], None]
    """Writes the tables of a study; the flag says whether its trials are still running. Raises StorageError."""


def trial_spec(trial: TrialRecord, job: Job) -> TrialSpec:
    """Returns what a worker needs to train a trial of a job."""
    given = job.given.get(trial.reference or "")
    number = trial.number if given is None or given.trial is None else given.trial
    return TrialSpec(
        number=trial.number,
        candidate=trial.candidate,
        goal=job.goal,
        seed=trial.seed,
        epochs=job.max_epochs,
        reports_per_epoch=job.reports_per_epoch,
        record_steps=job.record_steps,
        data_dir=job.data_dir,
        length=given.length if given else None,
        facts={**job.facts, "goal": job.goal.to_json(), "trial": number},
    )


def search_job(plan: Plan, splits: Splits) -> Job:
    """Returns the job of a search: the space's candidates and the references, keeping the best one's model."""
    origin = plan.origin(splits)
    return Job(
        folder=plan.folder,
        goal=plan.goal,
        max_epochs=plan.max_epochs,
        num_trials=plan.num_trials,
        given={name: Given(candidate) for name, candidate in plan.references().items()},
        reports_per_epoch=plan.config.reports_per_epoch,
        max_failures=plan.config.max_failures,
        record_steps=plan.config.record_steps,
        data_dir=plan.data_dir,
        code=plan.task.code,
        facts=origin.facts(),
        models=plan.folder.models,
        model_name=_best_model,
        write_tables=lambda study, is_live: write_tables(study, origin, plan.folder.path, is_live=is_live),
    )


def _best_model(study: Study, number: int) -> str | None:
    best = study.best
    return BEST if best and best.number == number else None
