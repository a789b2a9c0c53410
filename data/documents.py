"""Scanned documents: noisy pages of text and their clean versions, split by page, from files or made."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from data.folders import check_utf8, read_entries
from data.made.pages import draw_pages
from data.splits import DataError, Dataset, DataUnavailable, Say, Split, Splits, stratified_split

if TYPE_CHECKING:
    from PIL import Image

NOISY, CLEAN = "train", "train_cleaned"  # the published folders' names
MIN_SIDE = 64  # pixels
MAX_LISTED = 20  # lines of one error

# Changing one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = TEST_FRACTION = 0.15  # of the pages
MADE_SEED = 0
SPLIT_SEED = 5  # of 60, the one whose parts have texts and kinds of noise in the most even shares
MADE_PAGES, MADE_NOISES = 16, 3


def load_original(data_dir: Path, say: Say) -> Splits:
    """The pairs of data_dir/documents: x noisy and y clean, lists of uint8 [H, W] of any sizes, split by page.

    train/ holds the noisy PNGs, train_cleaned/ clean ones of the same names; test/ has no clean ones and is not read.
    DataUnavailable if there is no such folder; one DataError for all files without partner, of two sizes in a pair, or
    that `read_pages` refuses.

    Of the published 115 pairs each clean page comes 2 to 4 times, with other noise: 36 pages (2 texts in 18 layouts
    each, under 7 backgrounds). The parts have no page in common, but each has both texts and most backgrounds.
    """
    folder = data_dir / "documents"
    _check_there(folder)
    noisy, noisy_faults = _read(folder / NOISY)
    clean, clean_faults = _read(folder / CLEAN)
    _refuse(folder, [*noisy_faults, *clean_faults, *_pair_faults(noisy, clean)])
    x, y = (_arrays(images) for images in (noisy, clean))
    num_pages = int(_page_numbers(y).max()) + 1
    if num_pages < 3:
        raise DataError(f"{folder / CLEAN}: expected at least 3 different pages, one a split, found {num_pages}")
    return split_by_page("documents", "original", x, y)


def load_made() -> Splits:
    """48 pairs like the published ones, drawn: 16 pages, each under three noises; always the same."""
    x, y = draw_pages(MADE_PAGES, MADE_NOISES, MADE_SEED)
    return split_by_page("documents-made", "made", x, y)


def read_pages(folder: Path) -> tuple[list[np.ndarray], list[str]]:
    """All PNGs of a folder as uint8 [H, W], and their file names, in natural order (2.png before 10.png).

    Pages are 8-bit grey and at least 64 pixels wide and high. Other kinds of PNG are converted where nothing is lost:
    up to 8 bits a channel, all colours grey, all pixels opaque. DataError lists all files that are not so.
    """
    images, faults = _read(folder)
    _refuse(folder, faults)
    return _arrays(images), list(images)


def split_by_page(name: str, origin: Literal["original", "made"], x: list[np.ndarray], y: list[np.ndarray]) -> Splits:
    """Whole pages to each part, and of each size its share; images of one page are those with equal y [H, W].

    Of P pages, 3 or more, validation and test have 15% each, rounded, but at least one.
    """
    page = _page_numbers(y)
    first = np.unique(page, return_index=True)[1]
    size = np.unique([y[place].shape for place in first], axis=0, return_inverse=True)[1].reshape(-1)
    rest, test = stratified_split(size, _fraction(TEST_FRACTION, len(size), len(size)), SPLIT_SEED)
    train, val = stratified_split(size[rest], _fraction(VAL_FRACTION, len(size), len(rest)), SPLIT_SEED)
    pairs = Split(x, y)
    parts = [pairs.take(np.flatnonzero(np.isin(page, pages))) for pages in (rest[train], rest[val], test)]
    return Splits(name=name, origin=origin, train=parts[0], val=parts[1], test=parts[2])


DOCUMENTS = Dataset(name="documents", original=load_original, made=lambda data_dir, say: load_made())


def _page_numbers(y: list[np.ndarray]) -> np.ndarray:
    """For each image the number of its page [N], in order of first appearance."""
    # Equality is enough: published clean images of one page are equal to the last bit, and no two others nearly so.
    numbers: dict[tuple[tuple[int, ...], bytes], int] = {}
    return np.array([numbers.setdefault((image.shape, image.tobytes()), len(numbers)) for image in y], np.int64)


def _fraction(fraction: float, num_all: int, num_left: int) -> float:
    """The part of num_left that makes this fraction of num_all, but at least one."""
    return max(1, round(fraction * num_all)) / num_left


def _check_there(folder: Path) -> None:
    try:
        os.listdir(folder)
    except FileNotFoundError:
        raise DataUnavailable(
            "The scanned documents are not here.\n"
            f"Looked in {folder} for {NOISY}/ and {CLEAN}/, PNGs of the same names.\n"
            f"Ways out: copy both folders of the public 'Denoising Dirty Documents' data into {folder}; or name a "
            "folder that holds them in documents/ by data_dir=FOLDER or the environment's FRUGAL_DATA_DIR; or use "
            "data=made, drawn pages that need no files."
        ) from None
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder, found none that can be read: {error}; choose another with data_dir=FOLDER"
        ) from error


def _read(folder: Path) -> tuple[dict[str, np.ndarray | None], list[str]]:
    """The folder's PNGs by name, in natural order, None for those refused; and a line on each of these."""
    images: dict[str, np.ndarray | None] = {}
    faults: list[str] = []
    for name in _names(folder):
        try:
            images[name] = _read_page(folder / name)
        except DataError as error:
            images[name] = None
            faults.append(f"{folder.name}/{name}: {error}")
    return images, faults


