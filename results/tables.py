"""The tables made, written, read."""

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data.files import replacing
from results.bucket import Remote, explain_errors
from results.conditions import BEGINNING_BYTES, CONDITIONS, Conditions, read_identity
from results.locations import is_remote
from results.own_files import JOURNAL
from results.parquet_file import read_parquet
from results.schema import Status, curves_schema, finalists_schema, leaderboard_schema, upgrade

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
    direction: Literal["maximize", "minimize"],
    param_types: Mapping[str, pa.DataType],
    metric_names: Iterable[str] = (),
) -> pa.Table:
    """The leaderboard of trials, best first: ranked, and marked where they are on the Pareto front.

    A row holds a trial's columns but rank and pareto, in `params` its parameters and in `metrics` its last further
    metrics by name; what is missing is null. Completed trials rank first, then running, stopped and pruned ones, each
    by score, ties to the earlier trial. Other trials, and those without a finite score, have no rank and come last. A
    score that is not finite is null in the table, since a NaN would spoil every mean that a reader takes; the status
    says what happened.
    Raises ValueError on a column, parameter, status or direction that does not exist.
    """
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction is {direction!r}: it must be 'maximize' or 'minimize'")
    schema = leaderboard_schema(param_types, metric_names)
    trials = [_flat(row, schema) for row in rows]
    sign = -1.0 if direction == "maximize" else 1.0  # below, less is better
    _rank(trials, sign)
    _mark_pareto(trials, sign)
    trials.sort(key=lambda trial: (_nulls_last(trial["rank"]), _nulls_last(trial.get("trial"))))
    return pa.Table.from_pylist(trials, schema=schema)


def curves(rows: Iterable[Mapping[str, Any]], *, metric_names: Iterable[str] = ()) -> pa.Table:
    """The table of learning curves, a row a report, values as reported; what is missing is null.

    Raises ValueError on a column that is neither in CURVES nor one of the task's further metrics.
    """
    schema = curves_schema(metric_names)
    rows, batches = iter(rows), []
    while reports := [dict(row) for row in islice(rows, BATCH_ROWS)]:  # in parts: all at once would be the run's peak
        for report in reports:
            _check_names(report, schema.names, "curves")
        batches.append(pa.RecordBatch.from_pylist(reports, schema=schema))
    return pa.Table.from_batches(batches, schema=schema).combine_chunks()


def finalists(rows: Iterable[Mapping[str, Any]], *, metric_names: Iterable[str] = ()) -> pa.Table:
    """The table of retrained finalists, a row a finalist and seed, with `metric_NAME` columns of the scored images.

    A row has the columns of FINALISTS, and in `metrics` the further ones by name; what is missing is null.
    """
    schema = finalists_schema(metric_names)
    flat = [_flattened(row) for row in rows]
    for row in flat:
        _check_names(row, schema.names, "finalists")
    return pa.Table.from_pylist(flat, schema=schema)


