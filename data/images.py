"""A user's own images, from a folder with a folder for each class or from an .npz file, in three splits."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data.folders import check_utf8
from data.image_folder import folder_class_names, read_image_folder
from data.images_npz import npz_class_names, read_npz
from data.labelled import PARTS, Labelled, check_enough
from data.made import digits as embedded
from data.splits import Dataset, DataUnavailable, Say, Split, Splits
from data.stratified import draw_parts


def own(path: Path) -> Splits:
    """Reads the images of a folder or an .npz file; labels number the classes in the order of `class_names`.

    A folder holds a folder of images for each class; or train/ and optionally val/ and test/, with such folders in
    each. Images have one size of at most 256x256 pixels: x is [N, H, W] if every pixel of all is grey, else
    [N, 3, H, W]. The first of several frames is read, EXIF's orientation is applied, transparent pixels are put on
    white. Names are UTF-8.

    An .npz file holds x, with values as in `array_values`, [N, H, W], [N, C, H, W] or [N, H, W, C] with C of 1 or 3
    (the former if both fit), and y, numbers or text as in `array_values`; or x_train, y_train and optionally x_val,
    y_val, x_test and y_test. Other common names work too: images and labels, train_images and train_labels.

    Without given splits, 15% of each class are for validation and 15% for the test, at least one image of each. Given
    splits may lack a class in val and test, but not in train. Raises DataError for anything else; it lists all files
    that are not such images.
    """
    check_utf8(Path(os.path.abspath(path)))
    names, given = read_image_folder(path) if path.is_dir() else read_npz(path)
    parts = _complete(path, names, given)
    splits = {part: Split(x, y) for part, (x, y) in parts.items()}
    train, val = splits["train"], splits["val"]
    test = splits.get("test", train.take(np.arange(0)))
    name = os.path.basename(os.path.abspath(path))  # also for "." and "pets/.."
    return Splits(name=f"images:{name}", origin="original", train=train, val=val, test=test, classes=tuple(names))


def class_names(path: Path) -> list[str]:
    """Returns the classes by label: folders in the order of their names, or the values of y in ascending order.

    No image is read. Raises DataError as `own` does.
    """
    return folder_class_names(path) if path.is_dir() else npz_class_names(path)


def _original(data_dir: Path, say: Say) -> Splits:
    raise DataUnavailable(
        "This task needs images of your own, and data= names none. Ways out: data=FOLDER, a folder with a folder of "
        "images for each class; or data=FILE.npz with x and y; or data=made, small digits that need no files."
    )


IMAGES = Dataset(name="images", original=_original, made=lambda data_dir, say: embedded.load_made(), own=own)


def _complete(path: Path, names: list[str], given: Mapping[str, Labelled]) -> Mapping[str, Labelled]:
    """Returns the given splits, and draws missing ones from the training images: val, and test if none is given."""
    if "val" in given:
        return given
    ((_, whole), *rest) = given.items()
    wanted = PARTS[:2] if rest else PARTS
    drawn = _split(path, names, *whole, num_parts=len(wanted))
    return dict(zip(wanted, drawn, strict=True)) | dict(rest)


def _split(path: Path, names: list[str], x: np.ndarray, y: np.ndarray, *, num_parts: int) -> list[Labelled]:
    """Returns training, validation and perhaps test examples, each in their original order."""
    check_enough(path, names, y, num_parts)
    part_of = draw_parts(y, num_parts)
    return [(x[part_of == part], y[part_of == part]) for part in range(num_parts)]
