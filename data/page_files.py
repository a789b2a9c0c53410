"""Reads folders of scanned pages: grey PNGs of any size from 64x64 pixels."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.folders import check_utf8, read_entries
from data.lists import list_faults
from data.splits import DataError

if TYPE_CHECKING:
    from PIL import Image

MIN_SIDE = 64  # pixels

Pages = dict[str, np.ndarray | None]
"""Pages, uint8 [H, W], by file name in natural order; None for a page that was refused."""


def read_pages(folder: Path) -> tuple[list[np.ndarray], list[str]]:
    """Returns all PNGs of a folder as uint8 [H, W], and their file names, in natural order (2.png before 10.png).

    Pages are 8-bit grey, and at least 64 pixels wide and high. Other kinds of PNG are converted if nothing is lost: up
    to 8 bits a channel, all colours grey, all pixels opaque. Raises DataError that lists all other files.
    """
    pages, faults = read_folder(folder)
    refuse(folder, faults)
    return select_good(pages), list(pages)


def read_folder(folder: Path) -> tuple[Pages, list[str]]:
    """Returns the folder's PNGs, and a line for each that `read_pages` refuses."""
    pages: Pages = {}
    faults: list[str] = []
    for name in _names(folder):
        try:
            pages[name] = _read_page(folder / name)
        except DataError as error:
            pages[name] = None
            faults.append(f"{folder.name}/{name}: {error}")
    return pages, faults


def select_good(pages: Pages) -> list[np.ndarray]:
    """Returns the pages that were not refused."""
    return [page for page in pages.values() if page is not None]


def refuse(folder: Path, faults: list[str]) -> None:
    """Raises DataError that lists the faults of the folder's files, if there are any."""
    if faults:
        raise DataError(list_faults(f"{folder}: {len(faults)} bad files:", faults))


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Returns a key that sorts 2.png before 10.png."""
    parts = re.split(r"(\d+)", name)  # text and digits by turns
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], name


def format_size(page_HW: np.ndarray) -> str:
    return f"{page_HW.shape[1]}x{page_HW.shape[0]} (width x height)"


def _names(folder: Path) -> list[str]:
    check_utf8(folder)
    entries = read_entries(folder)
    check_utf8(folder, entries.unreadable)
    names = [name for name in entries.files if name.lower().endswith(".png")]
    if not names:
        raise DataError(f"{folder}: expected a folder of PNGs, found none in it")
    return sorted(names, key=natural_key)


def _read_page(path: Path) -> np.ndarray:
    """Reads a PNG as uint8 [H, W]. Raises DataError, without the file's name, unless it is an 8-bit grey page."""
    from PIL import Image  # here, since made pages are not read from files

    from data.image_files import check_pixels

    try:
        with Image.open(path, formats=["PNG"]) as image:
            check_pixels(image)
            image.load()
        bit_depth = path.read_bytes()[24]  # from the header, since Pillow reduces more than 8 bits to 8
    except Exception as error:  # a damaged file makes Pillow raise errors of many kinds
        raise DataError(f"expected a PNG, found a file that cannot be read: {error}") from error
    if bit_depth > 8:
        raise DataError(f"expected 8-bit grey (mode L), found {bit_depth} bits (mode {image.mode})")
    page_HW = np.array(image) if image.mode == "L" else _convert(image)
    if min(page_HW.shape) < MIN_SIDE:
        raise DataError(f"expected at least {MIN_SIDE}x{MIN_SIDE} pixels, found {format_size(page_HW)}")
    return page_HW


def _convert(image: "Image.Image") -> np.ndarray:
    rgba_HWC = np.asarray(image.convert("RGBA"))
    if (rgba_HWC[..., :3] != rgba_HWC[..., :1]).any() or (rgba_HWC[..., 3] < 255).any():
        raise DataError(f"expected 8-bit grey (mode L), found colours or transparency (mode {image.mode})")
    return rgba_HWC[..., 0].copy()