def from_rows(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """The table of a schema that has neither parameters nor metrics; what is missing in a row is null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def write(table: pa.Table, path: Path | str) -> None:
    """Puts the table at `path` as Parquet, atomically: a reader sees the old file or the new one, never half.

    On failure the old file is as it was, and nothing is left beside it.
    """
    with replacing(Path(path)) as file:
        pq.write_table(table, file, compression="zstd")


def read(path: Path | str, table: str) -> pa.Table:
    """The table in one file, of this machine or of a bucket.

    Raises ValueError if the file is not Parquet, damaged, or of a version that this code does not read.
    """
    if is_remote(path):
        return _read_remote(Remote(str(path)), path, table)
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe may never end
        raise ValueError(f"{path} is no file")
    return decode(Path(path).read_bytes(), path, table)  # at once: a writer may replace the file meanwhile


def read_run(folder: Path, table: str) -> pa.Table:
    """A table of the run in a folder, under the folder's name. Raises ValueError as `read` does."""
    found = fill_conditions(read(folder / f"{table}.parquet", table), read_beginning(folder / JOURNAL))
    return set_run_name(found, os.path.basename(os.path.abspath(folder)))


def read_beginning(journal: Path) -> bytes:
    """The first records of a journal, empty where it cannot be read."""
    try:
        with journal.open("rb") as file:
            return file.read(BEGINNING_BYTES)
    except OSError:
        return b""


def fill_conditions(table: pa.Table, journal: bytes) -> pa.Table:
    """The table with its run's conditions from the beginning of the run's journal, where it has none of its own.

    Tables had no goal, epochs and numbers of images once. What the journal does not say stays null.
    """
    known = Conditions.of_identity(read_identity(journal))
    for name in CONDITIONS:
        value = getattr(known, name)
        if value is not None and table[name].null_count == len(table):
            place = table.schema.get_field_index(name)
            with suppress(OverflowError, ValueError):  # of a foreign journal: no number or text that a table can hold
                column = pa.repeat(pa.scalar(value, table.schema.field(name).type), len(table))
                table = table.set_column(place, table.schema.field(name), column)
    return table


def decode(content: bytes, path: Path | str, table: str) -> pa.Table:
    """The table in the bytes of the file at a path, with all columns of its schema.

    Raises ValueError that names the file if it is not Parquet, damaged, or of a version that this code does not read.
    """
    try:
        found = read_parquet(content)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ValueError(f"{path} is not a Parquet file, or damaged: {reason}") from error
    return upgrade(found, table, path)


def set_run_name(table: pa.Table, run: str) -> pa.Table:
    """The table under a run's name: a run is called as its folder, which may have been renamed or copied."""
    place = table.schema.get_field_index("run")
    return table.set_column(place, table.schema.field(place), pa.array([run] * len(table), pa.string()))


def _read_remote(remote: Remote, path: Path | str, table: str) -> pa.Table:
    with explain_errors(remote.url):
        content = remote.read("")
    if content is None:
        raise ValueError(f"{path}: there is no such file")
    return decode(content, path, table)


def frame(table: pa.Table) -> pd.DataFrame:
    """The table as a DataFrame with nullable dtypes: an integer stays one, and a null is <NA>."""
    return table.to_pandas(types_mapper=_NULLABLE.get)


def _flat(row: Mapping[str, Any], schema: pa.Schema) -> Row:
    flat = _flattened(row)
    _check_names(flat, schema.names, "leaderboard")
    flat["status"] = str(_status(flat.get("status")))
    for key in ("score", "best_score"):
        value = flat.get(key)
        flat[key] = float(value) if value is not None and math.isfinite(value) else None
    return flat


def _flattened(row: Mapping[str, Any]) -> Row:
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
    def place(trial: Row) -> tuple:
        return trial["status"] != Status.COMPLETE, sign * trial["score"], _nulls_last(trial.get("trial"))

    rankable = [t for t in trials if t["status"] in (Status.COMPLETE, *_UNFINISHED) and t["score"] is not None]
    for trial in trials:
        trial["rank"] = None
    for rank, trial in enumerate(sorted(rankable, key=place), start=1):
        trial["rank"] = rank


def _mark_pareto(trials: list[Row], sign: float) -> None:
    by_size: dict[int, list[Row]] = defaultdict(list)
    for trial in trials:
        trial["pareto"] = False
        complete = trial["status"] == Status.COMPLETE and trial["score"] is not None
        if complete and trial.get("num_params") is not None:
            by_size[trial["num_params"]].append(trial)
    best = math.inf  # of all smaller networks
    for size in sorted(by_size):
        best_here = min(sign * trial["score"] for trial in by_size[size])
        for trial in by_size[size]:
            trial["pareto"] = sign * trial["score"] == best_here and best_here < best
        best = min(best, best_here)


def _nulls_last(value: float | None) -> tuple:
    return value is None, value or 0
