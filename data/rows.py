"""Reads rows of a table, such as a frame of pandas or a Parquet file, as examples of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from data.lists import list_names
from data.splits import DataError, Splits

if TYPE_CHECKING:
    from typing import Protocol

    import pandas as pd

    class _Convertible(Protocol):
        def to_pandas(self) -> pd.DataFrame: ...


MAX_VALUES = 50
"""The maximum number of different texts in a column; each becomes a feature."""
READERS = ".csv, .csv.gz, .parquet or .pq"


def load_rows(table: object, target: str | Sequence[str], *, classes: Sequence[object] | None = None) -> Splits:
    """Reads a frame, or a CSV or Parquet file, as features x, float32 [N, F], and y from its target column.

    Numbers stay as they are, bool becomes 0 and 1, and a column of text or categories becomes one feature,
    "column=value", for each of at most 50 values in ascending order. `features` names them.

    A target of text, bool or integers holds classes, one of floats a quantity. Several targets become several labels
    an example if all are 0 or 1, and else quantities [N, K]; `Splits.of` describes them, and the draw of splits.

    Raises DataError with the column's name for missing values, infinity, dates, other objects and too many texts; and
    for a target or a file that does not exist.
    """
    frame, name = _read(table)
    targets = [target] if isinstance(target, str) else list(target)
    try:
        _check_columns(frame, targets)
        columns = {str(column): cast("pd.Series", frame[column]) for column in frame.columns}
        features = _features({column: series for column, series in columns.items() if column not in targets})
        y, names = _targets({column: columns[column] for column in targets}, classes)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    x = np.stack([*features.values()], axis=1)
    return replace(Splits.of(x, y, name=name, classes=names), features=tuple(features))


def _read(table: object) -> tuple[pd.DataFrame, str]:
    """Returns the frame, and the name of the dataset."""
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table, "rows"
    if hasattr(table, "to_pandas"):
        return cast("_Convertible", table).to_pandas(), "rows"
    if not isinstance(table, str | Path):
        raise DataError(f"load_rows: found a {type(table).__name__}; expected a frame, or the path of {READERS}")
    path = Path(table).expanduser()
    name = path.name.lower()
    if not name.endswith((".csv", ".csv.gz", ".parquet", ".pq")):
        raise DataError(f"{path}: expected {READERS}; read other files by pandas, and give the frame")
    try:
        is_csv = name.endswith((".csv", ".csv.gz"))
        return (pd.read_csv(path, low_memory=False) if is_csv else pd.read_parquet(path)), f"rows:{path.name}"
    except Exception as error:  # a damaged file makes pandas and pyarrow raise errors of many kinds
        raise DataError(f"{path}: expected a file of rows, found: {error}") from error


def _check_columns(frame: pd.DataFrame, targets: Sequence[str]) -> None:
    names = [str(column) for column in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"found several columns called {list_names(twice)}; expected each name once")
    if not targets or len(set(targets)) < len(targets):
        raise DataError(f"target={targets!r}: expected the name of a column, or a list of different ones")
    if unknown := [name for name in targets if name not in names]:
        raise DataError(f"target: found no column {list_names(unknown)}; there are {list_names(names, 30)}")
    if len(names) == len(targets):
        raise DataError("found no column beside the target; expected at least one feature")
    if not len(frame):
        raise DataError("found no rows")


def _features(columns: dict[str, pd.Series]) -> dict[str, np.ndarray]:
    """Returns the features, float32 [N] each, by their names."""
    features = [feature for name, series in columns.items() for feature in _column_features(name, series)]
    names = [name for name, _ in features]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"found two features called {list_names(twice)}; rename the column of that name")
    return dict(features)


def _column_features(name: str, series: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the features of a column, float32 [N], and their names. Raises DataError for columns that have none."""
    kind = _kind(name, series)
    if kind != "text":
        yield name, _numbers(name, series)
        return
    texts = np.array([str(value) for value in series], object)
    values = sorted(set(texts))
    if len(values) > MAX_VALUES:
        raise DataError(
            f"column {name}: found {len(values):,} different texts; expected at most {MAX_VALUES}, each of which "
            "becomes a feature: drop the column, merge rare values, or convert it to numbers"
        )
    for value in values:
        yield f"{name}={value}", (texts == value).astype(np.float32)


def _kind(name: str, series: pd.Series) -> str:
    """Returns "bool", "integers", "floats" or "text". Raises DataError for other columns, and for missing values."""
    from pandas.api import types

    dtype = series.dtype
    if missing := np.flatnonzero(series.isna().to_numpy()).tolist():
        raise DataError(
            f"column {name}: found {len(missing):,} missing values, the first in row {missing[0]}; expected none: drop "
            f"the rows by frame.dropna(subset=[{name!r}]), or fill them in by frame[{name!r}].fillna(VALUE)"
        )
    if types.is_bool_dtype(dtype):
        return "bool"
    if types.is_integer_dtype(dtype):
        if name.startswith("Unnamed: ") and np.array_equal(series.to_numpy(), np.arange(len(series))):
            raise DataError(f"column {name} counts the rows; write the file by to_csv(index=False), or drop the column")
        return "integers"
    if types.is_float_dtype(dtype):
        return "floats"
    kinds = {type(value).__name__ for value in series}
    if isinstance(dtype, types.CategoricalDtype) or kinds == {"str"}:
        return "text"
    raise DataError(
        f"column {name}: found {dtype} ({list_names(sorted(kinds))}); expected numbers, bool or text: convert dates "
        "and durations to numbers, such as days, and other objects by .astype(float) or .astype(str)"
    )


def _numbers(name: str, series: pd.Series) -> np.ndarray:
    numbers = series.to_numpy(np.float64)
    with np.errstate(over="ignore"):
        converted = numbers.astype(np.float32)
    if bad := np.flatnonzero(~np.isfinite(converted)).tolist():
        raise DataError(
            f"column {name}: found {numbers[bad[0]]:g} in row {bad[0]}; expected finite numbers that float32 holds"
        )
    return converted


def _targets(
    columns: dict[str, pd.Series], classes: Sequence[object] | None
) -> tuple[np.ndarray | list[object], Sequence[object] | None]:
    """Returns y as `Splits.of` takes it, and the names of its classes."""
    kinds = {name: _kind(name, series) for name, series in columns.items()}
    if len(columns) == 1:
        ((name, series),) = columns.items()
        if kinds[name] == "floats":
            return _numbers(name, series), classes
        return ([str(value) for value in series] if kinds[name] == "text" else series.to_numpy()), classes
    if texts := [name for name, kind in kinds.items() if kind == "text"]:
        raise DataError(f"target {list_names(texts)}: found text; expected numbers or bool in each of several targets")
    y = np.stack([_numbers(name, series) for name, series in columns.items()], axis=1)
    if "floats" not in kinds.values() and np.isin(y, (0, 1)).all():
        return y.astype(np.uint8), classes or [*columns]
    return y, classes
