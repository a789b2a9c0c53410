"""max-digit: 128x128 images of three digits on a texture, labelled with the largest; the competition's, or made."""

import csv
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from data.array_pickle import read_array
from data.files import replacing
from data.made.max_digits import FORMAT, SIZE, Maker, Piece, make_all
from data.mnist import MNIST
from data.splits import DataError, Dataset, DataUnavailable, Say, Split, Splits, stratified_split

# Changing one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = 0.1
SPLIT_SEED = 0

FOLDER = "modified-mnist"
IMAGES, LABELS, TEST_IMAGES = "train_max_x", "train_max_y.csv", "test_max_x"


def max_digit(num_train: int, num_test: int, seed: int = 0) -> Dataset:
    """The dataset whose made images number num_train, a tenth of them for validation, and num_test.

    ValueError for fewer than 10 or 1. The competition's own files are 50,000 images without a test set.
    """
    if num_train < 10 or num_test < 1:
        raise ValueError(f"max_digit: num_train is {num_train}, num_test {num_test}; expected at least 10 and 1")
    made = partial(load_made, num_train=num_train, num_test=num_test, seed=seed)
    return Dataset(name="max-digit", original=load_original, made=made)


# --- The competition's files ---


def load_original(data_dir: Path, say: Say) -> Splits:
    """The files of the competition in data_dir/modified-mnist: 90% for training, 10% for validation.

    The test split is empty, since the labels of test_max_x were never published. DataUnavailable if none of the files
    is there; DataError for one that is missing beside others, damaged, or does not fit the other.
    """
    folder = data_dir / FOLDER
    found = [name for name in (IMAGES, LABELS, TEST_IMAGES) if os.path.exists(folder / name)]
    if not found:
        raise DataUnavailable(
            "The files of the competition 'Modified MNIST' are not here.\n"
            f"Looked in {folder} for {IMAGES} and {LABELS}.\n"
            f"Ways out: copy them into {folder}; or name a folder that holds them in {FOLDER} by data_dir=FOLDER or "
            "the environment's FRUGAL_DATA_DIR; or use data=made, images made from MNIST."
        )
    for name in (IMAGES, LABELS):
        if name not in found:
            raise DataError(f"{folder}: expected {IMAGES} and {LABELS}, found no {name}; copy it there as well")
    label_of = _read_labels(folder / LABELS)
    x = read_images(folder / IMAGES)
    y = _aligned(label_of, len(x), folder)
    train, val = stratified_split(y, VAL_FRACTION, SPLIT_SEED)
    return Splits(
        name="max-digit",
        origin="original",
        train=Split(x[train], y[train]),
        val=Split(x[val], y[val]),
        test=Split(x[:0], y[:0]),
    )


def read_images(path: Path) -> np.ndarray:
    """The images of a pickle like train_max_x or test_max_x, as uint8 [N, 128, 128]; fractions are rounded.

    DataError for another shape, or for the first pixel that is not from 0 to 255, by image, row and column from 0.
    """
    array = read_array(path)
    if array.ndim != 3 or array.shape[1:] != (SIZE, SIZE):
        raise DataError(f"{path}: expected an array of shape (N, {SIZE}, {SIZE}), found {array.shape}")
    x = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), 1000):  # in parts: 50,000 images of float64 are 6.5 GB
        x[start : start + 1000] = _checked(array[start : start + 1000], start, path)
    if array.dtype.kind == "f" and 0 < x.max(initial=0) <= 1:
        raise DataError(
            f"{path}: expected values from 0 to 255, found none above {array.max():g}: multiply them by 255"
        )
    return x


def _checked(part: np.ndarray, start: int, path: Path) -> np.ndarray:
    """The pixels [n, H, W] of the images from number `start` on, if all are from 0 to 255; as whole numbers."""
    if part.dtype == np.uint8:
        return part
    is_good = (part >= 0) & (part <= 255)  # not so for NaN
    if not is_good.all():
        image, row, column = np.argwhere(~is_good)[0]
        raise DataError(
            f"{path}: image {start + image}, row {row}, column {column} (from 0): "
            f"expected a value from 0 to 255, found {part[image, row, column]}"
        )
    return np.rint(part) if part.dtype.kind == "f" else part


def _read_labels(path: Path) -> dict[int, int]:
    """Labels by Id from a CSV file of Id, Label; DataError names the first bad line and column."""
    label_of: dict[int, int] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            if header != ["Id", "Label"]:
                raise DataError(f"{path}: line 1: expected the columns Id, Label, found {', '.join(header)[:80]!r}")
            for values in lines:
                where = f"{path}: line {lines.line_num}"
                if len(values) != 2:
                    raise DataError(f"{where}: expected two values, Id and Label, found {len(values)}")
                number, label = (
                    _whole(text, f"{where}, column {name}") for text, name in zip(values, header, strict=True)
                )
                if label > 9:
                    raise DataError(f"{where}, column Label: expected a digit from 0 to 9, found {label}")
                if number in label_of:
                    raise DataError(f"{where}, column Id: expected each Id once, found {number} again")
                label_of[number] = label
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file of Id, Label, found one that cannot be read: {error}") from error
    return label_of


def _whole(text: str, where: str) -> int:
    if not (text.isascii() and text.strip().isdigit() and len(text) <= 10):
        raise DataError(f"{where}: expected a whole number, found {text[:40]!r}")
    return int(text)


def _aligned(label_of: Mapping[int, int], num_images: int, folder: Path) -> np.ndarray:
    """The label of each image, int64 [N]."""
    missing = next((number for number in range(num_images) if number not in label_of), None)
    if missing is not None or len(label_of) != num_images:
        fault = f"{len(label_of):,} labels" if missing is None else f"{len(label_of):,}, and none with Id {missing}"
        raise DataError(
            f"{folder / LABELS}: expected a label for each of the {num_images:,} images of {IMAGES}, with Id from 0 to "
            f"{num_images - 1}, found {fault}"
        )
    return np.array([label_of[number] for number in range(num_images)], np.int64)


# --- Images made from MNIST ---


def load_made(
    data_dir: Path, say: Say, *, num_train: int, num_test: int, seed: int = 0, num_workers: int | None = None
) -> Splits:
    """Images made from MNIST (or from what stands in for it), or read from data_dir/made, where they are kept.

    Training, validation and test images share neither a digit nor a texture. An image depends on the seed, its split
    and its number there alone: not on how many there are, nor on how many processes make them (all cores' unless told
    otherwise).
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
    """Makes all images and keeps them beside `stem`; in memory alone, and `say`s so, where nothing can be written."""
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
        say(f"max-digit: {stem.parent} cannot be written ({error}); the images are made for this run alone")
        with closing(make()) as pieces:
            x, y = zip(*pieces, strict=True)
        return np.concatenate(x), np.concatenate(y)
    kept = _read_kept(stem, num_images)
    assert kept is not None, f"{images} was written a moment ago"
    return kept


def _read_kept(stem: Path, num_images: int) -> Piece | None:
    """All images, memory-mapped, and their labels; None if they were never made, or are damaged."""
    try:
        x, y = (np.load(path, mmap_mode="r") for path in _files(stem))
    except Exception:  # damaged bytes can make NumPy raise anything
        return None
    if (x.dtype, x.shape, y.dtype, y.shape) != (np.uint8, (num_images, SIZE, SIZE), np.int64, (num_images,)):
        return None
    return np.asarray(x), np.array(y)


def _files(stem: Path) -> tuple[Path, Path]:
    return stem.with_name(f"{stem.name}-images.npy"), stem.with_name(f"{stem.name}-labels.npy")
