"""Retraining: given candidates over several seeds, side by side on the same workers; behind confirm and ablate.

They are a study of their own, whose journal makes it resumable. The seed numbered k is the same one for all of them, so
that they can be compared in pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """A candidate that is trained over several seeds."""

    name: str
    candidate: Candidate
    length: int | None = None
    """After how many parts of an epoch it is scored, for the only time; None where it is after each."""
    trial: int | None = None
    """Its number in the search, if it is of one."""


def open_study(plan: Plan, folder: Path, name: str, identity: dict[str, Any]) -> Study:
    """The study of a retraining, from the journal in its folder if there is one, under the folder's lock.

    Raises ValueError if it was begun with another identity, or if journal or checkpoints are damaged.
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


def given(plan: Plan, subjects: Iterable[Subject], seeds: int, purpose: int) -> dict[str, Given]:
    """By name: all subjects with the first seed, then all with the second, and so on.

    `purpose` keeps the seeds of one use apart from those of another.
    """
    subjects = list(subjects)
    return {
        given_name(subject.name, seed): Given(
            subject.candidate,
            seed=entropy(plan.config.seed, seed, purpose=purpose),
            length=subject.length,
            trial=subject.trial,
        )
        for seed in range(seeds)
        for subject in subjects
    }


def given_name(name: str, seed: int) -> str:
    return f"{name}, seed {seed}"


def subject_name(given_name: str) -> str:
    """The opposite of `given_name`, whatever the seed."""
    return given_name.rpartition(", seed ")[0]


def trained(study: Study, name: str) -> dict[int, TrialRecord]:
    """A subject's trainings that have come to their end, by seed."""
    done = {trial.reference: trial for trial in study.trials if trial.status == Status.COMPLETE}
    names = {seed: given_name(name, seed) for seed in range(len(study.trials))}
    return {seed: done[each] for seed, each in names.items() if each in done}


def again(study: Study, given: Mapping[str, Given], command: str) -> str:
    """How those of the given trainings that the machine has failed are trained again; "" where there are none."""
    failed = study.to_repeat(given.keys())
    if not failed:
        return ""
    told = f"{count(len(failed), 'training')} failed by what may be a fault of the machine"
    return f"{told}. Once that is mended, to try again: {command}"


def failures(study: Study) -> list[str]:
    """A line for each training that failed and was not begun again, with its error."""
    failed = [trial for trial in study.current if trial.status.is_failure or trial.status.is_retryable]
    return [f"{trial.reference}: {trial.status}" + (f", {trial.error}" if trial.error else "") for trial in failed]
