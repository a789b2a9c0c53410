"""The arrays of an .npz file as a user's own images: x and y, or the same for each of the splits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data.splits import DataError

PARTS = ("train", "val", "test")
MAX_SIDE = 256
LAYOUTS = [
    sorted(f"{letter}{end}" for letter in "xy" for end in ends)
    for ends in ([""], ["_train", "_val"], ["_train", "_val", "_test"])
]

Labelled = tuple[np.ndarray, np.ndarray]  # images, uint8 [N, H, W] or [N, 3, H, W], and labels, int64 [N]


def read_npz(path: Path) -> tuple[list[str], list[Labelled]]:
    """The classes by label, and all examples, or those of the splits that are given, in the order of PARTS.

    What the file holds, `data.images.own` says. DataError for anything else.
    """
    arrays = _read_arrays(path, "xy")
    names = _names(path, arrays)
    ends = [f"_{part}" for part in PARTS if f"x_{part}" in arrays] or [""]
    parts = [(_images(path, f"x{end}", arrays), _labels(path, f"y{end}", arrays, names)) for end in ends]
    for end, (x, y) in zip(ends, parts, strict=True):
        if len(x) != len(y):
            raise DataError(f"{path}: expected a label in y{end} for each image in x{end}, found {len(y)} for {len(x)}")
        shape = parts[0][0].shape[1:]
        if x.shape[1:] != shape:
            raise DataError(f"{path}: array x{end}: expected images of shape {shape}, as before, found {x.shape[1:]}")
    return names, parts


def npz_class_names(path: Path) -> list[str]:
    """The values of y in ascending order, as text, by label; no image is looked at. DataError as for `read_npz`."""
    return _names(path, _read_arrays(path, "y"))


def _read_arrays(path: Path, letters: str) -> dict[str, np.ndarray]:
    """The arrays of the file whose names begin with one of these letters, but only of a file that has all it needs."""
    if not path.exists():
        raise DataError(
            f"data={path}: found no such folder or file; "
            "expected a folder with a folder of images for each class, an .npz file with x and y, or made"
        )
    try:
        # Opened here, since np.load leaves a damaged file open; without pickles, which could run any program.
        with path.open("rb") as content:
            file = np.load(content, allow_pickle=False)
            found = sorted(file.files) if isinstance(file, np.lib.npyio.NpzFile) else ["a single array, as in .npy"]
            if found in LAYOUTS:
                return {name: file[name] for name in found if name[0] in letters}
    except Exception as error:  # a damaged file makes NumPy and zipfile raise all sorts
        raise DataError(f"{path}: expected an .npz file of numbers and strings, found: {error}") from error
    raise DataError(f"{path}: expected the arrays {' or '.join(map(listed, LAYOUTS))}; found {listed(found)}")


def _names(path: Path, arrays: Mapping[str, np.ndarray]) -> list[str]:
    values = np.unique(_checked_y(path, "y" if "y" in arrays else "y_train", arrays))
    return check_classes(path, [str(value) for value in values])


def _labels(path: Path, name: str, arrays: Mapping[str, np.ndarray], names: list[str]) -> np.ndarray:
    values = [str(value) for value in _checked_y(path, name, arrays)]
    label_of = {name: label for label, name in enumerate(names)}
    if unknown := sorted(set(values) - label_of.keys()):
        raise DataError(f"{path}: array {name}: expected the classes of y_train, found also {listed(unknown)}")
    return np.array([label_of[value] for value in values], np.int64)


def _checked_y(path: Path, name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    y = arrays[name]
    if y.ndim != 1 or y.dtype.kind not in "iuU":
        raise DataError(f"{path}: array {name}: expected integers or strings [N], found {y.dtype} {list(y.shape)}")
    return y


def _images(path: Path, name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    x = arrays[name]
    found = f"{x.dtype} {list(x.shape)}"
    if x.ndim == 4 and x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        x = x.transpose(0, 3, 1, 2)
    if x.ndim == 4 and x.shape[1] == 1:
        x = x[:, 0]
    is_image = x.ndim == 3 or (x.ndim == 4 and x.shape[1] == 3)
    if x.dtype != np.uint8 or not is_image or not all(1 <= side <= MAX_SIDE for side in x.shape[-2:]) or not len(x):
        raise DataError(
            f"{path}: array {name}: expected uint8 [N, H, W], [N, C, H, W] or [N, H, W, C] with C of 1 or 3, "
            f"H and W of 1 to {MAX_SIDE}, N of 1 or more, found {found}"
        )
    return np.ascontiguousarray(x)


def check_classes(path: Path, names: list[str]) -> list[str]:
    """The names, if they are at least two; DataError otherwise."""
    if len(names) < 2:
        raise DataError(f"{path}: expected at least 2 classes, found {len(names)}: {listed(names)}")
    return names


def listed(names: Sequence[str], num: int = 10) -> str:
    """The first names, and how many more there are."""
    return ", ".join([*names[:num], *([f"and {len(names) - num} more"] if len(names) > num else [])])
