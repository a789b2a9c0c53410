"""The parts of a user's own task, from a file or from Python. Only `data` is required."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from data.splits import Dataset, Splits
from search.tasks import Scale, Task, names
from search.tasks.own.function_text import function_text
from search.tasks.own.imports import check_imports
from spaces.choose import Choose
from spaces.goal import Custom, Goal
from spaces.recipe import Recipe
from spaces.space import Space
from trainables.task_code import TaskCode, TaskFileError

PYTHON = "<python>"
"""The path of a task that was given in Python."""
CLOSE = 0.8
"""The similarity, from 0 to 1, at which an unknown name counts as a misspelt one."""


Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Cost:
    """What a network costs, as `allowed(choices, cost)` receives it."""

    params: int
    macs: int


def _naming_unknown_parts(kind: type[Kind]) -> type[Kind]:
    """Returns the class, whose constructor raises TypeError, with the nearest name, for a part that does not exist."""
    known = list(inspect.signature(kind).parameters)
    make = kind.__init__

    @wraps(make)
    def checked(self: Kind, *args: object, **given: object) -> None:
        if unknown := [name for name in given if name not in known]:
            close = difflib.get_close_matches(unknown[0], known, 1)
            hint = f"did you mean {close[0]}?" if close else f"expected some of {', '.join(known)}"
            raise TypeError(f"{unknown[0]} is no part of a task; {hint}")
        make(self, *args, **given)

    kind.__init__ = checked
    return kind


@_naming_unknown_parts
@dataclass(frozen=True, kw_only=True)
class OwnTask:
    """A problem of your own, for `search.start(task=search.Task(name="mine", data=data))`.

    A task file defines the same names. All but `name` and `data` have defaults that follow from the data.
    """

    name: str
    """The task's name in tables; a file's is its own name."""
    data: Callable[[], Splits] | Dataset
    """Returns the examples: `Splits.of(x, y)`, or one of the loaders in `data`."""
    goal: Goal | None = None
    space: Callable[[Choose], Any] | Space | None = None
    """Chooses a network: `space(choose)` returns a list of layers, or a torch.nn.Module."""
    recipe: Callable[[Choose], Recipe] | Recipe | None = None
    """The recipe of all candidates, or a function that chooses one."""
    allowed: Callable[[Mapping[str, Any], Cost], bool | str] | None = None
    """Returns whether a candidate may be trained; a text is the reason why not."""
    references: Mapping[str, Any] = field(default_factory=dict)
    """Networks to compare with, by name: layers, functions that return a module, or Candidates with their recipe."""
    max_params: int | None = None
    max_macs: int | None = None
    max_code: int | None = None
    scale: Scale | None = None
    """The size of a search, if `scale=laptop` and `scale=full` are the same."""
    laptop: Scale | None = None
    full: Scale | None = None
    augment: bool | Callable[..., Any] | None = None
    """Whether images are rotated, shifted and zoomed; or a function of inputs, targets and a torch.Generator."""
    gpus_per_trial: float = 1.0
    """The share of a GPU that a trial takes, if there are GPUs."""
    sentence: str = ""
    """What is searched for, for people."""
    tailor: Callable[[Path], Task] | None = None
    """Makes the task for data at a path, `data=PATH`."""

    def code(self) -> TaskCode:
        """Returns the task's code. Its text is that of the parts and of what their functions use.

        It is without `data`, since workers get the examples, and a run has their fingerprint.
        """
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "data"}
        texts = [function_text(name, value) for name, value in _named_parts(given).items()]
        return TaskCode("\n".join(texts) + "\n", PYTHON, {**given, "space": self.space, "augment": self.augment})


KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "data": (
        lambda v: callable(v) or isinstance(v, Dataset),
        "a function that returns Splits: def data(): return Splits.of(x, y)",
    ),
    "goal": (lambda v: isinstance(v, Goal), "a goal, such as Classify() or Regress() of spaces.goal"),
    "space": (lambda v: callable(v) or isinstance(v, Space), "a function: def space(choose): return [...]"),
    "recipe": (lambda v: callable(v) or isinstance(v, Recipe), "a Recipe, or def recipe(choose): return Recipe(...)"),
    "allowed": (callable, "a function: def allowed(choices, cost): return cost.params < 1000"),
    "references": (lambda v: isinstance(v, Mapping), 'networks by name: {"linear": [Flatten(), Dense(10)]}'),
    "max_params": (lambda v: _is_count(v), "a whole number above 0"),
    "max_macs": (lambda v: _is_count(v), "a whole number above 0"),
    "max_code": (lambda v: _is_count(v), "a whole number above 0"),
    **dict.fromkeys(
        ("scale", "laptop", "full"),
        (lambda v: isinstance(v, Scale), "Scale(num_trials=..., max_epochs=...) of search.tasks"),
    ),
    "augment": (lambda v: isinstance(v, bool) or callable(v), "True, False, or a function of a batch"),
    "tailor": (callable, "a function of a path that returns a Task"),
    "gpus_per_trial": (lambda v: isinstance(v, int | float) and not isinstance(v, bool) and v >= 0, "a number"),
}
"""What each name of a task file must be: a check, and its words."""


ARGUMENTS = {
    "data": "",
    "space": "choose",
    "recipe": "choose",
    "allowed": "choices, cost",
    "augment": "inputs, targets, generator",
    "loss": "outputs, targets",
    "score": "outputs, targets",
}
"""The arguments with which each function of a user's task is called."""


