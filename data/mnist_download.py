"""Finds the files of MNIST on disk, and downloads the missing ones."""

import gzip
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.download import DownloadFailed, fetch, probe
from data.files import replacing
from data.idx import read_idx
from data.splits import DataError, DataUnavailable, Say

Files = Mapping[str, tuple[int, ...]]
"""Shapes by file name: training images and labels, test images and labels."""

FILES: Files = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


def stored_path(raw: Path, name: str) -> Path:
    """Returns the path of the plain or the gzipped file in raw; that of the plain one if there is neither."""
    plain, gzipped = raw / name, raw / f"{name}.gz"
    # os.path, since pathlib raises for a folder that may not be searched; here it counts as empty.
    return gzipped if os.path.exists(gzipped) and not os.path.exists(plain) else plain


def find_missing(raw: Path, files: Files) -> list[str]:
    return [name for name in files if not os.path.exists(stored_path(raw, name))]


def download_missing(
    raw: Path,
    say: Say,
    files: Files,
    mirrors: Sequence[str] | None,
    md5s: Mapping[str, str] | None,
) -> None:
    """Downloads and unpacks the missing files.

    Raises DataUnavailable if that fails and there are no files at all, and DataError if some are there or the folder
    cannot be written.
    """
    if mirrors is None or md5s is None:
        listed_mirrors, listed_md5s = _torchvision_sources()
        mirrors = listed_mirrors if mirrors is None else mirrors
        md5s = listed_md5s if md5s is None else md5s
    missing = find_missing(raw, files)
    try:
        # The probe comes first, so that a machine without network fails within seconds.
        answering = probe([f"{mirror}{missing[0]}.gz" for mirror in mirrors])
        mirrors = sorted(mirrors, key=lambda mirror: not answering.startswith(mirror))
        for name in missing:
            _fetch_from_any([f"{mirror}{name}.gz" for mirror in mirrors], raw / f"{name}.gz", md5s[f"{name}.gz"], say)
            _unpack(raw / f"{name}.gz", raw / name, files[name])
    except DownloadFailed as failure:
        raise _explain(failure, raw, files) from failure
    except OSError as error:
        raise DataError(
            f"{raw}: expected a folder to download MNIST into, found one that cannot be written: {error}. "
            "Choose another with data_dir=FOLDER or the environment variable FRUGAL_DATA_DIR"
        ) from error


def _fetch_from_any(urls: Sequence[str], path: Path, md5: str, say: Say) -> None:
    failures: list[str] = []
    for url in urls:
        try:
            return fetch(url, path, md5, say)
        except DownloadFailed as failure:
            failures.append(str(failure))
    raise DownloadFailed("\n".join(failures))


def _unpack(gzipped: Path, plain: Path, shape: tuple[int, ...]) -> None:
    read_idx(gzipped, shape)
    with gzip.open(gzipped) as source, replacing(plain, make_folder=True) as target:
        shutil.copyfileobj(source, target)


def _explain(failure: DownloadFailed, raw: Path, files: Files) -> Exception:
    """Returns DataUnavailable if there are no files at all, and DataError for an incomplete set."""
    missing = find_missing(raw, files)
    ways_out = (
        f"Looked in {raw} for {', '.join(missing)} (or the same with .gz).\n"
        f"Tried to download:\n{failure}\n"
        f"Ways out: copy the missing files into {raw}; or name a folder that holds them in MNIST/raw with "
        "data_dir=FOLDER or the environment variable FRUGAL_DATA_DIR; or use data=made, small digits that need no "
        "download."
    )
    if len(missing) < len(files):
        found = len(files) - len(missing)
        return DataError(f"{raw}: expected the {len(files)} files of MNIST, found {found} of them.\n{ways_out}")
    return DataUnavailable(f"The files of MNIST are not on disk, and cannot be downloaded.\n{ways_out}")


def _torchvision_sources() -> tuple[list[str], dict[str, str]]:
    """Returns the mirrors of MNIST and the MD5 sums of its gzipped files, as torchvision lists them."""
    from torchvision.datasets import MNIST as listed  # here, since torchvision takes seconds to import

    return listed.mirrors, dict(listed.resources)
