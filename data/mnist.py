"""MNIST: 70,000 handwritten digits of 28x28 pixels, from files on disk or a download."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data.idx import read_idx
from data.made import digits as embedded
from data.mnist_download import FILES, Files, download_missing, find_missing, stored_path
from data.splits import DataError, Dataset, Say, Split, Splits
from data.stratified import stratified_split

# A change to one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = 0.15
SPLIT_SEED = 0
FINGERPRINT = "16eaeee6fdb13679"


def load_original(
    data_dir: Path,
    say: Say,
    *,
    files: Files = FILES,
    mirrors: Sequence[str] | None = None,
    md5s: Mapping[str, str] | None = None,
    fingerprint: str | None = FINGERPRINT,
) -> Splits:
    """Reads MNIST from data_dir/MNIST/raw, where torchvision keeps it too, and downloads missing files.

    `mirrors` and `md5s` (of NAME.gz) are torchvision's by default. Raises DataUnavailable if there are no files and the
    download fails; DataError for a damaged file, for well-formed files with another fingerprint than MNIST's, or if
    some files are there and the others cannot be downloaded.
    """
    raw = data_dir / "MNIST" / "raw"
    _check_folders(data_dir, data_dir / "MNIST", raw)
    if find_missing(raw, files):
        download_missing(raw, say, files, mirrors, md5s)
    train_x, train_y, test_x, test_y = (read_idx(stored_path(raw, name), shape) for name, shape in files.items())
    for name, labels in zip(list(files)[1::2], (train_y, test_y), strict=True):
        if labels.max(initial=0) > 9:
            raise DataError(f"{stored_path(raw, name)}: expected labels from 0 to 9, found {labels.max()}")
    splits = _split(train_x, train_y, test_x, test_y)
    if fingerprint is not None and splits.fingerprint != fingerprint:
        # Fashion-MNIST, for example, has files of the same names and sizes; its results must not pass for MNIST's.
        raise DataError(
            f"{raw}: expected the published MNIST (fingerprint {fingerprint}), found well-formed files of "
            f"something else ({splits.fingerprint}); remove them to have MNIST downloaded, "
            "or name its folder with data_dir=FOLDER"
        )
    return splits


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
    """Raises DataError if one of these folders, the outermost first, exists but cannot be read as a folder."""
    for folder in folders:
        if not os.path.lexists(folder):
            return
        if not os.path.isdir(folder):
            raise DataError(f"{folder}: expected a folder, found something else; choose another with data_dir=FOLDER")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise DataError(f"{folder}: expected a folder that may be read, found one that may not")
