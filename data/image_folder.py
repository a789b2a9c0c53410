"""A folder of a user's own images: a folder of images for each class, perhaps in a folder for each split."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.folders import NOT_UTF8, check_utf8, read_entries
from data.image_files import read_images
from data.labelled import PART_OF, PARTS, Labelled, check_classes
from data.lists import list_names
from data.splits import DataError

STRAY = "beside the folders of classes; expected in one of them"
NESTED = "a folder in the folder of a class; expected only images (splits must be called train, val and test)"


class File(NamedTuple):
    """An image's path within the user's folder, separated by "/"; root is the part of it before the class."""

    root: str
    label: int
    path: str


def read_image_folder(folder: Path) -> tuple[list[str], dict[str, Labelled]]:
    """Returns the classes by label, and the examples of each given split; "" is the split of a folder without splits.

    Raises DataError for another layout, and for files that are not such images: it lists all of them.
    """
    roots, names = _find_classes(folder)
    faults = dict.fromkeys(read_entries(folder).files, STRAY)
    files = [file for root in roots for file in _files(folder, root, names, faults)]
    x = read_images(folder, [file.path for file in files], faults)
    y = np.array([file.label for file in files], np.int64)
    root_of = np.array([file.root for file in files])
    return names, {part: (x[root_of == root], y[root_of == root]) for root, part in roots.items()}


def folder_class_names(folder: Path) -> list[str]:
    """Returns the classes by label, without reading an image. Raises DataError for another layout."""
    return _find_classes(folder)[1]


def _find_classes(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Returns the splits by the path prefixes of their class folders, and the classes in order.

    A folder without splits has the prefix "" and the split "".
    """
    folders, files, unreadable = read_entries(folder)
    check_utf8(folder, unreadable)
    roots = _given_splits(folder, folders)
    first = folder / next(iter(roots))
    if roots != {"": ""}:
        folders, files, unreadable = read_entries(first)
        check_utf8(first, unreadable)
    if not folders:
        raise DataError(
            f"{first}: expected a folder of images for each class, found {len(files):,} files and no folder"
        )
    return roots, check_classes(first, folders)


def _given_splits(folder: Path, folders: Sequence[str]) -> dict[str, str]:
    """Returns the splits by their folders, in the order of PARTS, if every folder has the name of a split."""
    parts = {name: PART_OF.get(name.lower()) for name in folders}
    if not folders or None in parts.values():
        return {"": ""}
    roots = {f"{name}/": part for part in PARTS for name in folders if parts[name] == part}
    if len(set(roots.values())) < len(roots) or "train" not in roots.values():
        raise DataError(
            f"{folder}: expected train/ and optionally val/ and test/ as given splits, found {list_names([*roots])}"
        )
    return roots


def _files(folder: Path, root: str, names: list[str], faults: dict[str, str]) -> Iterator[File]:
    """Yields the files in the class folders below root, and adds misplaced ones to the faults."""
    classes, strays, unreadable = read_entries(folder / root)
    faults |= {f"{root}{stray}": STRAY for stray in strays} | {f"{root}{name}": NOT_UTF8 for name in unreadable}
    if not classes and not unreadable:
        faults[root] = "no folders of classes"
    for name in classes:
        inner, files, unreadable = read_entries(folder / root / name)
        faults |= {f"{root}{name}/{folder_name}/": NESTED for folder_name in inner}
        faults |= {f"{root}{name}/{file}": NOT_UTF8 for file in unreadable}
        if name not in names:
            faults[f"{root}{name}/"] = "a class that train/ does not have"
        elif not inner and not files and not unreadable:
            faults[f"{root}{name}/"] = "a class without images"
        else:
            yield from (File(root, names.index(name), f"{root}{name}/{file}") for file in files)
