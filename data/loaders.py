"""Reads a user's own files as splits: images in folders, arrays in an .npz file, pairs of pages in two folders."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.documents import read_pairs, split_by_page
from data.images import own
from data.images_npz import read_arrays
from data.lists import list_names
from data.splits import DataError, Splits


def load_folder(path: str | Path) -> Splits:
    """Reads images from a folder with a folder for each class, or from an .npz file, as data= of task=images does.

    x is uint8 [N, H, W] if all pixels are grey, else [N, 3, H, W]. `data.images.own` describes the files. Raises
    DataError for others.
    """
    return own(Path(path).expanduser())


def load_npz(path: str | Path, *, classes: Sequence[object] | None = None) -> Splits:
    """Reads arrays of any shape from an .npz file: x and y; or x_train, y_train and perhaps those of val and test.

    y may be missing. Common other names work too, such as images and labels. What becomes of the arrays, and how splits
    that are missing are drawn, is as in `Splits.of`. Raises DataError for other files.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"{path}: found no such file; expected an .npz file with x and y")
    arrays, given = read_arrays(path, "xy", needs_labels=False)
    pairs = {part: (_get(arrays, x), _get(arrays, y)) for part, x, y in given}
    whole = pairs.pop("", None) or pairs.pop("train", None)
    if whole is None:
        raise DataError(f"{path}: expected x or x_train, found {list_names(sorted(arrays))}")
    return Splits.of(*whole, val=pairs.get("val"), test=pairs.get("test"), name=f"npz:{path.name}", classes=classes)


def load_pairs(noisy: str | Path, clean: str | Path) -> Splits:
    """Reads two folders of grey PNGs of the same names and sizes: x noisy pages, y clean ones, lists of uint8 [H, W].

    No page is in two splits: pairs with equal clean pages stay together. Validation and test get 15% of the pages each.
    Raises DataError that lists all files that do not fit, and for fewer than three different pages.
    """
    first, second = Path(noisy).expanduser(), Path(clean).expanduser()
    return split_by_page(f"pairs:{first.name}", "original", *read_pairs(first, second))


def _get(arrays: dict[str, np.ndarray], name: str | None) -> np.ndarray | None:
    return None if name is None else arrays[name]
