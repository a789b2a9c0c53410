"""The file under a journal: records go into it whole or not at all, and what is none is refused as it is.

Optuna's file backend does the reading and writing. A journal ends in half a record where its process was killed or its
disk was full; appending after that would break the next read.
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
"""How Optuna begins each record."""
DAMAGED = "the journal is damaged"
PUT_BACK = "Put the file back as it was, or give another run="


class JournalFile(UnlockedFile):
    """Optuna's file of records, under the run's lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        for record in super().read_logs(log_number_from):
            yield _share_words(record)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes records whole or not at all. Raises StorageError, the file being as it was, if the disk is full."""
        with writing(self.path):
            size = self.path.stat().st_size
            try:
                super().append_logs(logs)
            except OSError:
                os.truncate(self.path, size)
                raise


def _share_words(value: Any) -> Any:
    """The same, its keys and words kept once for all records, of which there may be a hundred thousand."""
    if isinstance(value, dict):
        return {intern(name): _share_words(each) for name, each in value.items()}
    return intern(value) if isinstance(value, str) else value


def cut_torn_line(path: Path) -> None:
    """Removes what a killed process left of a last line: appending after it would break the next read.

    Raises ValueError, and removes nothing, if there is anything but records of a journal ahead of it.
    """
    if path.exists() and (whole := num_whole_bytes(path)) < path.stat().st_size:
        os.truncate(path, whole)


def num_whole_bytes(path: Path) -> int:
    """The length of all records without a torn last line. Raises ValueError if there is anything else in the file."""
    whole = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n") and _may_be_torn(line):
                    break
                if not _is_record(line):
                    found = line[:40].decode(errors="replace").strip()
                    raise ValueError(
                        f"{path}: line {number} is damaged, or this is no journal of a run: it begins with {found!r}. "
                        f"{PUT_BACK}"
                    )
                whole += len(line)
    except OSError as error:
        raise ValueError(f"{path}: not to be read as the journal of a run: {error.strerror}. {PUT_BACK}") from None
    return whole


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever reading records brings up, whose form is right and whose content is not, becomes a ValueError."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path}: {DAMAGED}, its records do not go together ({type(error).__name__}: {error}). {PUT_BACK}"
        ) from error


def _may_be_torn(line: bytes) -> bool:
    """Whether a line without an end is the beginning of a record, or what a crashed system leaves: zeros."""
    return line.startswith(RECORD[: len(line)]) or not line.strip(b"\0")


def _is_record(line: bytes) -> bool:
    try:
        return line.startswith(RECORD) and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
