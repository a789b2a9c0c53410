"""Makes, writes and reads the tables of runs."""

import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data.files import replacing
from results.bucket import Remote, explain_errors
from results.conditions import BEGINNING_BYTES, CONDITIONS, Conditions, read_identity
from results.files import read_file
from results.locations import is_remote
from results.own_files import JOURNAL
from results.pareto import find_front
from results.parquet_file import read_parquet
from results.schema import Status, curves_schema, finalists_schema, leaderboard_schema, upgrade
from spaces.goal import Direction

BATCH_ROWS = 5_000

_UNFINISHED = (Status.RUNNING, Status.STOPPED, Status.PRUNED)
_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.float32(): pd.Float32Dtype(),
    pa.string(): pd.StringDtype(),
}

Row = dict[str, Any]


def leaderboard(
    rows: Iterable[Mapping[str, Any]],
    *,
    direction: Direction,
    param_types: Mapping[str, pa.DataType],
    metric_names: Iterable[str] = (),
) -> pa.Table:
    """Makes the leaderboard of trials, ranked best first, with the Pareto front marked.

    A row holds a trial's columns except rank and pareto, its parameters in `params`, and its last further metrics by
    name in `metrics`; missing values become null. Completed trials rank first, then running, stopped and pruned ones,
    each group by score, equal scores by validation loss, then by trial number. Other trials, and trials without a
    finite score, have no rank and come last. A score that is not finite becomes null, since a NaN would spoil every
    mean; the status says what happened.
    Raises ValueError for an unknown column, parameter, status or direction.
    """
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction is {direction!r}: it must be 'maximize' or 'minimize'")
    schema = leaderboard_schema(param_types, metric_names)
    trials = [_leaderboard_row(row, schema) for row in rows]
    sign = -1.0 if direction == "maximize" else 1.0  # lower costs are better
    _rank(trials, sign)
    _mark_front(trials, sign)
    trials.sort(key=lambda trial: (_nulls_last(trial["rank"]), _nulls_last(trial.get("trial"))))
    return pa.Table.from_pylist(trials, schema=schema)


def curves(rows: Iterable[Mapping[str, Any]], *, metric_names: Iterable[str] = ()) -> pa.Table:
    """Makes the table of learning curves, a row for each report, values unchanged; missing values become null.

    Raises ValueError for a column that is neither in CURVES nor one of the task's further metrics.
    """
    schema = curves_schema(metric_names)
    rows, batches = iter(rows), []
    # In batches, since all rows at once would be the run's peak of memory
    while reports := [dict(row) for row in islice(rows, BATCH_ROWS)]:
        for report in reports:
            _check_names(report, schema.names, "curves")
        batches.append(pa.RecordBatch.from_pylist(reports, schema=schema))
    return pa.Table.from_batches(batches, schema=schema).combine_chunks()


def finalists(rows: Iterable[Mapping[str, Any]], *, metric_names: Iterable[str] = ()) -> pa.Table:
    """Makes the table of retrained finalists, a row for each finalist and seed.

    A row has the columns of FINALISTS, and in `metrics` the further metrics of the scored examples by name, which
    become columns `metric_NAME`; missing values become null.
    """
    schema = finalists_schema(metric_names)
    flat = [_flatten(row) for row in rows]
    for row in flat:
        _check_names(row, schema.names, "finalists")
    return pa.Table.from_pylist(flat, schema=schema)


