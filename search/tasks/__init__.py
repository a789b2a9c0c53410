"""One file a task; each exports TASK. The file's name is the task's name: `find` and `names` look no further."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal

from data.splits import Dataset
from spaces.recipe import Candidate
from spaces.space import Space


@dataclass(frozen=True)
class Metric:
    """What a search improves: a name for people, and in which direction better lies."""

    name: str
    direction: Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is searched for: on which data, in which space, under which budget, beside which published networks."""

    name: str
    sentence: str
    dataset: Dataset
    space: Space
    objective: Metric
    max_epochs: int
    max_params: int | None = None
    max_macs: int | None = None
    references: Mapping[str, Candidate] = field(default_factory=dict)
    gpus_per_trial: float = 1.0
    """Share of a GPU that a trial takes where there are GPUs."""


def names() -> list[str]:
    """All tasks' names, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Task:
    """The task of a name. Raises ValueError with the names that there are."""
    if name not in names():
        raise ValueError(f"task={name}: there is no such task; there are {', '.join(names())}")
    task: Task = import_module(f"{__name__}.{name}").TASK
    assert task.name == name, f"search/tasks/{name}.py exports a task called {task.name}"
    return task
