"""Checks that a report can be made of a run's table, which may come from anyone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from results.conditions import CONDITIONS
from results.schema import SCHEMAS, Status
from results.values import MOST_WHOLE, echoed

FILLED = {
    "leaderboard": ("trial", "status", "num_params"),
    "curves": ("trial", "step"),
    "finalists": ("trial", "seed", "num_params", "scored_on"),
    "predictions": ("trial", "seed", "index", "scored_on"),
    "ablation": ("base", "parameter", "is_base", "seed", "num_params"),
}
"""Columns that must have a value in every row."""
ALL_OR_NONE = {"predictions": ("label", "predicted")}
"""Columns that must have a value in every row or in none: a network that makes images predicts no labels."""
MINIMUM = {
    **dict.fromkeys(("trial", "seed", "step", "index", "num_params", "num_trainable", "num_macs", "code_size"), 0),
    **dict.fromkeys(("epochs", "epoch", "best_epoch", "stop_rung"), 0),
    **dict.fromkeys(("train_seconds", "seconds", "images_per_second", "probability"), 0),
    **dict.fromkeys(("rank", "place"), 1),
}
_MAX_NUMBER = 1e100
"""The square of this is still a finite float."""
_YEARS = 1970, 2200
_MAX_COLUMNS, _MAX_NAMES = 1_000, 1_000
_NAMES = {"finalists": ("reference", "trial"), "ablation": ("parameter", "value")}
"""Columns whose every value has a line or a figure of its own."""
_PREFIXES = ("param_", "metric_")


def check_table(table: pa.Table, name: str, path: Path) -> pa.Table:
    """Returns a table of `tables.read` with the columns that reports use, and null for numbers that are not finite.

    Raises ValueError that names the file, the column and what is wrong with it.
    """
    try:
        kept = [field for field in table.schema if field.name in SCHEMAS[name].names or _is_extra(field, name)]
        if len(kept) > _MAX_COLUMNS:
            raise ValueError(f"it has {len(kept)} columns, and a report shows at most {_MAX_COLUMNS}")
        checked = pa.table({field.name: _clean_column(table[field.name], field) for field in kept})
        _check_filled(checked, FILLED[name])
        some = [column for column in ALL_OR_NONE.get(name, ()) if checked[column].null_count < len(checked)]
        _check_filled(checked, ALL_OR_NONE[name] if some else ())
        for column in _NAMES.get(name, ()):
            _check_few(checked, column)
        for column in CONDITIONS:
            _check_one(checked, column)
        if name == "leaderboard":
            _check_status(checked["status"].unique().to_pylist())
    except ValueError as error:
        raise ValueError(f"{path} is damaged, or not a table of a run: {error}") from None
    return checked.replace_schema_metadata(table.schema.metadata)


def _is_extra(field: pa.Field, table: str) -> bool:
    """Returns whether a column is a parameter or a further metric. Raises ValueError if its type is neither's."""
    is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    if table == "curves":
        return is_number
    if not field.name.startswith(_PREFIXES):
        return False
    if is_number or (field.name.startswith("param_") and (pa.types.is_string(field.type) or field.type == pa.bool_())):
        return True
    raise ValueError(f"column {echoed(field.name)} is of type {echoed(field.type)}, which no parameter or metric is")


def _clean_column(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Returns the column with null for numbers that are not finite. Raises ValueError for a value out of range."""
    if pa.types.is_floating(field.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, field.type))  # pyright: ignore
    if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
        _check_range(column, field)
    elif pa.types.is_timestamp(field.type):
        _check_years(column, field.name)
    return column


def _check_range(column: pa.ChunkedArray, field: pa.Field) -> None:
    most = _MAX_NUMBER if pa.types.is_floating(field.type) else MOST_WHOLE
    least = MINIMUM.get(field.name, -most)
    low, high = (pc.min_max(column)[end].as_py() for end in ("min", "max"))  # pyright: ignore
    for value in (low, high):
        if value is not None and not least <= value <= most:
            raise ValueError(f"column {echoed(field.name)} has {value}; expected {least:g} to {most:g}")


def _check_years(column: pa.ChunkedArray, name: str) -> None:
    first, last = _YEARS
    ends = (pc.min_max(pc.cast(column, pa.int64()))[end].as_py() for end in ("min", "max"))  # pyright: ignore
    for microseconds in ends:
        if microseconds is not None and not 0 <= microseconds < (last - first) * 365 * 86400 * 1_000_000:
            raise ValueError(f"column {name} has a time outside of the years {first} to {last}")


def _check_filled(table: pa.Table, names: Iterable[str]) -> None:
    for name in names:
        if missing := table[name].null_count:
            raise ValueError(f"column {name} has no value in {missing} of {len(table)} rows; expected one in each")


def _check_few(table: pa.Table, name: str) -> None:
    if (found := len(table[name].unique())) > _MAX_NAMES:
        raise ValueError(f"column {name} has {found} different values, and a report shows at most {_MAX_NAMES}")


def _check_one(table: pa.Table, name: str) -> None:
    """Raises ValueError if rows differ in a condition of the run, since their scores would not compare."""
    if name in table.column_names and len(found := table[name].unique().to_pylist()) > 1:
        raise ValueError(f"column {name} has {echoed(found[0])} and {echoed(found[1])}; expected one value for a run")


def _check_status(found: list[str]) -> None:
    if unknown := sorted(set(found) - set(Status)):
        raise ValueError(f"status is {echoed(repr(unknown[0]))}; expected one of {', '.join(Status)}")
