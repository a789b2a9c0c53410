"""Brings runs of a bucket to this machine: to be worked on, or single files to be read.

A run needs renames, locks and appends, so it works in a local folder; `search.runs.mirror` keeps the bucket's copy.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from pyarrow import fs

from data.files import replacing
from results.bucket import Remote, explain_errors
from results.files import check_no_links, open_unlinked
from results.locations import downloads_folder, folder_below, is_remote, working_folder
from results.own_files import JOURNAL, is_journal, is_kept


def fetch_run(runs_dir: str, run: str) -> Path:
    """Returns the local folder of a run, after fetching it if the bucket has more of it than this machine.

    Local work that a broken connection kept from the bucket stays. The folder of a run that does not exist is not made.
    Raises ValueError if the bucket does not respond, or if each side has records that the other has not.
    """
    folder = working_folder(runs_dir) / run
    if is_remote(runs_dir):
        remote = Remote(f"{runs_dir}/{run}")
        with explain_errors(remote.url):
            if files := remote.files():
                _update(remote, files, folder)
    return folder


def run_names(runs_dir: str, file: str = JOURNAL) -> list[str]:
    """Returns the sorted names of the runs that have this file."""
    if not is_remote(runs_dir):
        return sorted(path.parent.name for path in Path(runs_dir).glob(f"*/{file}"))
    with explain_errors(runs_dir):
        names = [name.split("/") for name in Remote(runs_dir).files()]
    return sorted(parts[0] for parts in names if parts[1:] == [file])


def download(url: str, *endings: str) -> Path:
    """Returns a local copy of a file, or of a folder's files with these endings, which is removed on exit.

    Raises ValueError if there are none.
    """
    remote, target = Remote(url), folder_below(downloads_folder(), url)
    with explain_errors(url):
        files = remote.files()
        wanted = [name for name in files if name.endswith(endings)] if files else [""]
        found = {name: content for name in wanted if (content := remote.read(name)) is not None}
    if not found:
        raise ValueError(f"{url}: there is no such file, and no run")
    shutil.rmtree(target, ignore_errors=True)  # an earlier copy
    for name, content in found.items():
        path = target / name if name else target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return target


def read_journals(folder: Path) -> dict[str, bytes]:
    """Returns the complete records of each journal in a run's folder, by the journal's name there."""
    paths = [path for path in folder.rglob(JOURNAL) if is_kept(str(path.relative_to(folder)))]
    return {path.relative_to(folder).as_posix(): _complete_lines(path.read_bytes()) for path in paths}


def is_ahead(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> bool:
    """Returns whether our journals are equal to theirs or continue them."""
    return all(ours.get(name, b"").startswith(content) for name, content in theirs.items())


def _update(remote: Remote, files: dict[str, fs.FileInfo], folder: Path) -> None:
    """Fetches the run unless the local copy is ahead. Raises ValueError if neither copy is."""
    folder.mkdir(parents=True, exist_ok=True)
    check_no_links(folder)
    with open_unlinked(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # a local process is running it, and is ahead of what it has sent
        theirs = {name: content for name in files if is_journal(name) if (content := remote.read(name)) is not None}
        ours = read_journals(folder)
        if ours and is_ahead(ours, theirs):
            return
        if not is_ahead(theirs, ours):
            raise ValueError(
                f"run={folder.name}: the local copy, in {folder}, and the run at {remote.url} have diverged. "
                "Remove that folder to continue from the bucket, or name another run"
            )
        print(f"{remote.url}: fetching {len(files)} files", file=sys.stderr, flush=True)
        _fetch_files(remote, files, theirs, folder)


def _fetch_files(remote: Remote, files: dict[str, fs.FileInfo], journals: dict[str, bytes], folder: Path) -> None:
    """Makes the folder equal to the bucket, journals last, so that an interrupted fetch is repeated."""
    for name, info in files.items():
        if name not in journals:
            remote.fetch(name, info, folder / name)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if is_kept(name := path.relative_to(folder).as_posix()) and name not in files:
            path.unlink()
    for name, content in journals.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name) as file:
            file.write(content)


def _complete_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
