"""The file of a journal. Records are written whole or not at all, and a file that is no journal is left as it is.

Optuna's file backend reads and writes it. If the process was killed or the disk was full, a journal ends in half a
record; appending after that would break the next read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from sys import intern
from typing import Any

from results.files import StorageError, writing
from search.engines.optuna import UnlockedFile

RECORD = b'{"op_code":'
"""The start of each of Optuna's records."""
DAMAGED = "the journal is damaged"
PUT_BACK = "Restore the file, or give another run="


class JournalFile(UnlockedFile):
    """Optuna's file of records, which the run's lock protects."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        for record in super().read_logs(log_number_from):
            yield {intern(name): _share_words(value) for name, value in record.items()}

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes records whole or not at all. Raises StorageError, leaving the file as it was, if the disk is full."""
        with writing(self.path):
            size = self.path.stat().st_size
            try:
                super().append_logs(logs)
            except OSError:
                os.truncate(self.path, size)
                raise


def _share_words(value: object) -> object:
    """Returns the value with its keys and words interned, since there may be a hundred thousand records."""
    if isinstance(value, dict):
        return {intern(name): _share_words(each) for name, each in value.items()}
    return intern(value) if isinstance(value, str) else value


def cut_torn_line(path: Path) -> None:
    """Removes the incomplete last line of a killed process, since appending after it would break the next read.

    Raises ValueError, and removes nothing, if anything before it is not a record.
    """
    if path.exists() and (whole := num_whole_bytes(path)) < path.stat().st_size:
        os.truncate(path, whole)


def num_whole_bytes(path: Path) -> int:
    """Returns the length of all records without a torn last line. Raises ValueError if the file holds anything else."""
    whole = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n") and _may_be_torn(line):
                    break
                if not _is_record(line):
                    found = line[:40].decode(errors="replace").strip()
                    raise ValueError(
                        f"{path}: line {number} is damaged, or this is no journal of a run: it begins with "
                        f"{found!r}. {PUT_BACK}"
                    )
                whole += len(line)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read as the journal of a run: {error.strerror}. {PUT_BACK}") from None
    return whole


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns every exception that records of the right form and the wrong content raise into a ValueError."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path}: {DAMAGED}, its records are inconsistent ({type(error).__name__}: {error}). {PUT_BACK}"
        ) from error


def _may_be_torn(line: bytes) -> bool:
    """Returns whether a line without an end is the start of a record, or the zeros that a crashed system leaves."""
    return line.startswith(RECORD[: len(line)]) or not line.strip(b"\0")


def _is_record(line: bytes) -> bool:
    try:
        return line.startswith(RECORD) and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
