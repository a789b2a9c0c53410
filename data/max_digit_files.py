"""Reads the files of the competition 'Modified MNIST': pickled images of three digits, and a CSV file of labels."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.array_pickle import read_array
from data.made.max_digits import SIZE
from data.splits import DataError, DataUnavailable

FOLDER = "modified-mnist"
IMAGES, LABELS, TEST_IMAGES = "train_max_x", "train_max_y.csv", "test_max_x"
NUM_AT_ONCE = 1000  # images; 50,000 of float64 are 6.5 GB


def read_files(data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads images, uint8 [N, 128, 128], and labels, int64 [N], from data_dir/modified-mnist.

    Raises DataUnavailable if none of the files is there, and DataError if one is missing or damaged, or if they do not
    fit together.
    """
    folder = data_dir / FOLDER
    found = [name for name in (IMAGES, LABELS, TEST_IMAGES) if os.path.exists(folder / name)]
    if not found:
        raise DataUnavailable(
            "The files of the competition 'Modified MNIST' are not on disk.\n"
            f"Looked in {folder} for {IMAGES} and {LABELS}.\n"
            f"Ways out: copy them into {folder}; or name a folder that holds them in {FOLDER} with data_dir=FOLDER or "
            "the environment variable FRUGAL_DATA_DIR; or use data=made, images made from MNIST."
        )
    for name in (IMAGES, LABELS):
        if name not in found:
            raise DataError(f"{folder}: expected {IMAGES} and {LABELS}, found no {name}; copy it there as well")
    label_of = _read_labels(folder / LABELS)
    x = read_images(folder / IMAGES)
    return x, _align(label_of, len(x), folder)


def read_images(path: Path) -> np.ndarray:
    """Reads the images of a pickle like train_max_x or test_max_x as uint8 [N, 128, 128]; fractions are rounded.

    Raises DataError for another shape, and for the first pixel outside 0 to 255, by image, row and column from 0.
    """
    array = read_array(path)
    if array.ndim != 3 or array.shape[1:] != (SIZE, SIZE):
        raise DataError(f"{path}: expected an array of shape (N, {SIZE}, {SIZE}), found {array.shape}")
    x = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), NUM_AT_ONCE):
        x[start : start + NUM_AT_ONCE] = _check_range(array[start : start + NUM_AT_ONCE], start, path)
    if array.dtype.kind == "f" and 0 < x.max(initial=0) <= 1:
        raise DataError(
            f"{path}: expected values from 0 to 255, found none above {array.max():g}: multiply them by 255"
        )
    return x


def _check_range(part: np.ndarray, start: int, path: Path) -> np.ndarray:
    """Returns the pixels [n, H, W] of the images from number `start` on, rounded. DataError unless all are 0 to 255."""
    if part.dtype == np.uint8:
        return part
    is_good = (part >= 0) & (part <= 255)  # False for NaN
    if not is_good.all():
        image, row, column = np.argwhere(~is_good)[0]
        raise DataError(
            f"{path}: image {start + image}, row {row}, column {column} (from 0): "
            f"expected a value from 0 to 255, found {part[image, row, column]}"
        )
    return np.rint(part) if part.dtype.kind == "f" else part


def _read_labels(path: Path) -> dict[int, int]:
    """Reads labels by Id from a CSV file of Id, Label. Raises DataError with the first bad line and column."""
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
                    _parse_whole(text, f"{where}, column {name}") for text, name in zip(values, header, strict=True)
                )
                if label > 9:
                    raise DataError(f"{where}, column Label: expected a digit from 0 to 9, found {label}")
                if number in label_of:
                    raise DataError(f"{where}, column Id: expected each Id once, found {number} again")
                label_of[number] = label
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file of Id, Label, found one that cannot be read: {error}") from error
    return label_of


def _parse_whole(text: str, where: str) -> int:
    if not (text.isascii() and text.strip().isdigit() and len(text) <= 10):
        raise DataError(f"{where}: expected a whole number, found {text[:40]!r}")
    return int(text)


def _align(label_of: Mapping[int, int], num_images: int, folder: Path) -> np.ndarray:
    """Returns the label of each image, int64 [N]. Raises DataError unless every image has one, and none is left."""
    missing = next((number for number in range(num_images) if number not in label_of), None)
    if missing is not None or len(label_of) != num_images:
        fault = f"{len(label_of):,} labels" if missing is None else f"{len(label_of):,}, and none with Id {missing}"
        raise DataError(
            f"{folder / LABELS}: expected a label for each of the {num_images:,} images of {IMAGES}, with Id from 0 to "
            f"{num_images - 1}, found {fault}"
        )
    return np.array([label_of[number] for number in range(num_images)], np.int64)
