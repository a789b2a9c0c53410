"""Finds the task that `task=` names: one of Frugal's, a user's file, or parts that were given in Python."""

from __future__ import annotations

import ast
import difflib
from dataclasses import replace
from pathlib import Path

from results.conditions import read_identity
from results.locations import expand_home, working_folder
from results.run_config import GIVEN_IN_PYTHON
from results.tables import read_beginning
from search import tasks
from search.planning.keys import DATA_CHOICES, RunKeys, find_data_dir
from search.runs.folder import RunFolder
from search.tasks import Task
from search.tasks.own.assembling import assemble
from search.tasks.own.parts import PYTHON, OwnTask, check_parts, parts_of
from trainables.task_code import TaskCode, TaskFileError

_given: dict[str, OwnTask] = {}
"""The tasks that this process was given in Python, by name."""


def find_task(keys: RunKeys) -> Task:
    """Returns the task of these keys; a user's own with its data loaded. Raises ValueError if it is wrong or missing.

    A user's own task must have the code that the run was started with.
    """
    code = find_code(keys)
    if code is None:
        if keys.task and Path(f"{keys.task}.py").is_file():
            raise ValueError(f"task={keys.task}: there is no such task; did you mean task={keys.task}.py?")
        return tasks.find(keys.task)
    parts = _given[_given_name(keys)] if code.given else parts_of(code)
    return assemble(
        replace(
            parts,
            name=_recorded_name(keys) or parts.name,
            max_params=keys.max_params or parts.max_params,
            max_macs=keys.max_macs or parts.max_macs,
        ),
        code,
        data=keys.data if keys.data in DATA_CHOICES else "auto",
        data_dir=Path(find_data_dir(keys.data_dir)),
    )


def find_code(keys: RunKeys) -> TaskCode | None:
    """Returns the code of a user's own task, None for one of Frugal's. Raises ValueError as `find_task` does."""
    if keys.task.startswith(GIVEN_IN_PYTHON):
        return _find_given(keys)
    return read_code(keys.task, _recorded(keys)) if is_task_file(keys.task) else None


def _find_given(keys: RunKeys) -> TaskCode:
    name = _given_name(keys)
    if name not in _given:
        raise ValueError(
            f"run={keys.run}: its task {name} was given in Python; give it again: "
            f"search.start(search.Task(...), run={keys.run!r}), or search.open({keys.run!r}, task=search.Task(...))"
        )
    code, recorded = _given[name].code(), _recorded(keys)
    if recorded and not is_same_code(known := read_text(recorded), code.text):
        raise ValueError(_other_text(f"task {name}", known, code.text))
    return code


def _given_name(keys: RunKeys) -> str:
    return keys.task.removeprefix(GIVEN_IN_PYTHON)


def give(parts: OwnTask) -> str:
    """Keeps a task that was given in Python, and returns the value of `task` that stands for it. Raises ValueError."""
    if parts.name in tasks.names() or not parts.name.isidentifier():
        raise ValueError(
            f"name={parts.name!r}: expected letters, digits and _, as in my_task, and no name of Frugal's own tasks"
        )
    check_parts(PYTHON, {name: value for name, value in vars(parts).items() if value is not None})
    _given[parts.name] = parts
    return GIVEN_IN_PYTHON + parts.name


def _recorded(keys: RunKeys) -> Path | None:
    """Returns the run's copy of its task's text, if the run exists. Raises ValueError if the copy was deleted."""
    if not keys.run:
        return None
    folder = RunFolder(working_folder(keys.runs_dir) / keys.run)
    if folder.task.is_file():
        return folder.task
    name = _task_of(folder) if folder.journal.is_file() else None
    if name and name not in tasks.names():
        raise ValueError(
            f"run={keys.run}: {folder.task} is missing, the text of the task that the run was started with; "
            "put it back, or name another run"
        )
    return None


def _recorded_name(keys: RunKeys) -> str | None:
    """Returns the task's name in the run, which it keeps even if its file was renamed; None for a new run."""
    return _task_of(RunFolder(path.parent)) if (path := _recorded(keys)) else None


def _task_of(folder: RunFolder) -> str | None:
    name = read_identity(read_beginning(folder.journal)).get("task")
    return name if isinstance(name, str) else None


def is_task_file(task: str) -> bool:
    """Returns whether `task=` names a file, and not one of Frugal's own tasks."""
    return task.lower().endswith(".py") or "/" in task


def read_code(task: str, recorded: Path | None = None) -> TaskCode:
    """Returns the code of a task file; a run's own copy if there is one, since it is the text that was started with.

    Raises ValueError if the file is missing, or if its code differs from the run's copy. A comment, a blank line or
    another layout makes no difference.
    """
    path = Path(expand_home("task", task)).absolute()
    known = read_text(recorded) if recorded and recorded.is_file() else None
    if path.is_dir():
        raise ValueError(f"task={task}: it is a folder; expected a Python file, such as {Path(task) / 'my_task.py'}")
    if not path.is_file():
        if path.with_name(f"{path.name}.py").is_file():
            raise ValueError(f"task={task}: there is no such file; did you mean task={task}.py?")
        hint = f"; the run's own copy is {recorded}: read it, and pass task={recorded}" if known is not None else ""
        raise ValueError(f"task={task}: there is no such file{hint}")
    if path.suffix.lower() != ".py":
        raise ValueError(f"task={task}: expected a Python file, such as my_task.py")
    text = read_text(path)
    if known is not None and not is_same_code(known, text):
        raise ValueError(_other_text(f"task={task}", known, text))
    return TaskCode(text if known is None else known, str(path))


def is_same_code(first: str, second: str) -> bool:
    """Returns whether two texts differ in comments and layout only."""
    if first == second:
        return True
    try:
        return ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    except (SyntaxError, ValueError):
        return False


def _other_text(task: str, first: str, second: str) -> str:
    """Returns the message for a text that is not the run's, with the lines that differ."""
    lines = difflib.unified_diff(first.splitlines(), second.splitlines(), lineterm="", n=1)
    difference = "\n".join(line for line in lines if not line.startswith(("---", "+++")))
    return (
        f"{task}: the run was started with another text. Name another run, or restore the text (- is the run's line, "
        f"+ the new one):\n{difference}"
    )


def read_text(path: Path) -> str:
    """Returns the text of a task file. Raises TaskFileError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows put a byte order mark first
    except (OSError, UnicodeError) as error:
        raise TaskFileError(f"{path}: cannot be read as text: {error}") from None
