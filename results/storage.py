"""Runs in a bucket, s3:// or gs://, through pyarrow's filesystems: brought here to be worked on, or read from there.

A run needs renames, locks and appends, so it works in a folder of this machine; `search.runs.mirror`
keeps the bucket's copy.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import BinaryIO

from pyarrow import fs

from data.files import TEMPORARY, replacing
from results.files import check_no_links, open_unlinked

JOURNAL = "journal.log"
CONNECT_SECONDS, SILENT_SECONDS, ATTEMPTS = 3.0, 5.0, 2
"""So that a connection that was cut is noticed within seconds; the SDKs' own patience is minutes."""
NO_BUCKET = "there is no such bucket; make it first"
CREDENTIALS = (
    "Credentials are looked for in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in ~/.aws, and in this machine's role; "
    "of gs:// in GOOGLE_APPLICATION_CREDENTIALS, in ~/.config/gcloud, and in this machine's service account"
)
GOOGLE_STATUS = re.compile(r"google::cloud::Status\((\w+): .*?with a last message of (.*?)(?: error_info=|$)")


def is_remote(place: Path | str) -> bool:
    """Whether this names a place in a bucket; a local path, of pathlib's too, has no ://."""
    return "://" in str(place)


def cleaned(url: str) -> str:
    """Without slashes at its end. Raises ValueError if it names no place in a bucket."""
    scheme, bucket, rest = _parts(url)
    return f"{scheme}://{'/'.join([bucket, *rest])}"


def at_home(name: str, folder: str) -> str:
    """A folder without ~ in front, which not every shell replaces; a bucket's as it is.

    Raises ValueError that names the key.
    """
    if is_remote(folder):
        return cleaned(folder)
    try:
        return str(Path(folder).expanduser())
    except RuntimeError:
        raise ValueError(
            f"{name}={folder}: no home is known of a user by that name; name a folder with {name}=FOLDER"
        ) from None


def working_folder(runs_dir: str) -> Path:
    """The folder of this machine that stands for a folder of runs: itself, or where runs of a bucket are worked on."""
    return _under(_work_root(), runs_dir) if is_remote(runs_dir) else Path(runs_dir)


def shown(path: Path) -> str:
    """A path as the place that lasts: in the bucket, for what lies in the working folder of one."""
    for root in (_work_root(), *([_copies()] if _copies.cache_info().currsize else [])):
        if path.resolve().is_relative_to(root.resolve()):
            scheme, *rest = path.resolve().relative_to(root.resolve()).parts or ("",)
            return f"{scheme}://{'/'.join(rest)}" if rest else str(path)
    return str(path)


def bring(runs_dir: str, run: str) -> Path:
    """The folder of this machine that holds a run, fetched first where the bucket has more of it.

    What was done here and not sent, as the connection was cut, is kept. A run that is nowhere has no folder. Raises
    ValueError where there is no answer, or where each side has what the other has not.
    """
    folder = working_folder(runs_dir) / run
    if is_remote(runs_dir):
        remote = Remote(f"{runs_dir}/{run}")
        with explained(remote.url):
            if files := remote.files():
                _bring(remote, files, folder)
    return folder


def run_names(runs_dir: str, file: str = JOURNAL) -> list[str]:
    """The names of the runs that have such a file."""
    if not is_remote(runs_dir):
        return sorted(path.parent.name for path in Path(runs_dir).glob(f"*/{file}"))
    with explained(runs_dir):
        names = [name.split("/") for name in Remote(runs_dir).files()]
    return sorted(parts[0] for parts in names if parts[1:] == [file])


def copied(url: str, *endings: str) -> Path:
    """A copy on this machine, until the process ends, of a file in a bucket, or of a folder's files that end in one.

    Raises ValueError if there is nothing.
    """
    remote, target = Remote(url), _under(_copies(), url)
    with explained(url):
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


