"""A folder in a bucket, s3:// or gs://, through pyarrow's filesystems, and its errors in plain words."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import BinaryIO

from pyarrow import fs

from data.files import replacing
from results.locations import split_url, working_folder
from results.own_files import is_kept

CONNECT_SECONDS, SILENT_SECONDS, ATTEMPTS = 3.0, 5.0, 2
"""Limits that notice a broken connection within seconds; the SDKs' own defaults wait for minutes."""
NO_BUCKET = "there is no such bucket; create it first"
CREDENTIALS = (
    "For s3://, credentials are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from ~/.aws, and from this "
    "machine's role; for gs://, from GOOGLE_APPLICATION_CREDENTIALS, from ~/.config/gcloud, and from this machine's "
    "service account"
)
GOOGLE_STATUS = re.compile(r"google::cloud::Status\((\w+): .*?with a last message of (.*?)(?: error_info=|$)")


class Remote:
    """A folder in a bucket. Every method raises OSError if the bucket does not respond or refuses the request."""

    def __init__(self, url: str) -> None:
        """Raises ValueError if the URL is not a bucket's, or if the bucket's region cannot be found."""
        self.url = url
        scheme, bucket, folders = split_url(url)
        self.path = "/".join([bucket, *folders])
        with explain_errors(url):
            self.filesystem = _s3(bucket) if scheme == "s3" else _gs()

    def files(self) -> dict[str, fs.FileInfo]:
        """Returns all files below the folder by name, except hidden and temporary ones; {} if there is no folder."""
        # With allow_not_found, S3 would not report a missing bucket; without it, Google raises an OSError of no kind
        is_google = isinstance(self.filesystem, fs.GcsFileSystem)
        try:
            found = self.filesystem.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=is_google))
        except FileNotFoundError:
            return {}
        names = {info.path.removeprefix(f"{self.path}/"): info for info in found if info.type == fs.FileType.File}
        return {name: info for name, info in sorted(names.items()) if is_kept(name)}

    def size(self, name: str) -> int | None:
        """Returns a file's size in bytes, or None if there is no such file."""
        return self.filesystem.get_file_info([self._path(name)])[0].size

    def read(self, name: str, max_bytes: int | None = None) -> bytes | None:
        """Returns a file's bytes, at most the first `max_bytes`, or None if there is no such file."""
        try:
            with self.filesystem.open_input_stream(self._path(name)) as stream:
                return stream.read(max_bytes)
        except FileNotFoundError:
            return None

    def fetch(self, name: str, info: fs.FileInfo, path: Path) -> None:
        """Downloads a file with its modification time. Skips a file that is unchanged, or deleted in the meantime."""
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
        """Uploads the rest of an open file under a name, whole or not at all."""
        with self.filesystem.open_output_stream(self._path(name)) as stream:
            shutil.copyfileobj(file, stream, 2**20)

    def remove(self, name: str) -> None:
        """Deletes a file if it exists."""
        with suppress(FileNotFoundError):
            self.filesystem.delete_file(self._path(name))

    def remove_all(self) -> None:
        """Deletes the folder."""
        with suppress(FileNotFoundError):  # Google's looks for the folder itself after its files are deleted
            self.filesystem.delete_dir(self.path)

    def _path(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path


def upload(runs_dir: str, path: Path) -> None:
    """Uploads a file of a run's working folder into the run's folder in the bucket. Raises ValueError."""
    runs = Remote(runs_dir)
    with explain_errors(runs.url), path.open("rb") as file:
        runs.send(path.relative_to(working_folder(runs_dir)).as_posix(), file)


@contextmanager
def explain_errors(url: str) -> Iterator[None]:
    """Replaces an OSError of a bucket by a ValueError that says in plain words what is wrong."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{url}: {describe_error(error)}") from error


def describe_error(error: OSError) -> str:
    """Returns a bucket's error in plain words."""
    text = str(error).partition("\n")[0]
    if google := GOOGLE_STATUS.search(text):
        return _describe_google_error(*google.groups())
    if "NO_SUCH_BUCKET" in text:
        return NO_BUCKET
    if "NETWORK_CONNECTION" in text:
        return f"no answer: {text.rpartition('Details: ')[2][:200]}"
    if re.search(r"(?i)access.?denied|\b40[13]\b|credential|unauth|permission|signature|access.?key", text):
        return f"access is denied: {_shorten(text)}. {CREDENTIALS}"
    return _shorten(text)


def _describe_google_error(code: str, message: str) -> str:
    if "access token" in message:
        return f"access is denied: no access token is available. {CREDENTIALS}"
    if code in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return f"access is denied: {message}. {CREDENTIALS}"
    if code == "NOT_FOUND":  # a missing file is no error here, so it is the bucket
        return NO_BUCKET
    return f"no answer: {message}" if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") else f"{code}: {message}"


def _shorten(text: str) -> str:
    """Cuts the SDK's own location and the request's number from an error."""
    return re.sub(r" \(Request ID: .*?\)", "", text.rpartition("AWS Error ")[2])[:300].rstrip(".")


def _s3(bucket: str) -> fs.FileSystem:
    # FileSystem.from_uri takes no time limits, so the endpoint is read here as well
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
        allow_delayed_open=True,  # one request for a small file instead of three
    )


@cache
def _region(bucket: str) -> str:
    return fs.resolve_s3_region(bucket)


def _gs() -> fs.FileSystem:
    # Google's own libraries read this variable; pyarrow does not
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    scheme, _, host = emulator.rpartition("://")
    return fs.GcsFileSystem(
        anonymous=bool(emulator),
        endpoint_override=host.rstrip("/") or None,
        scheme=scheme or ("http" if emulator else "https"),
        retry_time_limit=timedelta(seconds=SILENT_SECONDS),
    )
