"""Reads and writes files of a run's folder: within limits, with clear errors, and never through others' links."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


class StorageError(Exception):
    """A run's folder cannot be written. No trial is at fault, so the records of all trials are kept."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Replaces each OSError in the block by a StorageError that names the path."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_no_links(folder: Path, unless_in: Collection[str] = ()) -> None:
    """Raises ValueError if a link, a pipe or a device is anywhere below a folder that will be written to.

    A link in a folder that someone else made could lead to any of the user's files. The folder itself may be a link,
    since the user chose it. Folders whose names are in `unless_in` are skipped.
    """
    for path, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            with suppress(FileNotFoundError):  # deleted since it was listed
                _check_plain(Path(path, name))
        folders[:] = [name for name in folders if name not in unless_in]


def open_unlinked(path: Path, mode: str) -> IO[str]:
    """Opens a file to write or to append, without emptying it. Raises OSError if the path is a link."""

    def open_file(name: str, flags: int) -> int:
        return os.open(name, (flags | os.O_NOFOLLOW) & ~os.O_TRUNC, 0o666)

    return open(path, mode, encoding="utf-8", opener=open_file)


def read_file(path: Path, max_bytes: int | None = None) -> bytes | None:
    """Returns a file's bytes, or None if nothing exists at the path.

    Raises ValueError that names the path if it is not a file (reading a pipe might never end), is longer than
    `max_bytes`, or cannot be read.
    """
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise ValueError(f"{path} is not a file")
        with path.open("rb") as file:  # read in one go, since a writer may replace the file at any time
            content = file.read() if max_bytes is None else file.read(max_bytes + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None
    if max_bytes is not None and len(content) > max_bytes:
        raise ValueError(f"{path}: has more than {max_bytes:,} bytes, the limit for such a file of a run")
    return content


def _check_plain(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise ValueError(
            f"{path}: is a link to {os.readlink(path)}, where the run's files would be written; links are not allowed "
            "inside a run's folder. Remove it, or replace it by a copy of what it points to"
        )
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(
            f"{path}: is neither a file nor a folder; nothing else is allowed in a run's folder. Remove it"
        )
