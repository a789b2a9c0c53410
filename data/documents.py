"""Scanned documents: noisy pages of text and their clean versions, split by page; from files, or made."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from data.made.pages import draw_pages
from data.page_files import Pages, format_size, natural_key, read_folder, refuse, select_good
from data.splits import DataError, Dataset, DataUnavailable, Say, Split, Splits
from data.stratified import stratified_split

NOISY, CLEAN = "train", "train_cleaned"  # the names of the published folders

# A change to one of these makes older rows of every leaderboard incomparable with new ones.
VAL_FRACTION = TEST_FRACTION = 0.15  # of the pages
MADE_SEED = 0
SPLIT_SEED = 5  # the one of 60 seeds that spreads texts and kinds of noise most evenly over the splits
MADE_PAGES, MADE_NOISES = 16, 3


def load_original(data_dir: Path, say: Say) -> Splits:
    """Reads the pairs of data_dir/documents: x noisy and y clean, lists of uint8 [H, W] of any sizes, split by page.

    train/ holds the noisy PNGs, train_cleaned/ clean ones of the same names; test/ has no clean ones and is not read.
    Raises DataUnavailable if there is no such folder, and DataError that lists all files without a partner, of another
    size than their partner, or that `read_pages` refuses.

    In the published 115 pairs each clean page occurs 2 to 4 times, with different noise: 36 pages (2 texts in 18
    layouts each, under 7 backgrounds). The splits share no page, but each has both texts and most backgrounds.
    """
    folder = data_dir / "documents"
    _check_exists(folder)
    return split_by_page("documents", "original", *read_pairs(folder / NOISY, folder / CLEAN))


def read_pairs(noisy: Path, clean: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Reads the noisy and the clean pages of two folders, of which there must be at least three different clean ones.

    Raises DataError as `load_original` does.
    """
    noisy_pages, noisy_faults = read_folder(noisy)
    clean_pages, clean_faults = read_folder(clean)
    pair_faults = _pair_faults(noisy.name, noisy_pages, clean.name, clean_pages)
    refuse(noisy.parent, [*noisy_faults, *clean_faults, *pair_faults])
    x, y = select_good(noisy_pages), select_good(clean_pages)
    num_pages = int(_page_numbers(y).max()) + 1
    if num_pages < 3:
        raise DataError(f"{clean}: expected at least 3 different pages, one for each split, found {num_pages}")
    return x, y


def load_made() -> Splits:
    """Draws 48 pairs like the published ones, always the same: 16 pages, each under three noises."""
    x, y = draw_pages(MADE_PAGES, MADE_NOISES, MADE_SEED)
    return split_by_page("documents-made", "made", x, y)


def split_by_page(name: str, origin: Literal["original", "made"], x: list[np.ndarray], y: list[np.ndarray]) -> Splits:
    """Splits pairs so that no page is in two splits, and each size of page keeps its share.

    Images with equal y [H, W] are of one page. Of 3 or more pages, validation and test get 15% each, rounded, and at
    least one.
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
    """Returns the number of each image's page [N], in order of first appearance."""
    # Equality is enough: published clean images of one page are equal to the last bit, and no others are close to it.
    numbers: dict[tuple[tuple[int, ...], bytes], int] = {}
    return np.array([numbers.setdefault((image.shape, image.tobytes()), len(numbers)) for image in y], np.int64)


def _fraction(fraction: float, num_all: int, num_left: int) -> float:
    """Returns the fraction of num_left that equals this fraction of num_all, but is at least one."""
    return max(1, round(fraction * num_all)) / num_left


def _check_exists(folder: Path) -> None:
    try:
        os.listdir(folder)
    except FileNotFoundError:
        raise DataUnavailable(
            "The scanned documents are not on disk.\n"
            f"Looked in {folder} for {NOISY}/ and {CLEAN}/, PNGs of the same names.\n"
            f"Ways out: copy both folders of the public 'Denoising Dirty Documents' data into {folder}; or name a "
            "folder that holds them in documents/ with data_dir=FOLDER or the environment variable FRUGAL_DATA_DIR; or "
            "use data=made, drawn pages that need no files."
        ) from None
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder, found none that can be read: {error}; choose another with data_dir=FOLDER"
        ) from error


def _pair_faults(noisy_name: str, noisy: Pages, clean_name: str, clean: Pages) -> Iterator[str]:
    for name in sorted(noisy.keys() | clean.keys(), key=natural_key):
        page, partner = f"{noisy_name}/{name}", f"{clean_name}/{name}"
        if name not in clean:
            yield f"{page}: expected a clean partner {partner}, found none"
        elif name not in noisy:
            yield f"{partner}: expected a noisy partner {page}, found none"
        elif (x := noisy[name]) is not None and (y := clean[name]) is not None and x.shape != y.shape:
            yield f"{page}: expected the size of {partner}, {format_size(y)}, found {format_size(x)}"