def parts_of(code: TaskCode) -> OwnTask:
    """Returns the parts that a task file defines. Raises TaskFileError, with the name, for one that is wrong."""
    name = Path(code.path).stem
    if name in names():
        raise TaskFileError(f"{code.path}: {name} is a task of Frugal's own; give the file another name")
    check_imports(code)
    return read_parts(name, code.path, code.namespace)


def read_parts(name: str, path: str, found: Mapping[str, Any]) -> OwnTask:
    """Returns the parts that a file defines, by their names. Raises TaskFileError as `parts_of` does."""
    if "data" not in found:
        raise TaskFileError(f"{path}: it defines no data; expected {KINDS['data'][1]}")
    _check_names(path, found)
    sentence = (inspect.cleandoc(found.get("__doc__") or "").splitlines() or [""])[0]
    parts = {part: found[part] for part in KINDS if found.get(part) is not None}
    check_parts(path, parts)
    return OwnTask(name=name, sentence=sentence.removeprefix(f"{name}: ").rstrip("."), **parts)


def check_parts(path: str, parts: Mapping[str, Any]) -> None:
    """Raises TaskFileError, with what is right, for a part of another kind."""
    for name, value in parts.items():
        is_right, expected = KINDS.get(name, (lambda _: True, ""))
        if not is_right(value):
            raise TaskFileError(f"{path}: {name} = {value!r:.80}: expected {expected}")
    goal = parts.get("goal")
    if isinstance(goal, Custom) and (missing := [name for name in ("loss", "score") if not callable(vars(goal)[name])]):
        raise TaskFileError(f"{path}: goal = Custom(...) lacks {' and '.join(missing)}: expected a function for each")
    functions = {**parts, "loss": goal.loss, "score": goal.score} if isinstance(goal, Custom) else parts
    for name, arguments in ARGUMENTS.items():
        if not _takes(functions.get(name), arguments):
            raise TaskFileError(f"{path}: {name}() is called with other arguments: expected def {name}({arguments})")


def _takes(function: object, arguments: str) -> bool:
    """Returns whether a function can be called with these arguments; True for what is no function, or unknown."""
    if not callable(function):
        return True
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a built-in
        return True
    try:
        signature.bind(*arguments.split(", ") if arguments else ())
    except TypeError:
        return False
    return True


def _check_names(path: str, found: Mapping[str, Any]) -> None:
    """Raises TaskFileError for a name that looks like a misspelt part, which would silently count for nothing."""
    missing = [name for name in KINDS if name not in found]
    for name, value in found.items():
        is_imported = inspect.ismodule(value) or inspect.isclass(value)
        if name.startswith("_") or name.isupper() or name in KINDS or is_imported:
            continue
        if close := difflib.get_close_matches(name.lower(), missing, 1, CLOSE):
            raise TaskFileError(f"{path}: {name} is no part of a task; did you mean {close[0]}? Otherwise rename it")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _named_parts(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts that make a task another one; the functions of a Custom goal among them."""
    parts = {name: value for name, value in given.items() if value not in (None, {}, "")}
    if isinstance(goal := parts.get("goal"), Custom):
        parts |= {"loss": goal.loss, "score": goal.score}
    return parts
