"""What `search.predict` is given: images from a folder or a file, in each form that it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.array_values import as_pixels
from data.folders import check_utf8
from data.npy import read_npy
from data.splits import Images
from spaces.layers import Shape

MAX_LISTED = 20  # lines of one error
SAY_SECONDS = 3.0


@dataclass(frozen=True)
class Inputs:
    """What there is to predict for."""

    images: Images
    """uint8 [N, H, W] or [N, C, H, W], or a list of [H, W] or [C, H, W] where sizes differ."""
    names: list[str]
    """Of each image a name or number."""
    labels: list[str | None] | None = None
    """The names of the images' classes, where the input has them."""
    parts: list[str] | None = None
    """The split of each image, where the input has splits."""
    array_shape: Shape | None = None
    """Of the array that the images are, which may have its channels last; None of other forms."""

    @property
    def is_channels_last(self) -> bool:
        return isinstance(self.images, np.ndarray) and self.array_shape not in (None, self.images.shape)


@dataclass(frozen=True)
class Form:
    """A form of input: how images of a shape, or of any size, are read from it, and what is written for it."""

    read: Callable[[Path, Shape, bool], Inputs]
    header: tuple[str, ...]
    """Columns of the CSV file of labels: a name or number for each image, its label, perhaps the probability."""
    labels: str
    """Where labels go unless told otherwise."""
    images: str | None = None
    """Where images go, a folder or an .npy file; None for a form that is for classifiers alone."""


def form_of(path: Path) -> Form:
    """Raises ValueError where there is nothing, or nothing of a known form."""
    check_utf8(Path(os.path.abspath(path)))
    if path.is_dir():
        return FOLDER
    if not path.exists():
        raise ValueError(f"input={path}: there is no such file or folder")
    form = FORMS.get(path.suffix.lower())
    if form is None:
        from data.images import image_suffixes

        is_image = path.suffix.lower() in image_suffixes()
        raise ValueError(
            f"input={path}: expected a folder of images, or a file in .npy, .npz or .csv, or a pickle in .pkl, .pickle "
            f"or without suffix, found {path.suffix}" + ("; name its folder" if is_image else "")
        )
    return form


def read_images(path: Path, shape: Shape, any_size: bool = False) -> Inputs:
    """The images of a file or folder, of `shape` (channels, height, width) or of any height and width.

    Raises ValueError for what cannot be read or has another shape, naming both; of a folder, for all bad files at once.
    """
    return form_of(path).read(path, shape, any_size)


def _read_folder(folder: Path, shape: Shape, any_size: bool) -> Inputs:
    from search.prediction.folder import read_folder

    return read_folder(folder, shape, any_size)


def _read_array(path: Path, shape: Shape, any_size: bool) -> Inputs:
    try:
        with path.open("rb") as file:
            found = read_npy(file, path.stat().st_size)
    except Exception as error:  # what a damaged file makes it raise is not documented
        raise ValueError(f"input={path}: not an .npy file of numbers ({error})") from None
    images = _fitted(path, found, shape, any_size)
    try:
        return Inputs(as_pixels(images), _numbers(images, 0), array_shape=found.shape)
    except ValueError as error:
        raise ValueError(f"input={path}: {error}") from None


def _read_arrays(path: Path, shape: Shape, any_size: bool) -> Inputs:
    from data.images_npz import read_unsplit

    arrays = read_unsplit(path)
    images = [_fitted(path, part.x, shape, any_size) for part in arrays]
    labels = [[None] * len(part.x) if part.y is None else [str(value) for value in part.y] for part in arrays]
    has_splits = arrays[0].part != ""
    return Inputs(
        np.concatenate(images) if len({x.shape[1:] for x in images}) == 1 else [image for x in images for image in x],
        [f"{part.part}/{n}" if has_splits else n for part in arrays for n in _numbers(part.x, 0)],
        [label for part in labels for label in part] if any(part.y is not None for part in arrays) else None,
        [part.part for part in arrays for _ in part.x] if has_splits else None,
    )


def _read_digits(path: Path, shape: Shape, any_size: bool) -> Inputs:
    from data.digit_csv import has_labels, read_labelled, read_unlabelled

    images, labels = read_labelled(path) if has_labels(path) else (read_unlabelled(path), None)
    images = _fitted(path, images, shape, any_size)
    return Inputs(images, _numbers(images, 1), None if labels is None else [str(label) for label in labels])


def _read_max_digits(path: Path, shape: Shape, any_size: bool) -> Inputs:
    from data.max_digit import read_images

    images = _fitted(path, read_images(path), shape, any_size)
    return Inputs(images, _numbers(images, 0))


def _numbers(images: np.ndarray, first: int) -> list[str]:
    return [str(number) for number in range(first, first + len(images))]


def _fitted(path: Path, images: np.ndarray, shape: Shape, any_size: bool) -> np.ndarray:
    """Images that a model takes, as they are or with their channels put first. Raises ValueError for others."""
    from data.images_npz import layout_advice
    from trainables.model import shown_shape

    for turned in (images, images.transpose(0, 3, 1, 2) if images.ndim == 4 else images):
        found = (1, *turned.shape[1:]) if turned.ndim == 3 else turned.shape[1:]
        if len(found) == 3 and (found[:1] if any_size else found) == (shape[:1] if any_size else shape):
            return turned
    expected = shown_shape(shape, any_size, "N")
    advice = layout_advice(images.shape)
    raise ValueError(f"input={path}: holds {list(images.shape)}, and the model takes {expected}{advice}")


def refuse(source: Path, faults: list[str]) -> None:
    """Raises ValueError with the first lines on what is wrong with the source's images, if there are any."""
    if faults:
        more = [f"and {len(faults) - MAX_LISTED:,} more"] if len(faults) > MAX_LISTED else []
        raise ValueError("\n  ".join([f"input={source}: cannot be used:", *faults[:MAX_LISTED], *more]))


class Progress:
    """A line every few seconds on how much is done."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.num_done, self.said_at = what, total, 0, time.monotonic()

    def add(self, number: int) -> None:
        self.num_done += number
        if time.monotonic() - self.said_at > SAY_SECONDS:
            self.said_at = time.monotonic()
            print(f"{self.num_done:,} of {self.total:,} {self.what}", flush=True)


FOLDER = Form(_read_folder, ("image", "label", "probability"), "labels.csv", "cleaned")
ARRAYS = Form(_read_arrays, ("image", "label", "probability"), "labels.csv")
ARRAY = Form(_read_array, ("image", "label", "probability"), "labels.csv", "cleaned.npy")
DIGITS = Form(_read_digits, ("ImageId", "Label"), "submission.csv")
MAX_DIGITS = Form(_read_max_digits, ("Id", "Label"), "submission.csv")
FORMS = {".npy": ARRAY, ".npz": ARRAYS, ".csv": DIGITS, "": MAX_DIGITS, ".pkl": MAX_DIGITS, ".pickle": MAX_DIGITS}
