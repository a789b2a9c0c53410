"""Which files a run keeps for itself, so that no command's output takes the place of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

SIGNS = ("journal.log", "leaderboard.parquet", "ablation.parquet")
"""A folder with one of these is a run's."""
OWN = {
    *SIGNS,
    *("curves.parquet", "finalists.parquet", "predictions.parquet", "samples.npz", "config.yaml", "report.html"),
    *("models", "checkpoints", "confirmation", "retraining"),
}
"""What lies in a run's folder, there already or not yet; and all that is hidden there."""


def check_output(name: str, path: Path, *, runs: Iterable[Path] = (), allowed: Collection[str] = ()) -> None:
    """Raises ValueError, with the key's name, for an output that would be written over, or among, a run's own files.

    Links are followed; hard links are known as such to files of `runs`. What is `allowed` is so in any run's folder.
    """
    for place in {path.resolve(), path.parent.resolve() / path.name}:
        run = next((folder for folder in place.parents if is_run(folder)), None)
        first = "" if run is None else place.relative_to(run).parts[0]
        if (first in OWN or first.startswith(".")) and first not in allowed:
            raise ValueError(f"{name}={path}: {first} in {run} is the run's own; choose another")
    if path.is_file() and (own := _linked(path, runs)):
        raise ValueError(f"{name}={path}: is {own} by another name, which is the run's own; choose another")


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's."""
    return any((folder / sign).exists() for sign in SIGNS)


def _linked(path: Path, runs: Iterable[Path]) -> Path | None:
    """The file of one of the runs that this path is another name of."""
    if path.stat().st_nlink == 1:
        return None
    files = (file for run in runs if is_run(run) for file in run.rglob("*") if file.is_file())
    return next((file for file in files if file.samefile(path)), None)
