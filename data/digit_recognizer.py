"""The dataset of Kaggle's 'Digit Recognizer'; without its files MNIST, split in the same way."""

import os
from pathlib import Path

import numpy as np

from data.digit_csv import read_labelled
from data.made import digits as embedded
from data.mnist import MNIST
from data.splits import DataError, Dataset, DataUnavailable, Say, Split, Splits
from data.stratified import stratified_split

# A change to one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = 0.2
SPLIT_SEED = 0

MIN_PER_LABEL = 10  # with fewer, a split of 80/20 means little


def load_original(data_dir: Path, say: Say, *, mnist: Dataset = MNIST) -> Splits:
    """Reads data_dir/digit-recognizer/train.csv, split 80/20; without that folder, MNIST in the same form.

    The test split of the CSV files is empty, since Kaggle publishes test.csv without labels. MNIST's 60,000 training
    images are split 80/20, and its 10,000 test images are the test split. Raises DataUnavailable if MNIST is missing
    too, and DataError for a damaged file, fewer than 10 rows of a label, or a folder without train.csv.
    """
    folder = data_dir / "digit-recognizer"
    path = folder / "train.csv"
    if not os.path.lexists(folder):
        return _load_mnist(path, mnist, data_dir, say)
    if not os.path.lexists(path):
        raise DataError(
            f"{folder}: expected a folder with Kaggle's train.csv, found none; "
            "put it there, or remove the folder to use MNIST instead"
        )
    x, y = read_labelled(path)
    counts = np.bincount(y, minlength=10)
    if counts.min() < MIN_PER_LABEL:
        raise DataError(
            f"{path}: expected at least {MIN_PER_LABEL} rows of each label from 0 to 9, "
            f"found {counts.min()} of label {counts.argmin()}"
        )
    return _split("digit-recognizer", x, y, Split(x[:0], y[:0]))


DIGITS = Dataset(name="digit-recognizer", original=load_original, made=lambda data_dir, say: embedded.load_made())


def _load_mnist(path: Path, mnist: Dataset, data_dir: Path, say: Say) -> Splits:
    try:
        splits = mnist.original(data_dir, say)
    except DataUnavailable as unavailable:
        raise DataUnavailable(
            f"Looked for {path} of Kaggle's Digit Recognizer, then for MNIST as a fallback.\n{unavailable}"
        ) from unavailable
    say(f"{path} does not exist: using {splits.name} instead")
    x, y = (np.concatenate(pair) for pair in ((splits.train.x, splits.val.x), (splits.train.y, splits.val.y)))
    return _split(splits.name, x, y, splits.test)


def _split(name: str, x: np.ndarray, y: np.ndarray, test: Split) -> Splits:
    train, val = stratified_split(y, VAL_FRACTION, SPLIT_SEED)
    return Splits(name=name, origin="original", train=Split(x[train], y[train]), val=Split(x[val], y[val]), test=test)
