"""What a dataset is: uint8 images with labels in three fixed splits, and where they come from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

LIMIT_SEED = 0  # which training examples `limited` keeps; changing it makes rows of such runs incomparable


class DataUnavailable(Exception):
    """Neither files nor network: says where files were looked for, where downloads were tried, and the ways out."""


class DataError(ValueError):
    """A missing, truncated or foreign file: says which, what was expected and what was found."""


# eq=False: arrays have no single truth value, so two of these are equal only if they are the same object.
@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels, one each: x uint8 [N, H, W], y integers [N]; ValueError if they do not match."""

    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        if self.x.dtype != np.uint8:
            raise ValueError(f"Split: x holds {self.x.dtype}; expected uint8, pixels from 0 to 255")
        if len(self.x) != len(self.y):
            raise ValueError(f"Split: {len(self.x)} images, {len(self.y)} labels; expected one label an image")

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """A dataset's three splits; `origin` tells the original data from the stand-in that is made without network."""

    name: str
    origin: Literal["original", "made"]
    train: Split
    val: Split
    test: Split

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over shape, dtype and bytes of all six arrays."""
        digest = hashlib.sha256()
        for split in (self.train, self.val, self.test):
            for array in (split.x, split.y):
                digest.update(f"{array.shape} {array.dtype.str} ".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    @property
    def num_classes(self) -> int:
        """How many outputs a classifier needs: labels count from 0 to one less."""
        return 1 + max(int(split.y.max()) for split in (self.train, self.val, self.test) if len(split))

    def limited(self, train_examples: int | None) -> "Splits":
        """The same with only so many training examples, each label in its share and at least once; None keeps all.

        The choice is always the same one. ValueError if there are not so many, or for fewer than one of each label.
        """
        if train_examples is None:
            return self
        y = self.train.y
        counts = np.unique(y, return_counts=True)[1]
        if not len(counts) <= train_examples <= len(y):
            raise ValueError(
                f"train_examples={train_examples}: {self.name} has {len(y):,} training examples of "
                f"{len(counts)} classes; expected a number from {len(counts)} to {len(y):,}, or none for all"
            )
        sizes = 1 + _shares(counts - 1, train_examples - len(counts))
        kept = _draw(y, sizes, LIMIT_SEED)
        return replace(self, train=Split(self.train.x[kept], y[kept]))


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset by name: how the original is read or downloaded, and what stands in for it without network."""

    name: str
    original: Callable[[Path, Callable[[str], None]], Splits]
    made: Callable[[], Splits]

    def load(self, choice: str, data_dir: Path, say: Callable[[str], None]) -> Splits:
        """The splits of choice "auto", "original" or "made"; "auto" falls back on "made", and `say`s so.

        DataUnavailable if "original" cannot be had; DataError for damaged files, on which "auto" does not fall back
        either; ValueError for another choice.
        """
        if choice not in ("auto", "original", "made"):
            raise ValueError(f"data={choice}: no such choice; expected auto, original or made")
        if choice == "made":
            return self.made()
        try:
            return self.original(data_dir.expanduser(), say)
        except DataUnavailable as unavailable:
            if choice == "original":
                raise
            splits = self.made()
            say(
                f"NOTICE: {unavailable}\n"
                f"Using {splits.name} instead, {len(splits.train):,} training images that come with the installation. "
                f"Results of this run are NOT results on {self.name}."
            )
            return splits


def stratified_split(y: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (rest, part) of y [N]: part has exactly round(fraction * N), of each label its share; both ascending.

    Shares are rounded by largest remainder. The draw depends on y, fraction (0 to 1) and seed alone.
    """
    # Our own few lines: scikit-learn's train_test_split takes over a second to import, refuses a label that occurs
    # once, and breaks ties at random.
    if not 0 <= fraction <= 1:
        raise ValueError(f"stratified_split: fraction is {fraction}; expected 0 to 1")
    if y.ndim != 1:
        raise ValueError(f"stratified_split: y has shape {y.shape}; expected one label an example")
    counts = np.unique(y, return_counts=True)[1]
    part = _draw(y, _shares(counts, round(fraction * len(y))), seed)
    return np.flatnonzero(~part), np.flatnonzero(part)


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """`total` shared out in proportion to counts [C], by largest remainder, ties to the earlier."""
    wholes, remainders = np.divmod(counts * total, max(int(counts.sum()), 1))
    largest = np.argsort(-remainders, kind="stable")[: total - int(wholes.sum())]
    wholes[largest] += 1
    return wholes


def _draw(y: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    """A mask [N] that is true for sizes[c] examples, drawn at random, of y's c-th label in ascending order."""
    # One key an example, and the smallest keys of each label win: this needs only the generator's plain stream of
    # doubles, its most stable part, and a larger size keeps what a smaller one chose.
    keys = np.random.default_rng(seed).random(len(y))
    order = np.lexsort((keys, y))
    counts = np.unique(y, return_counts=True)[1]
    rank_within_label = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    mask = np.zeros(len(y), dtype=bool)
    mask[order[rank_within_label < np.repeat(sizes, counts)]] = True
    return mask
