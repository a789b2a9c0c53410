"""The images of a folder, or of the folders of classes in it, as `search.predict` takes them."""

from __future__ import annotations

import warnings
from pathlib import Path, PurePosixPath

import numpy as np

from data.folders import check_utf8, read_entries
from search.prediction.inputs import Inputs, Progress, refuse
from spaces.layers import Shape


def read_folder(folder: Path, shape: Shape, any_size: bool) -> Inputs:
    """All images of a folder; of one with folders alone, those in these, labelled by the folder that they are in."""
    names = _image_names(folder)
    say = Progress("images read", len(names))
    images, faults = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on odd files: an image can be read, or is listed with the reason
        for name in names:
            try:
                images.append(_read_image(folder / name, shape, any_size))
            except ValueError as error:
                faults.append(f"{name}: {error}")
            say.add(1)
    refuse(folder, faults)
    is_one_size = len({image.shape for image in images}) == 1
    return Inputs(np.stack(images) if is_one_size else images, names, _classes(names), _splits(names))


def _image_names(folder: Path) -> list[str]:
    """Paths within the folder, "/" between."""
    from data.images import FORMATS

    names, others = _listing(folder, "")
    if not names:
        inner = read_entries(folder).folders
        while inner:  # folder by folder, in order
            place = inner.pop(0)
            found, passed_over = _listing(folder, f"{place}/")
            names, others = [*names, *found], [*others, *passed_over]
            inner = [f"{place}/{name}" for name in read_entries(folder / place).folders] + inner
    elif inner := read_entries(folder).folders:
        others += [f"{name}/" for name in inner]
    if not names:
        raise ValueError(f"input={folder}: the folder holds no images ({', '.join(FORMATS)})")
    if others:
        shown = ", ".join([*others[:3], *(["..."] if len(others) > 3 else [])])
        print(f"{folder}: passed over, as no images: {shown}")
    return names


def _listing(folder: Path, root: str) -> tuple[list[str], list[str]]:
    """The images directly in a folder below, and its other files."""
    entries = read_entries(folder / root)
    check_utf8(folder / root, entries.unreadable)
    names = [f"{root}{name}" for name in entries.files]
    images = [name for name in names if _is_image(folder / name)]
    return images, sorted(set(names) - set(images))


def _is_image(path: Path) -> bool:
    """By its name, or, as in training, by what is in it."""
    from PIL import Image

    from data.images import FORMATS, image_suffixes

    if path.suffix.lower() in image_suffixes() or not path.is_file():
        return path.is_file()
    try:
        with warnings.catch_warnings(), Image.open(path, formats=FORMATS):
            return True
    except Exception:  # what a foreign file makes it raise is not documented
        return False


def _classes(names: list[str]) -> list[str | None] | None:
    """The folder of each image, if there is one."""
    return [PurePosixPath(name).parent.name for name in names] if "/" in names[0] else None


def _splits(names: list[str]) -> list[str] | None:
    """The split of each image, where all lie in folders of splits, with folders of classes in them."""
    from data.images_npz import PART_OF

    roots = [name.split("/")[0] for name in names]
    is_split = all(root.lower() in PART_OF and name.count("/") == 2 for root, name in zip(roots, names, strict=True))
    return roots if is_split else None


def _read_image(path: Path, shape: Shape, any_size: bool) -> np.ndarray:
    """uint8 [H, W], or [3, H, W] for a model of colours; what is transparent is put on white, EXIF's turns are made.

    Raises ValueError with the reason, but without the file's name.
    """
    from PIL import Image

    from data.images import FORMATS, as_shown, check_pixels

    channels, height, width = shape
    try:
        with Image.open(path, formats=FORMATS) as opened:
            check_pixels(opened)
            mode = opened.mode
            pixels = np.asarray(as_shown(opened).convert("L" if channels == 1 else "RGB"))
    except Exception as error:  # what a damaged file makes it raise is not documented
        raise ValueError(f"not an image that can be read ({error})") from None
    if mode.startswith(("I", "F")):  # whose brightest value may be 4,095 as well as 65,535 or 1.0
        raise ValueError(f"has more than 8 bits a channel (mode {mode}); convert it to 8")
    if not any_size and pixels.shape[:2] != (height, width):
        found = f"{pixels.shape[0]}x{pixels.shape[1]}"
        raise ValueError(f"is {found} pixels (height x width), and the model takes {height}x{width}")
    return pixels if channels == 1 else pixels.transpose(2, 0, 1)
