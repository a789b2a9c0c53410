"""Paths and URLs: which of them name a bucket, and where this machine keeps the files of one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path


def is_remote(path: Path | str) -> bool:
    """Returns whether this is a URL, such as a bucket's. A local path contains no ://, not even in pathlib's form."""
    return "://" in str(path)


def split_url(url: str) -> tuple[str, str, list[str]]:
    """Returns a bucket URL's scheme, bucket, and folder names. Raises ValueError if it is not a bucket's URL."""
    scheme, _, rest = url.partition("://")
    bucket, *folders = rest.rstrip("/").split("/")
    if scheme not in ("s3", "gs"):
        raise ValueError(f"{url}: {scheme}:// is not supported; a bucket is s3://BUCKET/FOLDER or gs://BUCKET/FOLDER")
    if not bucket or any(name in ("", ".", "..") for name in folders) or "@" in bucket or "?" in rest:
        raise ValueError(
            f"{url}: expected {scheme}://BUCKET/FOLDER; credentials and AWS_ENDPOINT_URL belong in the environment"
        )
    return scheme, bucket, folders


def normalize_url(url: str) -> str:
    """Returns a bucket's URL without trailing slashes. Raises ValueError if it is not a bucket's URL."""
    scheme, bucket, folders = split_url(url)
    return f"{scheme}://{'/'.join([bucket, *folders])}"


def expand_home(key: str, path: str) -> str:
    """Replaces a leading ~, which not every shell does, and returns the path; normalizes a bucket's URL instead.

    Raises ValueError that names the key if the user's home is unknown or the URL is not a bucket's.
    """
    if is_remote(path):
        return normalize_url(path)
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise ValueError(
            f"{key}={path}: the home folder of that user is unknown; name a folder with {key}=FOLDER"
        ) from None


def working_folder(runs_dir: str) -> Path:
    """Returns the local folder for a folder of runs: itself, or the one where runs of this bucket are worked on."""
    return folder_below(_work_root(), runs_dir) if is_remote(runs_dir) else Path(runs_dir)


def user_facing_path(path: Path) -> str:
    """Returns the lasting location of a path: the bucket's URL for a working copy or a download, else the path."""
    for root in (_work_root(), *([downloads_folder()] if downloads_folder.cache_info().currsize else [])):
        if path.resolve().is_relative_to(root.resolve()):
            scheme, *rest = path.resolve().relative_to(root.resolve()).parts or ("",)
            return f"{scheme}://{'/'.join(rest)}" if rest else str(path)
    return str(path)


def folder_below(root: Path, url: str) -> Path:
    """Returns the path below a local folder that stands for a bucket's URL, from which `user_facing_path` finds it."""
    scheme, bucket, folders = split_url(url)
    return root.joinpath(scheme, bucket, *folders)


@cache
def downloads_folder() -> Path:
    """Makes the folder of this process's downloads on first use, and returns it. It is removed on exit."""
    folder = tempfile.mkdtemp(prefix="frugal-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _work_root() -> Path:
    if chosen := os.environ.get("FRUGAL_WORK_DIR"):
        return Path(chosen).expanduser().absolute()
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # os.path.expanduser does not raise if the home is unknown: most runs need no such folder
    return (
        (cache_folder if cache_folder.is_absolute() else Path(os.path.expanduser("~/.cache")))
        / "frugal"
        / "remote-runs"
    )
