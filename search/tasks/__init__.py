"""One file for each task, which has the task's name; `names` and `find` look the tasks up here.

A file defines the parts of a task by name: `data`, `space`, `goal`, `max_params` and so on, as a user's own task file
does; `own` makes the Task of both. It imports spaces and data, and neither torch nor Ray.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from data.splits import Dataset
from spaces.goal import Classify, Goal, Metric
from spaces.recipe import Candidate
from spaces.space import Space, Value
from trainables.task_code import TaskCode

__all__ = ["Metric", "Reference", "Scale", "Task", "find", "names"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The default size of a task's search. None means all examples, or no limit."""

    num_trials: int
    max_epochs: int
    grace_epochs: int = 1
    max_macs: int | None = None
    train_examples: int | None = None
    val_examples: int | None = None
    dataset: Dataset | None = None
    """Replaces the task's dataset, for made data of another size."""
    fix: Mapping[str, Value] = field(default_factory=dict)
    """Values of parameters that are not searched at this scale."""

    def __post_init__(self) -> None:
        counts = ("num_trials", "max_epochs", "grace_epochs", "max_macs", "train_examples", "val_examples")
        for name in counts:
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"Scale({name}={value!r}): expected a whole number above 0")


@dataclass(frozen=True)
class Reference:
    """A published network with its recipe, which a search trains in addition to its own candidates."""

    candidate: Candidate
    num_params: int
    """The published number of parameters, without running statistics. The contract tests check it."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A search problem: data, goal, search space, budget and baselines.

    `laptop` is a search of about 15 minutes on 2 CPU cores; `full` is one for GPUs.
    """

    name: str
    sentence: str
    dataset: Dataset
    space: Space
    laptop: Scale
    full: Scale
    goal: Goal = field(default_factory=Classify)
    max_params: int | None = None
    max_code: int | None = None
    references: Mapping[str, Reference] = field(default_factory=dict)
    gpus_per_trial: float = 1.0
    """The share of a GPU that a trial takes, if there are GPUs."""
    tailor: Callable[[Path], Task] | None = None
    """Makes the task for a user's own data; None if the task cannot be applied to them."""
    code: TaskCode | None = None
    """The code of a user's own task, which workers execute too."""

    @property
    def objective(self) -> Metric:
        return self.goal.metric

    def scale(self, name: str) -> Scale:
        """Returns the scale called laptop or full."""
        return {"laptop": self.laptop, "full": self.full}[name]


FOUND: dict[str, Task] = {}
"""The tasks that were looked up so far, by name."""


def names() -> list[str]:
    """Returns all tasks' names, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)


def find(name: str) -> Task:
    """Returns the task of this name. Raises ValueError, with all names, if there is none."""
    if name not in names():
        raise ValueError(f"task={name}: there is no such task; there are {', '.join(names())}, and task=FILE.py")
    if name not in FOUND:
        from search.tasks.own.assembling import declared  # here, since it needs this module

        FOUND[name] = declared(name, import_module(f"{__name__}.{name}"))
    return FOUND[name]
