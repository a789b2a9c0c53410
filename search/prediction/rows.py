"""Reads rows of features for `search.predict`, from CSV and Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.lists import list_names
from search.prediction.inputs import Inputs, Takes

if TYPE_CHECKING:
    import pandas as pd

MAX_NAMED = 10


def read_features(path: Path, takes: Takes) -> Inputs:
    """Reads the rows of a file, numbered from 0, as float32 [N, F] in the order of the model's features.

    A feature "column=value" is 1 where a column of text has that value. Raises ValueError with the names of missing
    and further columns, and for values that are no finite numbers.
    """
    table = _read(path)
    columns = {str(name): table.iloc[:, place] for place, name in enumerate(table.columns)}
    sources = {feature: _source(feature, columns) for feature in takes.features}
    _check_columns(path, sources, columns)
    known: dict[str, list[str]] = {}
    for feature, name in sources.items():
        if name is not None and name != feature:
            known.setdefault(name, []).append(feature.removeprefix(f"{name}="))
    for name, values in known.items():
        _check_texts(path, name, columns[name], values)
    features = [
        _numbers(path, feature, columns[feature]) if name == feature else _is_text(feature, name, columns)
        for feature, name in sources.items()
        if name is not None
    ]
    return Inputs(np.stack(features, axis=1), [str(number) for number in range(len(table))])


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, low_memory=False) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except Exception as error:  # a damaged file makes pandas and pyarrow raise errors of many kinds
        raise ValueError(f"input={path}: not a file of rows ({error})") from None


def _source(feature: str, columns: Mapping[str, object]) -> str | None:
    """Returns the column that a feature comes from: its own, or one of text, whose value it names."""
    if feature in columns:
        return feature
    return next((name for name in columns if feature.startswith(f"{name}=")), None)


def _check_columns(path: Path, sources: Mapping[str, str | None], columns: Mapping[str, object]) -> None:
    """Raises ValueError that names the columns that the file lacks, and those that the model does not take."""
    missing = [*dict.fromkeys(feature.partition("=")[0] for feature, name in sources.items() if name is None)]
    further = [name for name in columns if name not in sources.values()]
    parts = [f"has no column {list_names(missing, MAX_NAMED)}"] if missing else []
    parts += [f"has {list_names(further, MAX_NAMED)}, which the model does not take"] if further else []
    if parts:
        raise ValueError(f"input={path}: {', and '.join(parts)}; expected the columns that the model was trained on")


def _check_texts(path: Path, name: str, column: pd.Series, values: Sequence[str]) -> None:
    if unknown := sorted({str(value) for value in column} - {*values}):
        raise ValueError(
            f"input={path}: column {name} holds {list_names(unknown, MAX_NAMED)}, which the model was not trained on; "
            f"it knows {list_names(values, MAX_NAMED)}"
        )


def _is_text(feature: str, name: str, columns: Mapping[str, pd.Series]) -> np.ndarray:
    """Returns 1.0 where a column of text has the value of the feature, float32 [N]."""
    return np.array([f"{name}={value}" == feature for value in columns[name]], np.float32)


def _numbers(path: Path, name: str, column: pd.Series) -> np.ndarray:
    """Returns a column of numbers, float32 [N]. Raises ValueError for other values."""
    try:
        with np.errstate(over="ignore"):
            values = column.to_numpy(np.float64, na_value=np.nan).astype(np.float32)
    except (ValueError, TypeError):
        raise ValueError(f"input={path}: column {name} holds {column.dtype}; expected numbers") from None
    if len(bad := np.flatnonzero(~np.isfinite(values))):
        raise ValueError(
            f"input={path}: column {name} has no finite number in {len(bad):,} rows, the first of them row {bad[0]}; "
            "expected one in each"
        )
    return values
