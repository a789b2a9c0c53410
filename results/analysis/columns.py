"""Reads columns and rows of nullable tables as NumPy arrays and plain values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

TRIAL = "trial "


def floats(table: pd.DataFrame, column: str) -> np.ndarray:
    """Returns a column as floats, with NaN for missing values."""
    return table[column].to_numpy(dtype=float, na_value=np.nan)


def select_rows(table: pd.DataFrame, column: str, values: Sequence) -> pd.DataFrame:
    """Returns the rows that have one of these values in a column."""
    return table.loc[table[column].isin(values).to_numpy(dtype=bool, na_value=False)]


def records(table: pd.DataFrame, *columns: str) -> list[dict[str, Any]]:
    """Returns the rows as plain dictionaries, with these columns or all."""
    return (table[list(columns)] if columns else table).to_dict("records")  # pyright: ignore


def searched_trials(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """Returns the trials that are points of the space, each candidate once: no references and no retried trials."""
    is_repeated = leaderboard["repeated_by"].notna() if "repeated_by" in leaderboard else False
    return leaderboard.loc[(leaderboard["reference"].isna() & ~np.asarray(is_repeated)).to_numpy()]


def has_any(table: pd.DataFrame, column: str) -> bool:
    """Returns whether any row has a value in this column."""
    return bool(table[column].notna().to_numpy().any())


def first_value(table: pd.DataFrame | None, column: str) -> Any:
    """Returns the first value of a column that is not missing, or None, also if there is no such column."""
    found = () if table is None or column not in table else table[column].dropna()
    return found.iloc[0] if len(found) else None  # type: ignore[union-attr]


def distinct(table: pd.DataFrame, column: str) -> list:
    """Returns the distinct values of a column, sorted, without missing ones."""
    return sorted(set(table[column].dropna()))


def trial_name(row: Mapping[str, Any]) -> str:
    """Returns the name of a row's trial: the published network's for a reference, else trial and its number."""
    return str(row["reference"]) if has_value(row["reference"]) else f"{TRIAL}{row['trial']}"


def is_searched(name: str) -> bool:
    """Returns whether a name that `trial_name` gave is a searched trial's, not a published network's."""
    return name.startswith(TRIAL)


def has_value(value: Any) -> bool:
    """Returns whether a cell has a value, which it has not if it is null or NaN."""
    return bool(pd.notna(value))
