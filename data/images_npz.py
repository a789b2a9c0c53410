"""The arrays of an .npz file as a user's own images: images and labels, or the same for each of the splits."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data.array_pickle import read_objects
from data.array_values import as_pixels, brightest, label_values
from data.npy import check_archive, read_header, read_npy
from data.splits import DataError

PARTS = ("train", "val", "test")
PART_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What splits are called, in lower case, as arrays and as folders."""
MAX_SIDE = 256
WORDS = "|".join(PART_OF)
NAME = re.compile(
    rf"((?P<before>{WORDS})[_ .-]?)?"
    r"((?P<x>x|images?|imgs?|data)|(?P<y>y|labels?|targets?))"
    rf"([_ .-]?(?P<after>{WORDS}))?",
    re.IGNORECASE,
)
EXPECTED = (
    "expected x and y, or x_train, y_train, x_test, y_test and, if wanted, x_val, y_val; "
    "also as images and labels, or train_images and so on"
)

Labelled = tuple[np.ndarray, np.ndarray]  # images, uint8 [N, H, W] or [N, 3, H, W], and labels, int64 [N]


class Given(NamedTuple):
    """The names of the arrays of one split, and the split, "" for a file without splits."""

    part: str
    x: str | None
    y: str | None


class Arrays(NamedTuple):
    """Images as the file has them, but uint8 from 0 to 255, and the values of their labels [N], if it has any."""

    part: str
    x: np.ndarray
    y: np.ndarray | None


def read_npz(path: Path) -> tuple[list[str], dict[str, Labelled]]:
    """The classes by label, and the examples of each split that is given; of "" for a file without splits.

    What the file holds, `data.images.own` says. DataError for anything else.
    """
    arrays, given = _read_arrays(path, "xy")
    names = _names(path, arrays, given)
    parts: dict[str, Labelled] = {}
    for (part, x_name, y_name), x in zip(given, _all_pixels(path, arrays, given), strict=True):
        assert x_name is not None
        assert y_name is not None
        x = _images(path, x_name, x)
        y = _labels(path, y_name, arrays[y_name], names, given[0].y)
        if len(x) != len(y):
            raise DataError(
                f"{path}: expected a label in {y_name} for each image in {x_name}, found {len(y)} for {len(x)}"
            )
        shape = next(iter(parts.values()))[0].shape[1:] if parts else x.shape[1:]
        if x.shape[1:] != shape:
            raise DataError(f"{path}: array {x_name}: expected images of shape {shape}, as before, found {x.shape[1:]}")
        parts[part] = x, y
    return names, parts


def npz_class_names(path: Path) -> list[str]:
    """The values of y in ascending order, as text, by label; no image is looked at. DataError as for `read_npz`."""
    return _names(path, *_read_arrays(path, "y"))


def read_unsplit(path: Path) -> list[Arrays]:
    """All images of a file, also of one without labels, by split and in their own layout. DataError otherwise."""
    arrays, given = _read_arrays(path, "xy", needs_labels=False)
    found = []
    for (part, x_name, y_name), x in zip(given, _all_pixels(path, arrays, given), strict=True):
        y = None if y_name is None else _values(path, y_name, arrays[y_name])
        if y is not None and len(y) != len(x):
            raise DataError(
                f"{path}: expected a label in {y_name} for each image in {x_name}, found {len(y)} for {len(x)}"
            )
        found.append(Arrays(part, x, y))
    return found


def _read_arrays(path: Path, letters: str, *, needs_labels: bool = True) -> tuple[dict[str, np.ndarray], list[Given]]:
    """The images (x), the labels (y) or both of a file, by name, but only of a file that has all it needs."""
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
                raise _Unknown("found a single array, as in .npy")
            assert file.zip is not None
            check_archive(file.zip, path.stat().st_size)
            given = _given(file.files, needs_labels)
            wanted = [name for part in given for letter, name in zip("xy", part[1:], strict=True) if letter in letters]
            return {name: _read(file, name) for name in wanted if name is not None}, given
    except _Unknown as unknown:
        raise DataError(f"{path}: {EXPECTED}; {unknown}") from None
    except Exception as error:  # a damaged file makes NumPy and zipfile raise all sorts
        raise DataError(f"{path}: expected an .npz file of numbers and text, found: {error}") from error


class _Unknown(Exception):
    """What was found in the place of images and labels."""


def _given(names: Sequence[str], needs_labels: bool) -> list[Given]:
    """What the arrays are by their names, in the order of PARTS."""
    found: dict[tuple[str, str], str] = {}
    for name in names:
        match = NAME.fullmatch(name)
        if match is None or (match["before"] and match["after"]):
            raise _Unknown(f"found {listed(sorted(names))}")
        key = ("x" if match["x"] else "y", PART_OF.get((match["before"] or match["after"] or "").lower(), ""))
        if key in found:
            raise _Unknown(f"found {found[key]} and {name}, of which only one can be meant")
        found[key] = name
    parts = [part for part in ("", *PARTS) if ("x", part) in found or ("y", part) in found]
    given = [Given(part, found.get(("x", part)), found.get(("y", part))) for part in parts]
    is_whole = all(part.x and (part.y or not needs_labels) for part in given) and ("" not in parts or len(parts) == 1)
    if not is_whole or not given or (needs_labels and parts[0] not in ("", "train")):
        raise _Unknown(f"found {listed(sorted(names))}")
    return given


def _read(file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """An array; one of objects, as pandas gives for text, without running what its pickle may ask for."""
    assert file.zip is not None
    member = name if name in file.zip.namelist() else f"{name}.npy"
    with file.zip.open(member) as content:
        source: Any = content
        if not read_header(source)[2].hasobject:
            content.seek(0)
            return read_npy(source, file.zip.getinfo(member).file_size)
        try:
            return read_objects(source)
        except ValueError as error:
            raise ValueError(
                f"array {name}, {error}; text is safe by {name}.astype(str), images of one size by np.stack({name})"
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
        raise DataError(f"{path}: array {name}: expected the classes of {train}, found also {listed(unknown)}")
    return np.array([label_of[value] for value in values], np.int64)


def _all_pixels(path: Path, arrays: Mapping[str, np.ndarray], given: Sequence[Given]) -> list[np.ndarray]:
    """The images of each split as uint8, all by one scale: a split of dark images alone is no measure."""
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


def layout_advice(shape: Sequence[int]) -> str:
    """How an array of this shape becomes images, where that can be told, to be put behind what was found."""
    if len(shape) == 4 and 4 in (shape[1], shape[3]):
        return f"; of RGBA take three channels: {'x[..., :3]' if shape[3] == 4 else 'x[:, :3]'}"
    if len(shape) == 4 and 2 in (shape[1], shape[3]):
        return f"; of grey and alpha take one: {'x[..., 0]' if shape[3] == 2 else 'x[:, 0]'}"
    if len(shape) == 2:
        side = round(shape[1] ** 0.5)
        sides = f"{side}, {side}" if side**2 == shape[1] else "H, W"
        return f"; rows of pixels become images by x.reshape(-1, {sides}), one image by x[None]"
    return ""


def check_classes(path: Path, names: list[str]) -> list[str]:
    """The names, if they are at least two; DataError otherwise."""
    if len(names) < 2:
        raise DataError(f"{path}: expected at least 2 classes, found {len(names)}: {listed(names)}")
    return names


def listed(names: Sequence[str], num: int = 10) -> str:
    """The first names, and how many more there are."""
    return ", ".join([*names[:num], *([f"and {len(names) - num} more"] if len(names) > num else [])])
