"""max-digit: 128x128 images of three digits on a texture, labelled with the largest; the competition's, or made."""

from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from data.files import replacing
from data.made.max_digits import FORMAT, SIZE, Maker, Piece
from data.made.workers import make_all
from data.max_digit_files import read_files
from data.mnist import MNIST
from data.splits import Dataset, Say, Split, Splits
from data.stratified import stratified_split

# A change to one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = 0.1
SPLIT_SEED = 0


def max_digit(num_train: int, num_test: int, seed: int = 0) -> Dataset:
    """Returns the dataset with num_train made images, a tenth of them for validation, and num_test for the test.

    Raises ValueError for fewer than 10 or 1. The competition's own files are 50,000 images without a test set.
    """
    if num_train < 10 or num_test < 1:
        raise ValueError(f"max_digit: num_train is {num_train}, num_test {num_test}; expected at least 10 and 1")
    made = partial(load_made, num_train=num_train, num_test=num_test, seed=seed)
    return Dataset(name="max-digit", original=load_original, made=made)


def load_original(data_dir: Path, say: Say) -> Splits:
    """Reads the competition's files in data_dir/modified-mnist: 90% for training, 10% for validation.

    The test split is empty, since the labels of test_max_x were never published. Raises DataUnavailable and DataError
    as `read_files` does.
    """
    x, y = read_files(data_dir)
    train, val = stratified_split(y, VAL_FRACTION, SPLIT_SEED)
    return Splits(
        name="max-digit",
        origin="original",
        train=Split(x[train], y[train]),
        val=Split(x[val], y[val]),
        test=Split(x[:0], y[:0]),
    )


def load_made(
    data_dir: Path, say: Say, *, num_train: int, num_test: int, seed: int = 0, num_workers: int | None = None
) -> Splits:
    """Makes images from MNIST, or from MNIST's stand-in, and keeps them in data_dir/made for later calls.

    Training, validation and test images share neither a digit nor a texture. An image depends only on the seed, its
    split and its number in the split, not on the number of images or of processes (by default, one for each core).
    """
    digits = MNIST.load("auto", data_dir, say)
    num_val = round(num_train * VAL_FRACTION)
    sizes = (num_train - num_val, num_val, num_test)
    stem = data_dir / "made" / f"max-digit-v{FORMAT}-{num_train}-{num_test}-seed{seed}-{digits.fingerprint}"
    kept = _read_kept(stem, sum(sizes))
    if kept is None:
        make = partial(make_all, Maker(seed, (digits.train, digits.val, digits.test)), sizes, say, num_workers)
        kept = _make_and_keep(stem, make, sum(sizes), say)
    x, y = (np.split(array, np.cumsum(sizes)[:-1]) for array in kept)
    return Splits(
        name="max-digit-made" if digits.origin == "original" else f"max-digit-made-{digits.name.split('-')[0]}",
        origin="made",
        train=Split(x[0], y[0]),
        val=Split(x[1], y[1]),
        test=Split(x[2], y[2]),
    )


def _make_and_keep(stem: Path, make: Callable[[], Generator[Piece, None, None]], num_images: int, say: Say) -> Piece:
    """Makes all images and keeps them in files named after `stem`; only in memory if these cannot be written."""
    images, labels = _files(stem)
    try:
        with replacing(images, make_folder=True) as file, closing(make()) as pieces:
            shape = (num_images, SIZE, SIZE)
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            all_y = []
            for x, y in pieces:
                file.write(x.tobytes())
                all_y.append(y)
        with replacing(labels, make_folder=True) as file:
            np.save(file, np.concatenate(all_y))
    except OSError as error:
        say(f"max-digit: {stem.parent} cannot be written ({error}); the images are made for this run only")
        with closing(make()) as pieces:
            x, y = zip(*pieces, strict=True)
        return np.concatenate(x), np.concatenate(y)
    kept = _read_kept(stem, num_images)
    assert kept is not None, f"{images} was written a moment ago"
    return kept


def _read_kept(stem: Path, num_images: int) -> Piece | None:
    """Returns all images, memory-mapped, and their labels; None if the files are missing or damaged."""
    try:
        x, y = (np.load(path, mmap_mode="r") for path in _files(stem))
    except Exception:  # damaged bytes make NumPy raise errors of many kinds
        return None
    if (x.dtype, x.shape, y.dtype, y.shape) != (np.uint8, (num_images, SIZE, SIZE), np.int64, (num_images,)):
        return None
    return np.asarray(x), np.array(y)


def _files(stem: Path) -> tuple[Path, Path]:
    return stem.with_name(f"{stem.name}-images.npy"), stem.with_name(f"{stem.name}-labels.npy")
