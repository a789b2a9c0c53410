"""The forms of input that `search.predict` takes: how each is read, and the outputs that each leads to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.folders import check_utf8
from data.image_files import image_suffixes
from search.prediction.files import read_array, read_arrays, read_digits, read_max_digits
from search.prediction.folder import read_folder
from search.prediction.inputs import Inputs
from spaces.layers import Shape


@dataclass(frozen=True)
class Form:
    """A form of input: its reader, and the default names of the outputs."""

    description: str
    """What the help text calls it."""
    read: Callable[[Path, Shape, bool], Inputs]
    """Reads the images of a path, for a model of this input shape, which may take any height and width."""
    header: tuple[str, ...]
    """Columns of the CSV file of labels: the image's name or number, its label, perhaps the probability."""
    labels: str
    """The default name of the file of labels."""
    images: str | None = None
    """The default name of the folder or .npy file of images; None if the form is for classifiers alone."""


COLUMNS = ("image", "label", "probability")
FOLDER = Form("FOLDER of images (PNG, JPEG ...)", read_folder, COLUMNS, "labels.csv", "cleaned")
ARRAY = Form("FILE.npy", read_array, COLUMNS, "labels.csv", "cleaned.npy")
ARRAYS = Form("FILE.npz, as for training", read_arrays, COLUMNS, "labels.csv")
DIGITS = Form("FILE.csv, as Kaggle's test.csv", read_digits, ("ImageId", "Label"), "submission.csv")
MAX_DIGITS = Form("a pickle, as test_max_x", read_max_digits, ("Id", "Label"), "submission.csv")
BY_SUFFIX = {".npy": ARRAY, ".npz": ARRAYS, ".csv": DIGITS, "": MAX_DIGITS, ".pkl": MAX_DIGITS, ".pickle": MAX_DIGITS}


def form_of(path: Path) -> Form:
    """Returns the form of a folder, or of a file by its suffix. Raises ValueError for a missing or unknown one."""
    check_utf8(Path(os.path.abspath(path)))
    if path.is_dir():
        return FOLDER
    if not path.exists():
        raise ValueError(f"input={path}: there is no such file or folder")
    suffix = path.suffix.lower()
    if suffix not in BY_SUFFIX:
        advice = "; name its folder" if suffix in image_suffixes() else ""
        raise ValueError(
            f"input={path}: expected a folder of images, or a file in .npy, .npz or .csv, or a pickle in .pkl, .pickle "
            f"or without suffix, found {path.suffix}{advice}"
        )
    return BY_SUFFIX[suffix]


def read_images(path: Path, shape: Shape, any_size: bool = False) -> Inputs:
    """Reads the images of a file or folder, for a model that takes `shape` (channels, height, width) or any size.

    Raises ValueError for a file that cannot be read or has another shape; for a folder, it lists all such files.
    """
    return form_of(path).read(path, shape, any_size)


def describe_forms() -> list[str]:
    """Returns the lines of a table: each form of input, and the outputs of a classifier and of an image model."""
    rows = [("input", "a classifier writes", "a model that returns images writes")]
    for form in (FOLDER, *dict.fromkeys(BY_SUFFIX.values())):
        rows.append((form.description, f"{form.labels}: {', '.join(form.header)}", _describe_images(form.images)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _describe_images(images: str | None) -> str:
    if images is None:
        return "-"
    return f"{images}: an array of the same shape" if Path(images).suffix else f"{images}/: PNGs of the same sizes"
