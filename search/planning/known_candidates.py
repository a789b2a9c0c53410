"""Finds known candidates by name: the published networks of a task, and the trials of earlier runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from results.fetch import fetch_run
from results.schema import Status
from search.runs.folder import RunFolder
from search.study.journal import Entry, Journal
from search.tasks import Task
from spaces.recipe import Candidate, with_weights
from spaces.space import Params


@dataclass(frozen=True)
class Base:
    """A candidate with its name, and with its parameters if it was drawn from the space."""

    name: str
    candidate: Candidate
    params: Params


def find_base(name: str, task: Task, weights: Literal["imagenet", "random"], runs_dir: str) -> Base:
    """Returns the candidate of a name: a published network, RUN/NUMBER for a trial, or RUN for its best completed one.

    Raises ValueError, with the names that there are.
    """
    if name in task.references:
        return Base(name, with_weights(task.references[name].candidate, weights), {})
    run, _, number = name.partition("/")
    folder = RunFolder(fetch_run(runs_dir, run)) if run else None
    if not folder or not folder.journal.is_file():
        raise ValueError(
            f"base={name}: neither a published network of task={task.name} ({', '.join(task.references) or 'none'}) "
            f"nor a run in {runs_dir}; RUN/NUMBER is a run's trial, and RUN alone its best one, where RUN is the "
            "current name of the run's folder"
        )
    journal = Journal.read(folder.journal)
    if (of_task := journal.identity.get("task")) != task.name:
        raise ValueError(f"base={name}: a run of task={of_task}, not of task={task.name}")
    trial = (_numbered_entry(journal, name, number) if number else _best_entry(journal, name, task)).trial
    return Base(f"{run}/{trial.number}", trial.candidate, trial.params)


def completed_entries(journal: Journal, task: Task) -> list[Entry]:
    """Returns the completed trials that were drawn from the space, best first."""
    entries = [
        e for e in journal.entries() if e.ending and e.ending.status == Status.COMPLETE and not e.trial.reference
    ]
    return sorted(entries, key=lambda entry: -task.objective.signed(entry.reports[-1].val_score))


def _numbered_entry(journal: Journal, name: str, number: str) -> Entry:
    entries = journal.entries()
    if not number.isdecimal() or int(number) >= len(entries):
        numbers = f"trials 0 to {len(entries) - 1}" if entries else "no trials yet"
        raise ValueError(f"base={name}: the run has {numbers}")
    return entries[int(number)]


def _best_entry(journal: Journal, name: str, task: Task) -> Entry:
    entries = completed_entries(journal, task)
    if not entries:
        raise ValueError(f"base={name}: no candidate of this run was trained to its end; name a trial, {name}/NUMBER")
    return entries[0]
