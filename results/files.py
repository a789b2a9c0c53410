"""Files put in place whole or not at all, and folders that others made, in which nothing is written through a link."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` at the end: a reader sees the old one or the new one, never half.

    On failure the old file is as it was, and nothing is left beside it. A link at `path` is replaced, not followed.
    """
    # Beside its target, as a rename is atomic only within one file system, and without its name, which may be as long
    # as a name can be. Not from tempfile, whose files only their owner may read.
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
