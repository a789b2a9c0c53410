"""Which rows of several runs may be compared: `results.comparable`, and the check that every figure makes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from results.analysis.columns import records
from results.conditions import CONDITIONS, Conditions

MAX_LISTED = 5


def comparable(table: pd.DataFrame, run: str) -> pd.DataFrame:
    """The rows of a table of `results.load` whose scores compare with those of a run: its own, and other runs'.

    Scores compare where task, goal, dataset, epochs and numbers of images are the same: the columns of
    `results.CONDITIONS`. Warns of the runs that are left apart, with what differs.
    Raises ValueError if the table has no row of this run, or rows of two different runs of that name.
    """
    found = _conditions(table)
    here = [conditions for name, conditions in found if name == run]
    if not here:
        raise ValueError(f"run {run!r} has no row here; there are {list_some(sorted({name for name, _ in found}))}")
    if differences := [text for other in here[1:] for text in other.differences(here[0])]:
        raise ValueError(f"two different runs are called {run!r} here ({'; '.join(differences)}): load one of them")
    if apart := find_differences([each for each in found if each[0] != run], here[0]):
        warnings.warn(f"{describe_excluded(apart)}: their scores do not compare with those of {run}", stacklevel=2)
    return table.loc[~table["run"].isin([*apart]).to_numpy(dtype=bool)]


def check_comparable(table: pd.DataFrame) -> None:
    """Raises ValueError, with what differs, if a table has scores of several runs that do not compare."""
    (run, here), *others = _conditions(table) or [("", Conditions())]
    if apart := find_differences(others, here):
        raise ValueError(
            f"these scores do not compare. Beside run {run}, {describe_excluded(apart)}. "
            "results.comparable(table, run) gives the rows that compare with a run's"
        )


def find_differences(runs: Iterable[tuple[str, Conditions]], here: Conditions) -> dict[str, list[str]]:
    """What differs, by name, for each of these runs whose scores do not compare with those under `here`."""
    return {name: differences for name, conditions in runs if (differences := conditions.differences(here))}


def describe_excluded(apart: Mapping[str, Sequence[str]]) -> str:
    """Returns a clause that names the runs that are not compared, each with what differs."""
    named = [f"run {name} ({'; '.join(differences)})" for name, differences in apart.items()]
    return f"left apart: {list_some(named)}"


def list_some(texts: Sequence[str]) -> str:
    """The first few, and how many there are besides."""
    more = len(texts) - MAX_LISTED
    return ", ".join(texts[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def _conditions(table: pd.DataFrame) -> list[tuple[str, Conditions]]:
    """Each run of a table with its conditions, in the order of the rows; a name twice where its rows differ."""
    if "run" not in table.columns:
        return []
    columns = ["run", *(name for name in CONDITIONS if name in table.columns)]
    return [(str(row["run"]), Conditions.of_row(row)) for row in records(table.drop_duplicates(columns))]
