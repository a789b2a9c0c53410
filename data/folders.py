"""Lists the folders and files in a folder of data, without the files that other programs leave there."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data.lists import list_faults
from data.splits import DataError

LITTER = {
    # Windows
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "folder.htt"),
    *("$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "config.msi"),
    *("wpsettings.dat", "indexervolumeguid"),
    # macOS; names that begin with a dot are left out anyway
    *("__macosx", "icon\r", "desktop db", "desktop df", "network trash folder", "temporary items"),
    *("thevolumesettingsfolder", "backups.backupdb"),
    # Linux
    *("lost+found", "aquota.user", "aquota.group"),
    # storage servers of Synology and QNAP
    *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "@sharebin", "@synoresource"),
    # viewers of pictures, and tools
    *("picasa.ini", "zbthumbnail.info", "pspbrwse.jbf", "sync.ffs_db", "__pycache__"),
}
"""Names, in lower case, of files and folders that operating systems, storage servers and viewers make."""
LITTER_STARTS = (".", "~$")  # hidden files, such as .DS_Store, ._1.png and .ipynb_checkpoints; and Office's locks
LITTER_ENDS = (":zone.identifier", "@synoeastream", "@synoresource")

NOT_UTF8 = "its name is not UTF-8, as often happens in old archives; rename it"


class Entries(NamedTuple):
    """The sorted names in a folder. `unreadable` holds names that are not UTF-8, in a form that can be printed."""

    folders: list[str]
    files: list[str]
    unreadable: list[str]


def read_entries(folder: Path) -> Entries:
    """Returns the names in a folder, without litter. Raises DataError if the folder cannot be read."""
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
    """Returns whether a file or folder of this name belongs to another program, and is neither an image nor a class."""
    lower = name.lower()
    return lower in LITTER or lower.startswith(LITTER_STARTS) or lower.endswith(LITTER_ENDS)


def is_utf8(name: Path | str) -> bool:
    """Returns whether a name can be written into a table. Python reads bytes that are not UTF-8 as lone surrogates."""
    try:
        os.fspath(name).encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(name: Path | str) -> str:
    """Returns a name that can be printed, with bytes that are not UTF-8 as \\xfc."""
    return os.fsencode(name).decode(errors="backslashreplace") if not is_utf8(name) else os.fspath(name)


def check_utf8(path: Path, unreadable: Iterable[str] = ()) -> None:
    """Raises DataError for a path that is not UTF-8, or for unreadable names in the folder."""
    if not is_utf8(path):
        raise DataError(f"{readable(path)}: {NOT_UTF8}")
    if faults := [f"{name}: {NOT_UTF8}" for name in unreadable]:
        raise DataError(list_faults(f"{path}: cannot be used:", faults))
