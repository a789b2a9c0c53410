"""Files of a run's folder: reading within limits, writing errors, and no writing through links that others made."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


class StorageError(Exception):
    """A run's folder cannot be written; neither a trial nor its candidate is at fault, and their records stay."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise a StorageError that names `path` for every OSError in the block."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_no_links(folder: Path, unless_in: Collection[str] = ()) -> None:
    """Raises ValueError for a link, a pipe or a device anywhere below a folder that is about to be written in.

    Whoever made the folder could have pointed it at any file of the user's. The folder itself may be a link, which is
    the user's own. Folders called as one of `unless_in` are not looked into.
    """
    for path, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            with suppress(FileNotFoundError):  # over since it was listed
                _check_plain(Path(path, name))
        folders[:] = [name for name in folders if name not in unless_in]


def open_unlinked(path: Path, mode: str) -> IO[str]:
    """Opens a file to write or to add to, as it is: it is not emptied. Raises OSError for a link."""

    def opened(name: str, flags: int) -> int:
        return os.open(name, (flags | os.O_NOFOLLOW) & ~os.O_TRUNC, 0o666)

    return open(path, mode, encoding="utf-8", opener=opened)


def _check_plain(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise ValueError(
            f"{path}: is a link, to {os.readlink(path)}, and what a run writes would go there; a run's folder holds no "
            "links below itself. Remove it, or put what it names in its place"
        )
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path}: is neither a file nor a folder, and a run's folder holds nothing else. Remove it")


def content_of(path: Path, max_bytes: int) -> bytes | None:
    """What a file holds; None where nothing is there.

    Raises ValueError that names it where it is no file, as a pipe that never ends, is longer, or cannot be read.
    """
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise ValueError(f"{path} is no file")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > max_bytes:
        raise ValueError(f"{path}: it has more than {max_bytes:,} bytes, which no such file of a run has")
    return content
