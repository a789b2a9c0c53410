"""Loads one table over all runs of a folder or bucket."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from results.analysis.comparable import describe_excluded, find_differences
from results.bucket import Remote, explain_errors
from results.conditions import BEGINNING_BYTES, Conditions
from results.locations import is_remote
from results.own_files import JOURNAL
from results.runs_at import runs_at
from results.schema import SCHEMAS
from results.tables import decode, fill_conditions, frame, read_beginning, set_run_name
from results.wording import count


@dataclass(frozen=True)
class LoadedTable:
    """A run's table, with a mark that copies of the run share and other runs do not."""

    location: str
    table: pa.Table
    mark: bytes


def load(task: str | None = None, root: Path | str | None = None, table: str = "leaderboard") -> pd.DataFrame:
    """Returns one table over all runs of a task (of every task if None), with nullable dtypes.

    `root` is a folder of runs or one run's own folder, or either in a bucket, s3://... or gs://...; by default it is
    the folder that searches write to: see `results.runs_at`. A run's name, in the column `run`, is that of its folder.
    If runs have different parameters, the columns are their union, with `<NA>` for those that a run does not have. A
    run that has no such table yet is left out; without any run the frame is empty, with the table's columns.

    Warns of each table that is left out because it cannot be read, of copies of one run, which are all included, and of
    runs of one task whose scores do not compare: `results.comparable` returns the rows that compare with a run's.
    Raises ValueError if there is no such table or folder, if no table of a folder can be read, or if the types of two
    runs conflict.
    """
    if table not in SCHEMAS:
        raise ValueError(f"there is no table {table!r}: it must be one of {', '.join(SCHEMAS)}")
    location = runs_at(root, key="root")
    remote = Remote(location) if is_remote(location) else None
    names = _find_names(location, remote, table)
    if names is None:
        raise ValueError(
            f"no runs at {location}: there is no such folder; `python -m search.run task={task or 'tiny10k'}` makes a "
            "run, and root= names another folder of runs"
        )
    read = list(_read_all(location, remote, names, table))
    found = [replace(each, table=_select_task(each.table, task)) for each in read]
    _warn_of_copies(found)
    _warn_of_differences([each.table for each in found if each.table.num_rows])
    return frame(_concatenate([each.table for each in found], table))


def _find_names(root: str, remote: Remote | None, table: str) -> list[str] | None:
    """Returns the names of the folders below root that have the table, with "" for root; None if root does not exist.

    Hidden folders are skipped, since they are not runs.
    """
    file = f"{table}.parquet"
    if remote:
        with explain_errors(root):
            found = [name.split("/") for name in remote.files()]
        return sorted("/".join(parts[:-1]) for parts in found if len(parts) <= 2 and parts[-1] == file) or (
            [] if found else None
        )
    if not os.path.isdir(root):
        return None
    own = [""] if Path(root, file).exists() else []
    return own + sorted(p.parent.name for p in Path(root).glob(f"*/{file}") if not p.parent.name.startswith("."))


def _read_all(root: str, remote: Remote | None, names: list[str], table: str) -> Iterator[LoadedTable]:
    """Yields the tables that can be read, and warns of each other one. Raises ValueError if none can be read."""
    faults: list[ValueError] = []
    for name in names:
        try:
            yield _read_one(root, remote, name, table)
        except ValueError as fault:
            faults.append(fault)
    if faults and len(faults) == len(names):
        more = f" ({count(len(faults) - 1, 'more table')} cannot be read either)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}") from faults[0]
    for fault in faults:
        warnings.warn(f"left out, since it cannot be read: {fault}", stacklevel=3)


def _read_one(root: str, remote: Remote | None, name: str, table: str) -> LoadedTable:
    location = f"{root.rstrip('/')}/{name}" if name else root
    own_name = os.path.basename(os.path.abspath(root))
    run = f"{own_name}/{name}" if name == own_name else name or own_name  # a run inside a folder of the same name
    content, journal = _read_contents(location, remote, f"{name}/" if name else "", f"{table}.parquet")
    read = decode(content, f"{location}/{table}.parquet", table)
    return LoadedTable(
        location, set_run_name(fill_conditions(read, journal), run), _first_line(journal) or _digest(read)
    )


def _read_contents(location: str, remote: Remote | None, prefix: str, file: str) -> tuple[bytes, bytes]:
    """Returns a file of a run's folder, and the beginning of the run's journal, which is empty if there is none.

    In a bucket, the folder is at `prefix` below `remote`. Raises ValueError that names the file if it cannot be read.
    """
    if remote:
        with explain_errors(f"{location}/{file}"):
            content = remote.read(prefix + file)
            journal = remote.read(prefix + JOURNAL, BEGINNING_BYTES) or b""
        if content is None:
            raise ValueError(f"{location}/{file}: there is no such file")
        return content, journal
    try:
        content = Path(location, file).read_bytes()  # in one read, since a writer may replace the file
    except OSError as error:
        raise ValueError(f"{location}/{file}: cannot be read: {error.strerror}") from error
    return content, read_beginning(Path(location, JOURNAL))


def _first_line(journal: bytes) -> bytes:
    """Returns the record that created the study. It has a random id of Optuna, so it is unique to the run."""
    return journal.partition(b"\n")[0]


def _digest(table: pa.Table) -> bytes:
    """Returns a hash of a table, the mark of a run without a journal."""
    digest = hashlib.sha256()
    for batch in table.drop_columns("run").combine_chunks().to_batches():
        digest.update(batch.serialize())
    return digest.digest()


def _warn_of_copies(found: list[LoadedTable]) -> None:
    by_mark: dict[bytes, list[str]] = defaultdict(list)
    for each in found:
        if each.table.num_rows:
            by_mark[each.mark].append(each.location)
    for first, *others in by_mark.values():
        if others:
            warnings.warn(
                f"{first} and {', '.join(others)} are copies of one run: its rows are repeated under the name of each "
                "folder",
                stacklevel=3,
            )


def _warn_of_differences(tables: list[pa.Table]) -> None:
    """Warns, for each task, of the runs whose scores do not compare with those of its last run by name."""
    runs = [table.slice(0, 1).to_pylist()[0] for table in tables]
    by_task = {row["task"]: [other for other in runs if other["task"] == row["task"]] for row in runs}
    for task, (*others, last) in by_task.items():
        theirs = ((row["run"], Conditions.of_row(row)) for row in others)
        if apart := find_differences(theirs, Conditions.of_row(last)):
            here = f"run {last['run']}"
            warnings.warn(
                f"not all scores of task {task} compare; {describe_excluded(apart, here)}. "
                "results.comparable(table, run) returns the rows that compare with a run's",
                stacklevel=3,
            )


def _select_task(table: pa.Table, task: str | None) -> pa.Table:
    return table if task is None else table.filter(pc.equal(table["task"], task))  # pyright: ignore


def _concatenate(tables: list[pa.Table], name: str) -> pa.Table:
    schema = SCHEMAS[name]
    full = [table for table in tables if table.num_rows]
    try:
        union = pa.concat_tables([schema.empty_table(), *full], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise ValueError(
            f"the runs' {name} tables conflict: {error}; load those of one task with task=..., or of one run "
            "with root=..."
        ) from error
    last = [column for column in union.column_names if column == "candidate_json"]
    return union.select([column for column in union.column_names if column not in last] + last)
