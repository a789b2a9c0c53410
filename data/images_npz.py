"""Reads images and labels from an .npz file, for all of them or for each split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from data.array_pickle import read_objects
from data.array_values import as_pixels, brightest, label_values, layout_advice
from data.labelled import MAX_SIDE, Labelled, check_classes
from data.lists import list_names
from data.npy import check_archive, read_header, read_npy
from data.npz_names import Given, UnknownNames, given_splits
from data.splits import DataError

EXPECTED = (
    "expected x and y, or x_train, y_train, x_test, y_test and optionally x_val, y_val; "
    "also as images and labels, or train_images and so on"
)


class Arrays(NamedTuple):
    """Images in the layout of the file, but uint8 from 0 to 255, and the values of their labels [N], if it has any."""

    part: str
    x: np.ndarray
    y: np.ndarray | None


def read_npz(path: Path) -> tuple[list[str], dict[str, Labelled]]:
    """Returns the classes by label, and the examples of each given split; "" is the split of a file without splits.

    `data.images.own` describes the file. Raises DataError for anything else.
    """
    arrays, given = read_arrays(path, "xy")
    names = _names(path, arrays, given)
    parts: dict[str, Labelled] = {}
    for (part, x_name, y_name), x in zip(given, _all_pixels(path, arrays, given), strict=True):
        assert x_name is not None
        assert y_name is not None
        x = _images(path, x_name, x)
        y = _labels(path, y_name, arrays[y_name], names, given[0].y)
        _check_lengths(path, x_name, x, y_name, y)
        shape = next(iter(parts.values()))[0].shape[1:] if parts else x.shape[1:]
        if x.shape[1:] != shape:
            raise DataError(f"{path}: array {x_name}: expected images of shape {shape}, as before, found {x.shape[1:]}")
        parts[part] = x, y
    return names, parts


def npz_class_names(path: Path) -> list[str]:
    """Returns the values of y in ascending order, as text, without reading an image. DataError as for `read_npz`."""
    return _names(path, *read_arrays(path, "y"))


def read_unsplit(path: Path) -> list[Arrays]:
    """Reads all images of a file by split, in their own layout; labels are optional. Raises DataError otherwise."""
    arrays, given = read_arrays(path, "xy", needs_labels=False)
    found = []
    for (part, x_name, y_name), x in zip(given, _all_pixels(path, arrays, given), strict=True):
        y = None if y_name is None else _values(path, y_name, arrays[y_name])
        if y is not None:
            _check_lengths(path, x_name, x, y_name, y)
        found.append(Arrays(part, x, y))
    return found


def _check_lengths(path: Path, x_name: str | None, x: np.ndarray, y_name: str | None, y: np.ndarray) -> None:
    if len(x) != len(y):
        raise DataError(f"{path}: expected a label in {y_name} for each image in {x_name}, found {len(y)} for {len(x)}")


def read_arrays(path: Path, letters: str, *, needs_labels: bool = True) -> tuple[dict[str, np.ndarray], list[Given]]:
    """Returns the images (x), the labels (y) or both by name, after checking that the file has all it needs."""
    if not path.exists():
        raise DataError(
            f"data={path}: found no such folder or file; "
            "expected a folder with a folder of images for each class, an .npz file with x and y, or made"
        )
    try:
        # Opened here, since np.load leaves a damaged file open; without pickles, which could run any program.
        with path.open("rb") as content:
            file = np.load(content, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UnknownNames("found a single array, as in .npy")
            assert file.zip is not None
            check_archive(file.zip, path.stat().st_size)
            given = given_splits(file.files, needs_labels)
            wanted = [name for part in given for letter, name in zip("xy", part[1:], strict=True) if letter in letters]
            return {name: _read(file, name) for name in wanted if name is not None}, given
    except UnknownNames as unknown:
        raise DataError(f"{path}: {EXPECTED}; {unknown}") from None
    except Exception as error:  # a damaged file makes NumPy and zipfile raise errors of many kinds
        raise DataError(f"{path}: expected an .npz file of numbers and text, found: {error}") from error


def _read(file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """Reads an array; one of objects, as pandas makes of text, is read without running what its pickle asks for."""
    assert file.zip is not None
    member = name if name in file.zip.namelist() else f"{name}.npy"
    with file.zip.open(member) as content:
        source = cast("BinaryIO", content)
        if not read_header(source)[2].hasobject:
            content.seek(0)
            return read_npy(source, file.zip.getinfo(member).file_size)
        try:
            return read_objects(source)
        except ValueError as error:
            raise ValueError(
                f"array {name}, {error}; convert text by {name}.astype(str), images of one size by np.stack({name})"
            ) from None


def _names(path: Path, arrays: Mapping[str, np.ndarray], given: Sequence[Given]) -> list[str]:
    name = given[0].y
    assert name is not None
    return check_classes(path, [str(value) for value in np.unique(_values(path, name, arrays[name]))])


def _values(path: Path, name: str, y: np.ndarray) -> np.ndarray:
    try:
        return label_values(y)
    except ValueError as error:
        raise DataError(f"{path}: array {name}: {error}") from None


def _labels(path: Path, name: str, y: np.ndarray, names: list[str], train: str | None) -> np.ndarray:
    values = [str(value) for value in _values(path, name, y)]
    label_of = {name: label for label, name in enumerate(names)}
    if unknown := sorted(set(values) - label_of.keys()):
        raise DataError(f"{path}: array {name}: expected the classes of {train}, found also {list_names(unknown)}")
    return np.array([label_of[value] for value in values], np.int64)


def _all_pixels(path: Path, arrays: Mapping[str, np.ndarray], given: Sequence[Given]) -> list[np.ndarray]:
    """Returns the images of each split as uint8, all on one scale, since a split may hold only dark images."""
    named = {part.x: arrays[part.x] for part in given if part.x}
    top = max(brightest(x) for x in named.values())
    pixels = []
    for name, x in named.items():
        try:
            pixels.append(as_pixels(x, top))
        except ValueError as error:
            raise DataError(f"{path}: array {name}: {error}") from None
    return pixels


def _images(path: Path, name: str, x: np.ndarray) -> np.ndarray:
    """Returns the images as [N, H, W] or [N, 3, H, W]. Raises DataError for another shape."""
    found = list(x.shape)
    if x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim == 4 and x.shape[1] == 1:
        x = x[:, 0]
    is_image = x.ndim == 3 or (x.ndim == 4 and x.shape[1] == 3)
    if not is_image or not all(1 <= side <= MAX_SIDE for side in x.shape[-2:]) or not len(x):
        raise DataError(
            f"{path}: array {name}: expected images as [N, H, W], [N, C, H, W] or [N, H, W, C] with C of 1 or 3, "
            f"H and W of 1 to {MAX_SIDE}, N of 1 or more, found {found}{layout_advice(found)}"
        )
    return np.ascontiguousarray(x)
