"""Finds the rows of several runs whose scores compare: `results.comparable`, and the check before every figure."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from results.analysis.columns import records
from results.conditions import CONDITIONS, Conditions

MAX_LISTED = 5


def comparable(table: pd.DataFrame, run: str) -> pd.DataFrame:
    """Returns the rows of a table of `results.load` whose scores compare with those of a run, including its own.

    Scores compare if task, goal, dataset, epochs and numbers of examples are equal: the columns of
    `results.CONDITIONS`.
    Warns of each run that is left out, with what differs. Raises ValueError if the table has no row of this run, or
    has rows of two different runs of that name.
    """
    found = _conditions(table)
    here = [conditions for name, conditions in found if name == run]
    if not here:
        raise ValueError(f"run {run!r} has no rows here; the runs are {list_some(sorted({name for name, _ in found}))}")
    if differences := [text for other in here[1:] for text in other.differences(here[0])]:
        raise ValueError(
            f"two different runs here are called {run!r} ({'; '.join(differences)}): load only one of them"
        )
    if apart := find_differences([each for each in found if each[0] != run], here[0]):
        warnings.warn(f"left out, as {describe_excluded(apart, f'run {run}')}", stacklevel=2)
    return table.loc[~table["run"].isin([*apart]).to_numpy(dtype=bool)]


def check_comparable(table: pd.DataFrame) -> None:
    """Raises ValueError that says what differs if a table has scores of several runs that do not compare."""
    (run, here), *others = _conditions(table) or [("", Conditions())]
    if apart := find_differences(others, here):
        raise ValueError(
            f"these scores do not compare; {describe_excluded(apart, f'run {run}')}. "
            "results.comparable(table, run) returns the rows that compare with a run's"
        )


def find_differences(runs: Iterable[tuple[str, Conditions]], here: Conditions) -> dict[str, list[str]]:
    """Returns what differs, by run, for each run whose scores do not compare with those under `here`."""
    return {name: differences for name, conditions in runs if (differences := conditions.differences(here))}


def describe_excluded(apart: Mapping[str, Sequence[str]], here: str) -> str:
    """Returns a clause that names the runs that do not compare with the one here, each with what differs."""
    named = [f"run {name} ({'; '.join(differences)})" for name, differences in apart.items()]
    return f"not comparable with {here}: {list_some(named)}"


def list_some(texts: Sequence[str]) -> str:
    """Returns the first few texts, and the number of the others."""
    more = len(texts) - MAX_LISTED
    return ", ".join(texts[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _conditions(table: pd.DataFrame) -> list[tuple[str, Conditions]]:
    """Returns each run with its conditions, in the order of the rows; a run whose rows differ is listed twice."""
    if "run" not in table.columns:
        return []
    columns = ["run", *(name for name in CONDITIONS if name in table.columns)]
    return [(str(row["run"]), Conditions.of_row(row)) for row in records(table.drop_duplicates(columns))]
