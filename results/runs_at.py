"""Where runs lie: one rule for the commands that write them and for what reads them."""

from __future__ import annotations

import os
from pathlib import Path

from results.locations import expand_home, is_remote, normalize_url

VARIABLE = "FRUGAL_RUNS_DIR"
RULE = "$FRUGAL_RUNS_DIR, else results/runs of the checkout around here, else frugal-runs here"
"""The rule in words, as `--help` shows it."""

IN_CHECKOUT = Path("results", "runs")
ELSEWHERE = Path("frugal-runs")  # no package has this name: Python would find the folder in place of the package
_OF_A_CHECKOUT = ("pyproject.toml", "search/run.py", "results/runs_at.py")


def runs_at(given: str | Path | None = None, key: str = "runs_dir", here: Path | None = None) -> str:
    """The folder of runs that was named, without ~ in front, or else the one that the rule finds; a bucket's as a URL.

    The rule: the environment's FRUGAL_RUNS_DIR, unless it is empty; else `results/runs` of the checkout that the
    current folder is, or lies within; else `frugal-runs` in the current folder. `here` is another folder than the
    current one. Raises ValueError that names `key`, or the variable, if that cannot be a folder of runs.
    """
    if given:
        return _usable(key, str(given))
    if named := os.environ.get(VARIABLE):
        return _usable(VARIABLE, named)
    return _by_folder(here or _current())


def is_default(runs_dir: str | Path, here: Path | None = None) -> bool:
    """Whether the rule finds this folder, from the current one or from `here`, so that it need not be named."""
    try:
        found = runs_at(here=here)
    except ValueError:
        return False
    return _absolute(found, here or _current()) == _absolute(str(runs_dir), _current())


def _usable(name: str, place: str) -> str:
    try:
        found = expand_home(name, place)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(name) else f"{name}: {error}") from None
    if name == VARIABLE and not is_remote(found) and os.path.exists(found) and not os.path.isdir(found):
        raise ValueError(f"{name}={place}: not a folder; name a folder of runs, or unset it")
    return found


def _current() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ValueError("the current folder is gone; go to one that is there") from None


def _by_folder(here: Path) -> str:
    for folder in (here, *here.parents):
        if all((folder / name).is_file() for name in _OF_A_CHECKOUT):
            return os.path.relpath(folder / IN_CHECKOUT, here)
    return str(ELSEWHERE)


def _absolute(runs_dir: str, here: Path) -> str:
    return normalize_url(runs_dir) if is_remote(runs_dir) else os.path.normpath(here / runs_dir)
