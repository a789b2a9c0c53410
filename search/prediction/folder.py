"""Reads the images of a folder for `search.predict`, or of the class folders in it."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from data.folders import check_utf8, read_entries
from data.image_files import FORMATS, as_shown, check_pixels, image_suffixes
from data.labelled import PART_OF
from data.lists import list_names
from data.progress import Progress
from search.prediction.inputs import Inputs, Takes, refuse

MAX_SKIPPED = 3  # names of skipped files in one line


def read_folder(folder: Path, takes: Takes) -> Inputs:
    """Reads all images of a folder. If it holds only folders, reads theirs, labelled with the folders' names."""
    names = _image_names(folder)
    progress = Progress(partial(print, flush=True), len(names), "images read")
    images, faults = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd files: each image is read, or listed with the reason
        for name in names:
            try:
                images.append(_read_image(folder / name, takes))
            except ValueError as error:
                faults.append(f"{name}: {error}")
            progress.add(1)
    refuse(folder, faults)
    is_one_size = len({image.shape for image in images}) == 1
    return Inputs(np.stack(images) if is_one_size else images, names, _classes(names), _splits(names))


def _image_names(folder: Path) -> list[str]:
    """Returns the images' paths within the folder, separated by "/". Prints what it skips."""
    names, others = _list_files(folder, "")
    folders = read_entries(folder).folders
    if names:
        others += [f"{name}/" for name in folders]
    else:
        names, others = _list_tree(folder, folders, others)
    if not names:
        raise ValueError(f"input={folder}: the folder holds no images ({', '.join(FORMATS)})")
    if others:
        print(f"{folder}: skipped, not images: {list_names(others, MAX_SKIPPED)}")
    return names


def _list_tree(folder: Path, remaining: list[str], others: list[str]) -> tuple[list[str], list[str]]:
    """Returns the images in these folders within `folder`, depth first, and all other files."""
    names: list[str] = []
    while remaining:
        first, *rest = remaining
        found, skipped = _list_files(folder, f"{first}/")
        names, others = [*names, *found], [*others, *skipped]
        remaining = [f"{first}/{name}" for name in read_entries(folder / first).folders] + rest
    return names, others


def _list_files(folder: Path, root: str) -> tuple[list[str], list[str]]:
    """Returns the images directly in folder/root, and its other files."""
    entries = read_entries(folder / root)
    check_utf8(folder / root, entries.unreadable)
    names = [f"{root}{name}" for name in entries.files]
    images = [name for name in names if _is_image(folder / name)]
    return images, sorted(set(names) - set(images))


def _is_image(path: Path) -> bool:
    """Returns whether a file is an image by its name or, as in training, by its content."""
    if path.suffix.lower() in image_suffixes() or not path.is_file():
        return path.is_file()
    try:
        with warnings.catch_warnings(), Image.open(path, formats=FORMATS):
            return True
    except Exception:  # Pillow does not document what a foreign file makes it raise
        return False


def _classes(names: list[str]) -> list[str | None] | None:
    """Returns the folder of each image, if images are in folders."""
    return [PurePosixPath(name).parent.name for name in names] if "/" in names[0] else None


def _splits(names: list[str]) -> list[str] | None:
    """Returns the split of each image, if all paths are SPLIT/CLASS/IMAGE."""
    roots = [name.split("/")[0] for name in names]
    is_split = all(root.lower() in PART_OF and name.count("/") == 2 for root, name in zip(roots, names, strict=True))
    return roots if is_split else None


def _read_image(path: Path, takes: Takes) -> np.ndarray:
    """Reads an image as uint8 [H, W], or as [3, H, W] for a model that takes colours.

    EXIF's orientation is applied, and transparent pixels are put on white. Raises ValueError without the file's name.
    """
    channels, height, width = takes.shape
    try:
        with Image.open(path, formats=FORMATS) as opened:
            check_pixels(opened)
            mode = opened.mode
            pixels = np.asarray(as_shown(opened).convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # Pillow does not document what a damaged file makes it raise
        raise ValueError(f"not an image that can be read ({error})") from None
    if mode.startswith(("I", "F")):  # their brightest value may be 4,095 or 1.0 as well as 65,535
        raise ValueError(f"has more than 8 bits a channel (mode {mode}); convert it to 8")
    if not takes.any_size and pixels.shape[:2] != (height, width):
        found = f"{pixels.shape[0]}x{pixels.shape[1]}"
        raise ValueError(f"is {found} pixels (height x width), and the model takes {height}x{width}")
    return pixels if channels == 1 else pixels.transpose(2, 0, 1)
