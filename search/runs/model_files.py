"""Model files of a run: whether one holds a trial's network, copying one, and moving one out of the way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from data.files import replacing
from results.files import writing
from results.storage import shown
from search.study.trial import TrialRecord


def holds(path: Path, trial: TrialRecord) -> bool:
    """Whether a file holds a model of a trial's candidate. A missing or unreadable file does not."""
    if not path.is_file():
        return False
    from trainables.model import load_model  # torch, which most sessions end without

    try:
        return load_model(path).candidate == trial.candidate
    except ValueError:
        return False


def copy_model(source: Path, target: Path) -> None:
    """Puts a copy of a model in the place of another, whose ONNX file goes with it. Raises StorageError."""
    with writing(target):
        target.parent.mkdir(exist_ok=True)
        target.with_suffix(".onnx").unlink(missing_ok=True)
        with replacing(target, make_folder=True) as file:
            file.write(source.read_bytes())


def set_aside(path: Path, say: Callable[[str], None]) -> None:
    """Renames a model file that does not hold the best trial's network, and its ONNX file, and says so.

    Raises StorageError.
    """
    with writing(path):
        for old in (path.with_suffix(".onnx"), path):
            if old.exists():
                new = next(name for n in count(1) if not (name := old.with_name(f"{old.name}.{n}")).exists())
                old.rename(new)
                say(f"NOTICE: {shown(old)} does not hold the best trial's network; it is kept as {new.name}")
