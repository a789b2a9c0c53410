"""The forms of input that `search.predict` takes: how each is read, and the outputs that each leads to."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.folders import check_utf8
from data.image_files import image_suffixes
from search.prediction.files import read_array, read_arrays, read_digits, read_max_digits
from search.prediction.folder import read_folder
from search.prediction.inputs import Inputs, Takes
from search.prediction.rows import read_features


@dataclass(frozen=True)
class Form:
    """A form of input: its reader, and the default names of the outputs."""

    description: str
    """What the help text calls it."""
    read: Callable[[Path, Takes], Inputs]
    """Reads the examples of a path, for a model that takes such examples."""
    header: tuple[str, ...]
    """Columns of the CSV file of labels: the example's name or number, its label, perhaps the probability."""
    labels: str
    """The default name of the file of labels."""
    images: str | None = None
    """The default name of the folder or .npy file of images; None if the form has no such output."""
    maps: str | None = None
    """The default name of the folder or .npy file of class maps, as of images."""
    of_images: bool = True
    """Whether it holds images of pixels from 0 to 255 only."""


COLUMNS = ("image", "label", "probability")
FOLDER = Form("FOLDER of images (PNG, JPEG ...)", read_folder, COLUMNS, "labels.csv", "cleaned", "classes")
ARRAY = Form("FILE.npy", read_array, COLUMNS, "labels.csv", "cleaned.npy", "classes.npy", of_images=False)
ARRAYS = Form("FILE.npz, as for training", read_arrays, COLUMNS, "labels.csv")
DIGITS = Form("FILE.csv, as Kaggle's test.csv", read_digits, ("ImageId", "Label"), "submission.csv")
MAX_DIGITS = Form("a pickle, as test_max_x", read_max_digits, ("Id", "Label"), "submission.csv")
ROWS = Form(
    "FILE.csv or .parquet, rows of features", read_features, ("row", *COLUMNS[1:]), "labels.csv", of_images=False
)
BY_SUFFIX = {".npy": ARRAY, ".npz": ARRAYS, ".csv": DIGITS, "": MAX_DIGITS, ".pkl": MAX_DIGITS, ".pickle": MAX_DIGITS}
BY_SUFFIX |= {".parquet": ROWS, ".pq": ROWS}


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
            f"or without suffix, or rows in .parquet; found {path.suffix}{advice}"
        )
    return BY_SUFFIX[suffix]


def form_for(path: Path, takes: Takes) -> Form:
    """Returns the form of a path for a model. Raises ValueError, with what is right, for one that it cannot take."""
    form = form_of(path)
    if form is DIGITS and not takes.are_images:
        form = ROWS
    if form is ROWS and not takes.features:
        raise ValueError(f"input={path}: the model knows no names of features; {_instead(takes)}")
    if form.of_images and not takes.are_images:
        raise ValueError(f"input={path}: the model does not take images of pixels from 0 to 255; {_instead(takes)}")
    return form


def _instead(takes: Takes) -> str:
    """Returns what a model takes, as advice."""
    rows = ", or a .csv or .parquet file of its features" if takes.features else ""
    return f"expected an .npy file that holds {takes}{rows}"


def describe_forms() -> list[str]:
    """Returns the lines of two tables: the outputs by form of input, and those of models of the further goals."""
    rows = [("input", "a classifier writes", "a model that returns images writes")]
    for form in (FOLDER, *dict.fromkeys(BY_SUFFIX.values())):
        rows.append((form.description, f"{form.labels}: {', '.join(form.header)}", _describe_images(form.images)))
    further = [
        ("a model of", "writes"),
        ("several labels", "labels.csv: each label, 0 or 1, then the probability of each"),
        ("numbers, or a goal of its own", "values.csv: a column for each output; output=NAME.npy: an array"),
        ("the class of each pixel", "classes/: PNGs that hold class numbers; of an .npy file, classes.npy"),
    ]
    return [*_columns(rows), "", *_columns(further)]


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _describe_images(images: str | None) -> str:
    if images is None:
        return "-"
    return f"{images}: an array of the same shape" if Path(images).suffix else f"{images}/: PNGs of the same sizes"