def _names(folder: Path) -> list[str]:
    check_utf8(folder)
    entries = read_entries(folder)
    check_utf8(folder, entries.unreadable)
    # A hidden .png is another system's note on a file, or one that is still being written.
    names = [name for name in entries.files if name.lower().endswith(".png")]
    if not names:
        raise DataError(f"{folder}: expected a folder of PNGs, found none in it")
    return sorted(names, key=_natural)


def _natural(name: str) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", name)  # text and digits by turns
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def _read_page(path: Path) -> np.ndarray:
    """One PNG as uint8 [H, W]; DataError, without the file's name, if it is not an 8-bit grey page."""
    from PIL import Image  # here, since only those who read files need it

    from data.images import check_pixels

    try:
        with Image.open(path, formats=["PNG"]) as image:
            check_pixels(image)
            image.load()
        bit_depth = path.read_bytes()[24]  # in the header; Pillow cuts off what is over 8
    except Exception as error:  # a damaged file makes Pillow raise errors of many kinds
        raise DataError(f"expected a PNG, found a file that cannot be read: {error}") from error
    if bit_depth > 8:
        raise DataError(f"expected 8-bit grey (mode L), found {bit_depth} bits (mode {image.mode})")
    page_HW = np.array(image) if image.mode == "L" else _grey(image)
    if min(page_HW.shape) < MIN_SIDE:
        raise DataError(f"expected at least {MIN_SIDE}x{MIN_SIDE} pixels, found {_size(page_HW)}")
    return page_HW


def _grey(image: "Image.Image") -> np.ndarray:
    rgba_HWC = np.asarray(image.convert("RGBA"))
    if (rgba_HWC[..., :3] != rgba_HWC[..., :1]).any() or (rgba_HWC[..., 3] < 255).any():
        raise DataError(f"expected 8-bit grey (mode L), found colours or transparency (mode {image.mode})")
    return rgba_HWC[..., 0].copy()


def _pair_faults(noisy: dict[str, np.ndarray | None], clean: dict[str, np.ndarray | None]) -> Iterator[str]:
    for name in sorted(noisy.keys() | clean.keys(), key=_natural):
        if name not in clean:
            yield f"{NOISY}/{name}: expected a clean partner {CLEAN}/{name}, found none"
        elif name not in noisy:
            yield f"{CLEAN}/{name}: expected a noisy partner {NOISY}/{name}, found none"
        elif (x := noisy[name]) is not None and (y := clean[name]) is not None and x.shape != y.shape:
            yield f"{NOISY}/{name}: expected the size of {CLEAN}/{name}, {_size(y)}, found {_size(x)}"


def _refuse(folder: Path, faults: list[str]) -> None:
    """DataError with the first lines on what is wrong with files of the folder, if there are any."""
    if not faults:
        return
    more = [f"and {len(faults) - MAX_LISTED} more"] if len(faults) > MAX_LISTED else []
    raise DataError("\n  ".join([f"{folder}: {len(faults)} bad files:", *faults[:MAX_LISTED], *more]))


def _arrays(images: dict[str, np.ndarray | None]) -> list[np.ndarray]:
    return [image for image in images.values() if image is not None]


def _size(page_HW: np.ndarray) -> str:
    return f"{page_HW.shape[1]}x{page_HW.shape[0]} (width x height)"
