"""Retraining: trains given candidates with several seeds, in parallel on the same workers.

Confirmations and ablations use it. A retraining is a study of its own, and its journal makes it resumable. Seed k is
the same number for all candidates, so that they can be compared in pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from results.schema import Status
from results.wording import count
from search.planning.plan import Plan
from search.study.budget import Budget
from search.study.pruning.none import NoPruning
from search.study.seeds import entropy
from search.study.study import Study
from search.study.trial import TrialRecord
from search.trials.checkpoints import check_checkpoints
from search.trials.job import Given
from spaces.recipe import Candidate


@dataclass(frozen=True)
class Subject:
    """A candidate that is trained with several seeds."""

    name: str
    candidate: Candidate
    length: int | None = None
    """The number of parts of an epoch after which it is scored, once, and ends. None to score after each part."""
    trial: int | None = None
    """Its number in the search. None if it is not from a search."""


def open_study(plan: Plan, folder: Path, name: str, identity: Mapping[str, object]) -> Study:
    """Opens the study of a retraining, and creates its journal if it is missing. The caller holds the folder's lock.

    Raises ValueError if it was started with another identity, or if journal or checkpoints are damaged.
    """
    reports_per_epoch = plan.config.reports_per_epoch
    study = Study.open(
        folder / "journal.log",
        {**identity, "max_epochs": plan.max_epochs, "reports_per_epoch": reports_per_epoch},
        name=name,
        space=plan.space,
        budget=Budget(),
        objective=plan.task.objective,
        last_step=plan.max_epochs * reports_per_epoch,
        pruner=NoPruning(),
        sampler="random",
        seed=plan.config.seed,
        reports_per_epoch=reports_per_epoch,
    )
    check_checkpoints(folder, [trial.number for trial in study.running()])
    return study


def plan_trainings(plan: Plan, subjects: Iterable[Subject], seeds: int, purpose: int) -> dict[str, Given]:
    """Returns the trainings by name: all subjects with the first seed, then all with the second, and so on.

    `purpose` keeps the seeds of a confirmation apart from those of an ablation.
    """
    subjects = list(subjects)
    return {
        training_name(subject.name, seed): Given(
            subject.candidate,
            seed=entropy(plan.config.seed, seed, purpose=purpose),
            length=subject.length,
            trial=subject.trial,
        )
        for seed in range(seeds)
        for subject in subjects
    }


def training_name(subject: str, seed: int) -> str:
    return f"{subject}, seed {seed}"


def subject_name(training_name: str) -> str:
    """Returns the subject of a training by the training's name."""
    return training_name.rpartition(", seed ")[0]


def completed_trainings(study: Study, name: str) -> dict[int, TrialRecord]:
    """Returns a subject's completed trainings by seed."""
    done = {trial.reference: trial for trial in study.trials if trial.status == Status.COMPLETE}
    names = {seed: training_name(name, seed) for seed in range(len(study.trials))}
    return {seed: done[each] for seed, each in names.items() if each in done}


def describe_retryable(study: Study, given: Mapping[str, Given], command: str) -> str:
    """Returns how to retry those of the given trainings that the machine may have failed; "" if there are none."""
    failed = study.to_repeat(given.keys())
    if not failed:
        return ""
    trainings = count(len(failed), "training")
    return f"{trainings} may have failed because of the machine. After fixing it, retry with: {command}"


def failures(study: Study) -> list[str]:
    """Returns a line for each training that failed and was not retried, with its error."""
    failed = [trial for trial in study.current if trial.status.is_failure or trial.status.is_retryable]
    return [f"{trial.reference}: {trial.status}" + (f", {trial.error}" if trial.error else "") for trial in failed]