def from_rows(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Makes a table of a schema without parameters or metrics; missing values become null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def write(table: pa.Table, path: Path | str) -> None:
    """Writes the table as Parquet, atomically: a reader sees the old file or the new one, never half of one.

    If writing fails, the old file is unchanged and no temporary file remains.
    """
    with replacing(Path(path)) as file:
        pq.write_table(table, file, compression="zstd")


def read(path: Path | str, table: str) -> pa.Table:
    """Returns the table in one file, local or in a bucket.

    Raises ValueError if the file is missing, not Parquet, damaged, or of a version that this code cannot read.
    """
    content = _read_remote(Remote(str(path))) if is_remote(path) else read_file(Path(path))
    if content is None:
        raise ValueError(f"{path}: there is no such file")
    return decode(content, path, table)


def read_run(folder: Path, table: str) -> pa.Table:
    """Returns a table of the run in a folder, with the folder's name as the run's. Raises ValueError as `read` does."""
    found = fill_conditions(read(folder / f"{table}.parquet", table), read_beginning(folder / JOURNAL))
    return set_run_name(found, os.path.basename(os.path.abspath(folder)))


def read_beginning(journal: Path) -> bytes:
    """Returns the first records of a journal, or nothing if it cannot be read."""
    try:
        with journal.open("rb") as file:
            return file.read(BEGINNING_BYTES)
    except OSError:
        return b""


def fill_conditions(table: pa.Table, journal: bytes) -> pa.Table:
    """Fills the columns of the run's conditions from the beginning of its journal if the table lacks them.

    Older tables have no goal, epochs and numbers of examples. Conditions that the journal does not have stay null.
    """
    known = Conditions.of_identity(read_identity(journal))
    for name in CONDITIONS:
        value = getattr(known, name)
        if value is not None and table[name].null_count == len(table):
            position = table.schema.get_field_index(name)
            with suppress(
                OverflowError, ValueError
            ):  # another program's journal may have a value that no table can hold
                column = pa.repeat(pa.scalar(value, table.schema.field(name).type), len(table))
                table = table.set_column(position, table.schema.field(name), column)
    return table


def decode(content: bytes, path: Path | str, table: str) -> pa.Table:
    """Returns the table in a file's bytes, with all columns of its schema.

    Raises ValueError that names the file if it is not Parquet, damaged, or of a version that this code cannot read.
    """
    try:
        found = read_parquet(content)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{path} is not a Parquet file, or damaged: {reason}") from error
    return upgrade(found, table, path)


def set_run_name(table: pa.Table, run: str) -> pa.Table:
    """Sets the run's name, which is that of its folder, since folders are renamed and copied."""
    position = table.schema.get_field_index("run")
    return table.set_column(position, table.schema.field(position), pa.array([run] * len(table), pa.string()))


def _read_remote(remote: Remote) -> bytes | None:
    with explain_errors(remote.url):
        return remote.read("")


def frame(table: pa.Table) -> pd.DataFrame:
    """Returns the table as a DataFrame with nullable dtypes: integers stay integers, and a null is `<NA>`."""
    return table.to_pandas(types_mapper=_NULLABLE.get)


def _leaderboard_row(row: Mapping[str, Any], schema: pa.Schema) -> Row:
    flat = _flatten(row)
    _check_names(flat, schema.names, "leaderboard")
    flat["status"] = str(_status(flat.get("status")))
    for key in ("score", "val_loss", "best_score"):
        value = flat.get(key)
        flat[key] = float(value) if value is not None and math.isfinite(value) else None
    return flat


def _flatten(row: Mapping[str, Any]) -> Row:
    flat = {key: value for key, value in row.items() if key not in ("params", "metrics")}
    for prefix in ("param", "metric"):
        flat |= {f"{prefix}_{name}": value for name, value in (row.get(f"{prefix}s") or {}).items()}
    return flat


def _status(value: Any) -> Status:
    try:
        return Status(value)
    except ValueError:
        raise ValueError(f"status is {value!r}: it must be one of {', '.join(Status)}") from None


def _check_names(row: Row, names: list[str], table: str) -> None:
    unknown = sorted(set(row) - set(names))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such column in {table}; it has {', '.join(names)}")


def _rank(trials: list[Row], sign: float) -> None:
    def order(trial: Row) -> tuple:
        loss, number = _nulls_last(trial.get("val_loss")), _nulls_last(trial.get("trial"))
        return trial["status"] != Status.COMPLETE, sign * trial["score"], loss, number

    rankable = [t for t in trials if t["status"] in (Status.COMPLETE, *_UNFINISHED) and t["score"] is not None]
    for trial in trials:
        trial["rank"] = None
    for rank, trial in enumerate(sorted(rankable, key=order), start=1):
        trial["rank"] = rank


def _mark_front(trials: list[Row], sign: float) -> None:
    is_complete = [trial["status"] == Status.COMPLETE and trial["score"] is not None for trial in trials]
    costs = [sign * trial["score"] if ok else np.nan for trial, ok in zip(trials, is_complete, strict=True)]
    sizes = [np.nan if trial.get("num_params") is None else trial["num_params"] for trial in trials]
    for trial, is_on_front in zip(trials, find_front(np.array(costs, float), np.array(sizes, float)), strict=True):
        trial["pareto"] = bool(is_on_front)


def _nulls_last(value: float | None) -> tuple:
    return value is None, value or 0
