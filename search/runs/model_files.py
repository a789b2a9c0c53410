"""Model files of a run: checking which trial one holds, copying one, and moving one out of the way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from data.files import replacing
from results.files import writing
from results.locations import user_facing_path
from search.study.trial import TrialRecord
from trainables.task_code import TaskCode


def holds(path: Path, trial: TrialRecord, code: TaskCode | None) -> bool:
    """Returns whether a file holds a model of a trial's candidate; False for a missing or unreadable file.

    `code` is that of the run's task, if it is a user's own.
    """
    if not path.is_file():
        return False
    from trainables.model import load_model  # imports torch, which most sessions do not need

    try:
        return load_model(path, code).candidate == trial.candidate
    except ValueError:
        return False


def copy_model(source: Path, target: Path) -> None:
    """Replaces a model file with a copy of another, and removes its old ONNX file. Raises StorageError."""
    with writing(target):
        target.parent.mkdir(exist_ok=True)
        target.with_suffix(".onnx").unlink(missing_ok=True)
        with replacing(target, make_folder=True) as file:
            file.write(source.read_bytes())


def set_aside(path: Path, say: Callable[[str], None]) -> None:
    """Renames a model file that does not hold the best trial's network, with its ONNX file, and reports the new names.

    Raises StorageError.
    """
    with writing(path):
        for old in (path.with_suffix(".onnx"), path):
            if old.exists():
                new = next(name for n in count(1) if not (name := old.with_name(f"{old.name}.{n}")).exists())
                old.rename(new)
                say(f"NOTICE: {user_facing_path(old)} does not hold the best trial's network; it is kept as {new.name}")