class Remote:
    """A folder in a bucket. What it is asked raises OSError where there is no answer, or where it is refused."""

    def __init__(self, url: str) -> None:
        """Raises ValueError for a URL that is none of a bucket, or one whose bucket's region cannot be told."""
        self.url = url
        scheme, bucket, rest = _parts(url)
        self.path = "/".join([bucket, *rest])
        with explained(url):
            self.filesystem = _s3(bucket) if scheme == "s3" else _gs()

    def files(self) -> dict[str, fs.FileInfo]:
        """All that is below it, by name, but what is hidden or half written; an empty folder is none."""
        # Not so for S3, which then would not say that there is no such bucket; Google's raises an OSError of no kind
        is_quiet = isinstance(self.filesystem, fs.GcsFileSystem)
        try:
            found = self.filesystem.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=is_quiet))
        except FileNotFoundError:
            return {}
        names = {info.path.removeprefix(f"{self.path}/"): info for info in found if info.type == fs.FileType.File}
        return {name: info for name, info in sorted(names.items()) if is_kept(name)}

    def size(self, name: str) -> int | None:
        return self.filesystem.get_file_info([self._path(name)])[0].size

    def read(self, name: str, max_bytes: int | None = None) -> bytes | None:
        """A file's bytes, or its first ones, or None if there is no such file."""
        try:
            with self.filesystem.open_input_stream(self._path(name)) as stream:
                return stream.read(max_bytes)
        except FileNotFoundError:
            return None

    def fetch(self, name: str, info: fs.FileInfo, path: Path) -> None:
        """Puts a file at a path, with the time that it has here, unless it is there already, or here no more."""
        time = info.mtime_ns or 0
        if path.is_file() and (path.stat().st_size, path.stat().st_mtime_ns) == (info.size, time):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.filesystem.open_input_stream(self._path(name)) as stream, replacing(path) as file:
                shutil.copyfileobj(stream, file)
        except FileNotFoundError:
            return
        os.utime(path, ns=(time, time))

    def send(self, name: str, file: BinaryIO) -> None:
        """Puts what is left of a file in its place, whole or not at all."""
        with self.filesystem.open_output_stream(self._path(name)) as stream:
            shutil.copyfileobj(file, stream, 2**20)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.filesystem.delete_file(self._path(name))

    def remove_all(self) -> None:
        with suppress(FileNotFoundError):  # Google's looks for the folder itself when all in it is gone
            self.filesystem.delete_dir(self.path)

    def _path(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path


def is_kept(name: str) -> bool:
    """Whether a file belongs to the run, by its name in the folder: locks and what is half written do not.

    Nor does a name that would lie outside of the folder, with .. or // in it, as names in buckets may be.
    """
    is_within = all(part and not part.startswith(".") for part in name.split("/"))
    return is_within and not name.endswith(TEMPORARY)


def is_journal(name: str) -> bool:
    """The run's own, or that of a study within it."""
    return name.split("/")[-1] == JOURNAL


def whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def local_journals(folder: Path) -> dict[str, bytes]:
    """The whole records of each journal in a run's folder, by its name there."""
    paths = [path for path in folder.rglob(JOURNAL) if is_kept(str(path.relative_to(folder)))]
    return {path.relative_to(folder).as_posix(): whole_lines(path.read_bytes()) for path in paths}


def is_ahead(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> bool:
    """Whether these journals go on from those, or are the same."""
    return all(ours.get(name, b"").startswith(content) for name, content in theirs.items())


@contextmanager
def explained(url: str) -> Iterator[None]:
    """What a bucket answers becomes a ValueError that says what was wrong."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{url}: {reason(error)}") from error


def reason(error: OSError) -> str:
    """What an error of a bucket's comes to, in words."""
    text = str(error).partition("\n")[0]
    if google := GOOGLE_STATUS.search(text):
        return _google_reason(*google.groups())
    if "NO_SUCH_BUCKET" in text:
        return NO_BUCKET
    if "NETWORK_CONNECTION" in text:
        return f"no answer: {text.rpartition('Details: ')[2][:200]}"
    if re.search(r"(?i)access.?denied|\b40[13]\b|credential|unauth|permission|signature|access.?key", text):
        return f"access is denied: {_short(text)}. {CREDENTIALS}"
    return _short(text)


def _google_reason(code: str, message: str) -> str:
    if "access token" in message:
        return f"access is denied: no access token could be had. {CREDENTIALS}"
    if code in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return f"access is denied: {message}. {CREDENTIALS}"
    if code == "NOT_FOUND":  # to read or to remove what is not there is no error
        return NO_BUCKET
    return f"no answer: {message}" if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") else f"{code}: {message}"


def _bring(remote: Remote, files: dict[str, fs.FileInfo], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    check_no_links(folder)
    with open_unlinked(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # the process that runs it here is ahead of what it has sent
        theirs = {name: content for name in files if is_journal(name) if (content := remote.read(name)) is not None}
        ours = local_journals(folder)
        if ours and is_ahead(ours, theirs):
            return
        if not is_ahead(theirs, ours):
            raise ValueError(
                f"run={folder.name}: what was done here, in {folder}, and what is at {remote.url} have gone on apart. "
                "Remove that folder to go on with what is there, or name another run"
            )
        print(f"{remote.url}: fetching {len(files)} files", file=sys.stderr, flush=True)
        _fetch(remote, files, theirs, folder)


def _fetch(remote: Remote, files: dict[str, fs.FileInfo], journals: dict[str, bytes], folder: Path) -> None:
    """The journals last: one that is cut short is begun again, as what is here is still behind."""
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


def _s3(bucket: str) -> fs.FileSystem:
    # Not FileSystem.from_uri, which takes no time limits; so the endpoint, too, is read here
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, _, host = endpoint.rpartition("://")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return fs.S3FileSystem(
        region=region if endpoint else _region(bucket),
        endpoint_override=host.rstrip("/") or None,
        scheme=scheme or "https",
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        allow_delayed_open=True,  # one request for a small file in place of three
    )


@cache
def _region(bucket: str) -> str:
    return fs.resolve_s3_region(bucket)


def _gs() -> fs.FileSystem:
    # As Google's own libraries have it; pyarrow reads no such variable
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    scheme, _, host = emulator.rpartition("://")
    return fs.GcsFileSystem(
        anonymous=bool(emulator),
        endpoint_override=host.rstrip("/") or None,
        scheme=scheme or ("http" if emulator else "https"),
        retry_time_limit=timedelta(seconds=SILENT_SECONDS),
    )


def _parts(url: str) -> tuple[str, str, list[str]]:
    """Scheme, bucket, and the parts of what follows. Raises ValueError."""
    scheme, _, place = url.partition("://")
    bucket, *rest = place.rstrip("/").split("/")
    if scheme not in ("s3", "gs"):
        raise ValueError(f"{url}: {scheme}:// is not known; a bucket is s3://BUCKET/FOLDER or gs://BUCKET/FOLDER")
    if not bucket or any(part in ("", ".", "..") for part in rest) or "@" in bucket or "?" in place:
        raise ValueError(
            f"{url}: expected {scheme}://BUCKET/FOLDER; credentials and AWS_ENDPOINT_URL belong in the environment"
        )
    return scheme, bucket, rest


def _under(root: Path, url: str) -> Path:
    scheme, bucket, rest = _parts(url)
    return root.joinpath(scheme, bucket, *rest)


def _work_root() -> Path:
    if chosen := os.environ.get("FRUGAL_WORK_DIR"):
        return Path(chosen).expanduser().absolute()
    found = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # os.path's, which does not mind a home that is not known: most runs need none of this
    return (found if found.is_absolute() else Path(os.path.expanduser("~/.cache"))) / "frugal" / "remote-runs"


@cache
def _copies() -> Path:
    """Made when it is first needed."""
    folder = tempfile.mkdtemp(prefix="frugal-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _short(text: str) -> str:
    """Without where in the SDK it came up, and which request it was."""
    return re.sub(r" \(Request ID: .*?\)", "", text.rpartition("AWS Error ")[2])[:300].rstrip(".")
