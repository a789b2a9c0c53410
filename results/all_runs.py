"""One table over all runs of a folder, or of a bucket."""

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


@dataclass(frozen=True)
class Found:
    """A run's table, read, and what tells a copy of the run from another run."""

    place: str
    table: pa.Table
    mark: bytes


def load(task: str | None = None, root: Path | str | None = None, table: str = "leaderboard") -> pd.DataFrame:
    """One table over all runs of a task (of every task if None), with nullable dtypes.

    `root` is a folder of runs or one run's own folder, or either in a bucket, s3://... or gs://...; by default it is
    where searches write: see `results.runs_at`. A run's name, in the column `run`, is that of its folder. Where runs
    differ in their parameters the columns are their union, and what a run does not have is <NA>. A run that has no
    such table yet is left out; without any run the frame is empty, with the table's columns.

    Warns of each table that cannot be read, which is left out, of copies of one run, which all count, and of runs of
    one task whose scores do not compare: `results.comparable` gives the rows that compare with a run's.
    Raises ValueError if there is no such table or folder, if no table of a folder can be read, or if the types of two
    runs do not go together.
    """
    if table not in SCHEMAS:
        raise ValueError(f"there is no table {table!r}: it must be one of {', '.join(SCHEMAS)}")
    place = runs_at(root, key="root")
    remote = Remote(place) if is_remote(place) else None
    names = _names(place, remote, table)
    if names is None:
        raise ValueError(
            f"no runs at {place}: there is no such folder; `python -m search.run task={task or 'tiny10k'}` makes a "
            "run, and root= names another folder of runs"
        )
    read = list(_readable(place, remote, names, table))
    found = [replace(each, table=_of_task(each.table, task)) for each in read]
    _warn_of_copies(found)
    _warn_of_others([each.table for each in found if each.table.num_rows])
    return frame(_concatenate([each.table for each in found], table))


def _names(root: str, remote: Remote | None, table: str) -> list[str] | None:
    """The runs that have the table, by their folders' names below root, "" for root itself; None without such a root.

    Hidden folders hold no runs.
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


def _readable(root: str, remote: Remote | None, names: list[str], table: str) -> Iterator[Found]:
    """The tables that can be read; a warning for each other one. Raises ValueError if there are others alone."""
    faults: list[ValueError] = []
    for name in names:
        try:
            yield _found(root, remote, name, table)
        except ValueError as fault:
            faults.append(fault)
    if faults and len(faults) == len(names):
        more = f" ({len(faults) - 1} more tables cannot be read either)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}") from faults[0]
    for fault in faults:
        warnings.warn(f"left out, as it cannot be read: {fault}", stacklevel=3)


def _found(root: str, remote: Remote | None, name: str, table: str) -> Found:
    place = f"{root.rstrip('/')}/{name}" if name else root
    own_name = os.path.basename(os.path.abspath(root))
    run = f"{own_name}/{name}" if name == own_name else name or own_name  # a run within one of the same name
    content, journal = _contents(place, remote, f"{name}/" if name else "", f"{table}.parquet")
    read = decode(content, f"{place}/{table}.parquet", table)
    return Found(place, set_run_name(fill_conditions(read, journal), run), _first_line(journal) or _digest(read))


def _contents(place: str, remote: Remote | None, prefix: str, file: str) -> tuple[bytes, bytes]:
    """A file of a run's folder, and the beginning of the run's journal, empty where there is none.

    In a bucket the folder lies at `prefix` below `remote`. Raises ValueError that names the file if it cannot be read.
    """
    if remote:
        with explain_errors(f"{place}/{file}"):
            content = remote.read(prefix + file)
            journal = remote.read(prefix + JOURNAL, BEGINNING_BYTES) or b""
        if content is None:
            raise ValueError(f"{place}/{file}: there is no such file")
        return content, journal
    try:
        content = Path(place, file).read_bytes()  # at once: a writer may replace the file meanwhile
    except OSError as error:
        raise ValueError(f"{place}/{file}: cannot be read: {error.strerror}") from error
    return content, read_beginning(Path(place, JOURNAL))


def _first_line(journal: bytes) -> bytes:
    """The record that made the study; it holds an id that Optuna drew, so that it tells one run from all others."""
    return journal.partition(b"\n")[0]


def _digest(table: pa.Table) -> bytes:
    """For a run without a journal: what its table holds."""
    digest = hashlib.sha256()
    for batch in table.drop_columns("run").combine_chunks().to_batches():
        digest.update(batch.serialize())
    return digest.digest()


def _warn_of_copies(found: list[Found]) -> None:
    by_mark: dict[bytes, list[str]] = defaultdict(list)
    for each in found:
        if each.table.num_rows:
            by_mark[each.mark].append(each.place)
    for first, *others in by_mark.values():
        if others:
            warnings.warn(
                f"{first} and {', '.join(others)} are copies of one run: its rows are here once for each, under the "
                "names of their folders",
                stacklevel=3,
            )


def _warn_of_others(tables: list[pa.Table]) -> None:
    """Names, for each task, the runs whose scores do not compare with those of its last run by name."""
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


def _of_task(table: pa.Table, task: str | None) -> pa.Table:
    return table if task is None else table.filter(pc.equal(table["task"], task))  # pyright: ignore


def _concatenate(tables: list[pa.Table], name: str) -> pa.Table:
    schema = SCHEMAS[name]
    full = [table for table in tables if table.num_rows]
    try:
        union = pa.concat_tables([schema.empty_table(), *full], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise ValueError(
            f"the runs' {name} tables do not go together: {error}; load those of one task, task=..., or of one run, "
            "root=..."
        ) from error
    last = [column for column in union.column_names if column == "candidate_json"]
    return union.select([column for column in union.column_names if column not in last] + last)
