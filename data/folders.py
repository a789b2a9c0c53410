"""What a folder of data holds: its folders and files, without what other programs left there."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data.splits import DataError

MAX_LISTED = 20  # lines of one error

LITTER = {
    # Windows
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "folder.htt"),
    *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "config.msi"),
    *("wpsettings.dat", "indexervolumeguid"),
    # macOS; what begins with a dot is left out anyway
    *("__macosx", "icon\r", "desktop db", "desktop df", "network trash folder", "temporary items"),
    *("thevolumesettingsfolder", "backups.backupdb"),
    # Linux
    *("lost+found", "aquota.user", "aquota.group"),
    # storage servers of Synology and QNAP
    *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "@sharebin", "@synoresource"),
    # viewers of pictures, and tools
    *("picasa.ini", "zbthumbnail.info", "pspbrwse.jbf", "sync.ffs_db", "__pycache__"),
}
"""Names, in lower case, that operating systems, storage servers and viewers give to files and folders of their own."""
LITTER_STARTS = (".", "~$")  # hidden, as .DS_Store, ._1.png and .ipynb_checkpoints; and Office's locks
LITTER_ENDS = (":zone.identifier", "@synoeastream", "@synoresource")

NOT_UTF8 = "its name is no UTF-8, as often in an old archive; rename it"


class Entries(NamedTuple):
    """The names in a folder, each in order; in `unreadable` those that are no UTF-8, as they can be shown."""

    folders: list[str]
    files: list[str]
    unreadable: list[str]


def read_entries(folder: Path) -> Entries:
    """The names of folders and of files in a folder, without litter. DataError if the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            seen = sorted((entry.name, entry.is_dir()) for entry in entries if not is_litter(entry.name))
    except OSError as error:
        raise DataError(
            f"{readable(folder)}: expected a folder that can be read, found: {error.strerror or error}"
        ) from error
    good = [(name, is_folder) for name, is_folder in seen if is_utf8(name)]
    return Entries(
        [name for name, is_folder in good if is_folder],
        [name for name, is_folder in good if not is_folder],
        [readable(name) for name, _ in seen if not is_utf8(name)],
    )


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is another program's own, and neither an image nor a class."""
    lower = name.lower()
    return lower in LITTER or lower.startswith(LITTER_STARTS) or lower.endswith(LITTER_ENDS)


def is_utf8(name: Path | str) -> bool:
    """Whether a name can be written into a table; Python reads other bytes of a name as lone surrogates."""
    try:
        os.fspath(name).encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(name: Path | str) -> str:
    """A name that can be printed: bytes that are no UTF-8 as \\xfc."""
    return os.fsencode(name).decode(errors="backslashreplace") if not is_utf8(name) else os.fspath(name)


def check_utf8(path: Path, names: Iterable[str] = ()) -> None:
    """Raises DataError for a path that is no UTF-8, or for such readable names in a folder."""
    if not is_utf8(path):
        raise DataError(f"{readable(path)}: {NOT_UTF8}")
    if names := list(names):
        more = [f"and {len(names) - MAX_LISTED:,} more"] if len(names) > MAX_LISTED else []
        lines = [f"{name}: {NOT_UTF8}" for name in names[:MAX_LISTED]]
        raise DataError("\n  ".join([f"{path}: cannot be used:", *lines, *more]))
