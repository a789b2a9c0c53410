"""Tells which files belong to a run, so that no command's output replaces one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from data.files import TEMPORARY

JOURNAL = "journal.log"
SIGNS = (JOURNAL, "leaderboard.parquet", "ablation.parquet")
"""A folder that contains one of these is a run's."""
OWN = {
    *SIGNS,
    *(
        "curves.parquet",
        "finalists.parquet",
        "predictions.parquet",
        "samples.npz",
        "config.yaml",
        "task.py",
        "report.html",
    ),
    *("models", "checkpoints", "confirmation", "retraining"),
}
"""The names in a run's folder that are the run's own, whether they exist yet or not. So are all hidden names."""


def check_output(key: str, path: Path, *, runs: Iterable[Path] = (), allowed: Collection[str] = ()) -> None:
    """Raises ValueError that names the key if an output would replace a run's own file, or be one of them.

    Symbolic links are followed. A hard link is recognized if it is to a file of `runs`. Names in `allowed` may be
    written in any run's folder.
    """
    for target in {path.resolve(), path.parent.resolve() / path.name}:
        run = next((folder for folder in target.parents if is_run(folder)), None)
        first = "" if run is None else target.relative_to(run).parts[0]
        if (first in OWN or first.startswith(".")) and first not in allowed:
            raise ValueError(f"{key}={path}: {first} in {run} is the run's own file; choose another name")
    if path.is_file() and (own := _linked_file(path, runs)):
        raise ValueError(f"{key}={path}: it is a hard link to {own}, the run's own file; choose another name")


def is_run(folder: Path) -> bool:
    """Returns whether a folder is a run's."""
    return any((folder / sign).exists() for sign in SIGNS)


def is_kept(name: str) -> bool:
    """Returns whether a file belongs to its run, by its name in the folder: hidden and temporary files do not.

    Names in a bucket may contain .. or //, which lead out of the folder; files of such names do not belong to it.
    """
    is_within = all(part and not part.startswith(".") for part in name.split("/"))
    return is_within and not name.endswith(TEMPORARY)


def is_journal(name: str) -> bool:
    """Returns whether a name in a run's folder is the run's journal, or that of a study within the run."""
    return name.split("/")[-1] == JOURNAL


def _linked_file(path: Path, runs: Iterable[Path]) -> Path | None:
    """Returns the file of one of the runs to which this path is a hard link."""
    if path.stat().st_nlink == 1:
        return None
    files = (file for run in runs if is_run(run) for file in run.rglob("*") if file.is_file())
    return next((file for file in files if file.samefile(path)), None)
