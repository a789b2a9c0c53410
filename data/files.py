"""Where data files are kept, and how any file of this project is replaced: whole, or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".part"
"""The ending of a file that is still being written."""


def default_data_dir() -> Path:
    """Where data is kept unless told otherwise: $FRUGAL_DATA_DIR, or frugal/ in the user's cache folder."""
    if chosen := os.environ.get("FRUGAL_DATA_DIR"):
        return Path(chosen).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG standard has relative paths ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "frugal"


@contextmanager
def replacing(path: Path, *, make_folder: bool = False) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path` when the block ends without an error.

    A reader sees the old file or the new one, never half of one. After an error the old file is unchanged, and no
    temporary file remains. A link at `path` is replaced, not followed. With `make_folder`, missing parent folders are
    made. Several processes may write the same path at once: the last one to finish wins. Raises OSError.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, since a rename is atomic only within one file system. The name has nothing of the target's,
    # which may be as long as a name can be. tempfile's files would be readable by their owner alone.
    temporary = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
