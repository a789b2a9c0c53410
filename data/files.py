"""The default folder of data files, and the one way in which this project replaces a file: whole, or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".part"
"""The suffix of a file that is still being written."""


def default_data_dir() -> Path:
    """Returns $FRUGAL_DATA_DIR, or else the folder frugal/ in the user's cache folder."""
    if chosen := os.environ.get("FRUGAL_DATA_DIR"):
        return Path(chosen).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG standard says to ignore relative paths.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "frugal"


@contextmanager
def replacing(path: Path, *, make_folder: bool = False) -> Iterator[BinaryIO]:
    """Yields a new file that replaces `path` when the block ends without an error.

    A reader sees the old file or the new one, never half of one. After an error the old file is unchanged, and no
    temporary file remains. A link at `path` is replaced, not followed. With `make_folder`, missing parent folders are
    created. Several processes may write the same path at once: the last one to finish wins. Raises OSError.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within one file system. The name does not contain the target's,
    # which may have the maximum length already. Files of tempfile would be readable by their owner only.
    temporary = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
