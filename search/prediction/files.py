"""Readers of single files for `search.predict`: .npy, .npz, Kaggle's CSV files of digits, and pickled arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data.array_values import as_pixels
from data.digit_csv import has_labels, read_labelled, read_unlabelled
from data.images_npz import read_unsplit
from data.max_digit_files import read_images
from data.npy import read_npy
from search.prediction.inputs import Inputs, Takes, fit_layout


def read_array(path: Path, takes: Takes) -> Inputs:
    """Reads the examples of an .npy file, numbered from 0. Those that are no pixels become float32."""
    try:
        with path.open("rb") as file:
            found = read_npy(file, path.stat().st_size)
    except Exception as error:  # a damaged file makes NumPy raise errors of many kinds
        raise ValueError(f"input={path}: not an .npy file of numbers ({error})") from None
    images = fit_layout(path, found, takes)
    try:
        values = as_pixels(images) if takes.dtype == "uint8" else _as_floats(images)
        return Inputs(values, _numbers(images, 0), array_shape=found.shape)
    except ValueError as error:
        raise ValueError(f"input={path}: {error}") from None


def read_arrays(path: Path, takes: Takes) -> Inputs:
    """Reads the images of an .npz file, numbered from 0 in each split, with their labels if it has any."""
    arrays = read_unsplit(path)
    images = [fit_layout(path, part.x, takes) for part in arrays]
    labels = [[None] * len(part.x) if part.y is None else [str(value) for value in part.y] for part in arrays]
    has_splits = arrays[0].part != ""
    return Inputs(
        np.concatenate(images) if len({x.shape[1:] for x in images}) == 1 else [image for x in images for image in x],
        [f"{part.part}/{n}" if has_splits else n for part in arrays for n in _numbers(part.x, 0)],
        [label for part in labels for label in part] if any(part.y is not None for part in arrays) else None,
        [part.part for part in arrays for _ in part.x] if has_splits else None,
    )


def read_digits(path: Path, takes: Takes) -> Inputs:
    """Reads the rows of a file like Kaggle's test.csv or train.csv, numbered from 1."""
    images, labels = read_labelled(path) if has_labels(path) else (read_unlabelled(path), None)
    images = fit_layout(path, images, takes)
    return Inputs(images, _numbers(images, 1), None if labels is None else [str(label) for label in labels])


def read_max_digits(path: Path, takes: Takes) -> Inputs:
    """Reads the images of a pickle like test_max_x, numbered from 0."""
    images = fit_layout(path, read_images(path), takes)
    return Inputs(images, _numbers(images, 0))


def _as_floats(values: np.ndarray) -> np.ndarray:
    """Returns numbers as float32, with a channel or a single feature as an axis. Raises ValueError for others."""
    if values.dtype.kind not in "biuf":
        raise ValueError(f"expected numbers, found {values.dtype}")
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32)
    if len(bad := np.flatnonzero(~np.isfinite(floats.reshape(len(floats), -1)).all(axis=1))):
        raise ValueError(f"example {bad[0]} holds NaN, infinity or a number beyond float32; expected finite numbers")
    return floats


def _numbers(images: np.ndarray, first: int) -> list[str]:
    return [str(number) for number in range(first, first + len(images))]
