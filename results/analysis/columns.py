"""Columns of nullable tables, as NumPy and plain conditions want them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def floats(table: pd.DataFrame, column: str) -> np.ndarray:
    """A column as floats; what is missing is NaN."""
    return table[column].to_numpy(dtype=float, na_value=np.nan)


def select_rows(table: pd.DataFrame, column: str, values: Sequence) -> pd.DataFrame:
    """Those that have one of these values in a column."""
    return table.loc[table[column].isin(values).to_numpy(dtype=bool, na_value=False)]


def records(table: pd.DataFrame, *columns: str) -> list[dict[str, Any]]:
    """The rows as plain dictionaries, with these columns or all."""
    return (table[list(columns)] if columns else table).to_dict("records")  # pyright: ignore


def searched_trials(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """The trials that are points of the space, each candidate once: no references, and none that was trained again."""
    is_repeated = leaderboard["repeated_by"].notna() if "repeated_by" in leaderboard else False
    return leaderboard.loc[(leaderboard["reference"].isna() & ~np.asarray(is_repeated)).to_numpy()]


def has_any(table: pd.DataFrame, column: str) -> bool:
    """Whether any row has a value there."""
    return bool(table[column].notna().to_numpy().any())


def distinct(table: pd.DataFrame, column: str) -> list:
    """The values of a column, each once, sorted, without missing ones."""
    return sorted(set(table[column].dropna()))


def trial_name(row: Mapping[str, Any]) -> str:
    """The name of a row's trial: the published network's for a reference, else its number."""
    return str(row["reference"]) if has_value(row["reference"]) else f"trial {row['trial']}"


def has_value(value: Any) -> bool:
    return bool(pd.notna(value))
