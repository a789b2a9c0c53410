"""MNIST: 70,000 handwritten digits of 28x28 pixels, from files that are there or a download."""

import gzip
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data.download import DownloadFailed, fetch, probe
from data.files import replacing
from data.made import digits as embedded
from data.splits import DataError, Dataset, DataUnavailable, Say, Split, Splits, stratified_split

# Changing one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = 0.15
SPLIT_SEED = 0
FINGERPRINT = "16eaeee6fdb13679"

Files = Mapping[str, tuple[int, ...]]  # name to shape: training images and labels, test images and labels

FILES: Files = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


def load_original(
    data_dir: Path,
    say: Say,
    *,
    files: Files = FILES,
    mirrors: Sequence[str] | None = None,
    md5s: Mapping[str, str] | None = None,
    fingerprint: str | None = FINGERPRINT,
) -> Splits:
    """MNIST from data_dir/MNIST/raw, as torchvision keeps it; files that are not there are downloaded.

    mirrors and md5s (of NAME.gz) are torchvision's unless given. DataUnavailable if no file is there and none can be
    downloaded; DataError for a damaged file, for well-formed files that are not MNIST's by their fingerprint, or if
    only some are there and the others cannot be downloaded.
    """
    raw = data_dir / "MNIST" / "raw"
    _check_folders(data_dir, data_dir / "MNIST", raw)
    if _missing(raw, files):
        _download_missing(raw, say, files, mirrors, md5s)
    train_x, train_y, test_x, test_y = (read_idx(_stored(raw, name), shape) for name, shape in files.items())
    for name, labels in zip(list(files)[1::2], (train_y, test_y), strict=True):
        if labels.max(initial=0) > 9:
            raise DataError(f"{_stored(raw, name)}: expected labels from 0 to 9, found {labels.max()}")
    splits = _split(train_x, train_y, test_x, test_y)
    if fingerprint is not None and splits.fingerprint != fingerprint:
        # Fashion-MNIST, for one, comes in files of the same names and sizes; its results must not pass for MNIST's
        raise DataError(
            f"{raw}: expected the published MNIST (fingerprint {fingerprint}), found well-formed files of "
            f"something else ({splits.fingerprint}); remove them to have MNIST downloaded, "
            "or name its folder with data_dir=FOLDER"
        )
    return splits


def read_idx(path: Path, expected_shape: tuple[int, ...]) -> np.ndarray:
    """The bytes of an idx file, or of one in gzip's wrapping if the name ends in .gz, as uint8 of expected_shape.

    DataError, naming file, expected and found, for anything that is not exactly that. The format: two zero bytes, one
    for the type (8: unsigned bytes), one for the number of dimensions, each dimension as 4 bytes, big end first, then
    the data.
    """
    header = b"".join([bytes([0, 0, 8, len(expected_shape)]), *(size.to_bytes(4, "big") for size in expected_shape)])
    num_bytes = len(header) + int(np.prod(expected_shape))
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(num_bytes + 1)  # however much it would unpack to
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a file of MNIST, found one that cannot be read: {error}") from error
    if not content.startswith(header) or len(content) != num_bytes:
        raise DataError(
            f"{path}: expected an idx file of {num_bytes:,} bytes that begins with {header.hex(' ')} (shape "
            f"{expected_shape}), found {_at_most(num_bytes, content)} bytes that begin with "
            f"{content[: len(header)].hex(' ')!r}. "
            "It is truncated or no file of MNIST: remove it to have it downloaded again"
        )
    # A copy, since views of bytes are read-only, of which torch.from_numpy warns.
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(expected_shape).copy()


def _at_most(num_bytes: int, content: bytes) -> str:
    return f"{len(content):,}" if len(content) <= num_bytes else f"more than {num_bytes:,}"


MNIST = Dataset(name="mnist", original=load_original, made=lambda data_dir, say: embedded.load_made())


def _split(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> Splits:
    train_y, test_y = train_y.astype(np.int64), test_y.astype(np.int64)
    train, val = stratified_split(train_y, VAL_FRACTION, SPLIT_SEED)
    return Splits(
        name="mnist",
        origin="original",
        train=Split(train_x[train], train_y[train]),
        val=Split(train_x[val], train_y[val]),
        test=Split(test_x, test_y),
    )


def _check_folders(*folders: Path) -> None:
    """DataError if one of these, the outermost first, is there but no folder, or not to be read."""
    for folder in folders:
        if not os.path.lexists(folder):
            return
        if not os.path.isdir(folder):
            raise DataError(f"{folder}: expected a folder, found something else; choose another with data_dir=FOLDER")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise DataError(f"{folder}: expected a folder that may be read, found one that may not")


def _stored(raw: Path, name: str) -> Path:
    """The file as it lies in raw, plain or gzipped; the plain name if neither does."""
    plain, gzipped = raw / name, raw / f"{name}.gz"
    # os.path rather than pathlib: a folder that may not be searched counts as empty instead of raising.
    return gzipped if os.path.exists(gzipped) and not os.path.exists(plain) else plain


def _missing(raw: Path, files: Files) -> list[str]:
    return [name for name in files if not os.path.exists(_stored(raw, name))]


def _download_missing(
    raw: Path,
    say: Say,
    files: Files,
    mirrors: Sequence[str] | None,
    md5s: Mapping[str, str] | None,
) -> None:
    if mirrors is None or md5s is None:
        listed_mirrors, listed_md5s = _torchvision_sources()
        mirrors = listed_mirrors if mirrors is None else mirrors
        md5s = listed_md5s if md5s is None else md5s
    missing = _missing(raw, files)
    try:
        # Asked first, so that a machine without network learns it within seconds.
        answering = probe([f"{mirror}{missing[0]}.gz" for mirror in mirrors])
        mirrors = sorted(mirrors, key=lambda mirror: not answering.startswith(mirror))
        for name in missing:
            _fetch_from_any([f"{mirror}{name}.gz" for mirror in mirrors], raw / f"{name}.gz", md5s[f"{name}.gz"], say)
            _unpack(raw / f"{name}.gz", raw / name, files[name])
    except DownloadFailed as failure:
        raise _explained(failure, raw, files) from failure
    except OSError as error:
        raise DataError(
            f"{raw}: expected a folder to download MNIST into, found one that cannot be written: {error}. "
            "Choose another with data_dir=FOLDER or the environment's FRUGAL_DATA_DIR"
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


def _explained(failure: DownloadFailed, raw: Path, files: Files) -> Exception:
    """What a failed download means: nothing at hand at all, or a set of files with gaps, which no fallback may hide."""
    missing = _missing(raw, files)
    ways_out = (
        f"Looked in {raw} for {', '.join(missing)} (or the same with .gz).\n"
        f"Tried to download:\n{failure}\n"
        f"Ways out: copy the missing files into {raw}; or name a folder that holds them in MNIST/raw by "
        "data_dir=FOLDER or the environment's FRUGAL_DATA_DIR; or use data=made, small digits that need no download."
    )
    if len(missing) < len(files):
        found = len(files) - len(missing)
        return DataError(f"{raw}: expected the {len(files)} files of MNIST, found {found} of them.\n{ways_out}")
    return DataUnavailable(f"The files of MNIST are neither here nor can they be downloaded.\n{ways_out}")


def _torchvision_sources() -> tuple[list[str], dict[str, str]]:
    """The mirrors of MNIST and the MD5 sums of its gzipped files, as torchvision lists them."""
    from torchvision.datasets import MNIST as listed  # here, since it takes seconds

    return listed.mirrors, dict(listed.resources)
