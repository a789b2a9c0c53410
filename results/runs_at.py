"""Finds the folder of runs, by one rule for the commands that write runs and for those that read them."""

from __future__ import annotations

import os
from pathlib import Path

from results.locations import expand_home, is_remote, normalize_url

VARIABLE = "FRUGAL_RUNS_DIR"
RULE = "$FRUGAL_RUNS_DIR, else results/runs of the enclosing checkout, else ./frugal-runs"
"""The rule in the words of `--help`."""

IN_CHECKOUT = Path("results", "runs")
ELSEWHERE = Path("frugal-runs")  # not a package's name, since Python would import the folder instead
_FILES_OF_CHECKOUT = ("pyproject.toml", "search/run.py", "results/runs_at.py")


def runs_at(given: str | Path | None = None, key: str = "runs_dir", here: Path | None = None) -> str:
    """Returns the given folder of runs, with ~ expanded, or else the one that the rule finds; a bucket's is a URL.

    The rule is: the environment's FRUGAL_RUNS_DIR, unless it is empty; else `results/runs` of the checkout that
    contains the current folder; else `frugal-runs` in the current folder. `here` replaces the current folder. Raises
    ValueError that names `key`, or the variable, if that cannot be a folder of runs.
    """
    if given:
        return _check_folder(key, str(given))
    if named := os.environ.get(VARIABLE):
        return _check_folder(VARIABLE, named)
    return _find_by_folder(here or _current_folder())


def is_default(runs_dir: str | Path, here: Path | None = None) -> bool:
    """Returns whether the rule finds this folder from `here`, by default the current one, so that no key is needed."""
    try:
        found = runs_at(here=here)
    except ValueError:
        return False
    return _absolute(found, here or _current_folder()) == _absolute(str(runs_dir), _current_folder())


def _check_folder(name: str, path: str) -> str:
    try:
        found = expand_home(name, path)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
    if name == VARIABLE and not is_remote(found) and os.path.exists(found) and not os.path.isdir(found):
        raise ValueError(f"{name}={path}: is not a folder; set it to a folder of runs, or unset it")
    return found


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ValueError("the current folder no longer exists; change to another one") from None


def _find_by_folder(here: Path) -> str:
    for folder in (here, *here.parents):
        if all((folder / name).is_file() for name in _FILES_OF_CHECKOUT):
            return os.path.relpath(folder / IN_CHECKOUT, here)
    return str(ELSEWHERE)


def _absolute(runs_dir: str, here: Path) -> str:
    return normalize_url(runs_dir) if is_remote(runs_dir) else os.path.normpath(here / runs_dir)
