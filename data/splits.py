"""What a dataset is: uint8 images with labels or target images in three fixed splits, and where they come from."""

import hashlib
from collections.abc import Callable, Iterable
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


Say = Callable[[str], None]
Images = np.ndarray | list[np.ndarray]
"""uint8 [N, H, W], or [N, C, H, W] for several channels; a list of [H, W] where sizes differ."""


# eq=False: arrays have no single truth value, so two of these are equal only if they are the same object.
@dataclass(frozen=True, eq=False)
class Split:
    """Images x, and for each its label (y integers [N]) or its target image (y like x). ValueError if they differ."""

    x: Images
    y: Images

    def __post_init__(self) -> None:
        for array in _arrays(self.x):
            if array.dtype != np.uint8:
                raise ValueError(f"Split: x holds {array.dtype}; expected uint8, pixels from 0 to 255")
        if len(self.x) != len(self.y):
            raise ValueError(f"Split: {len(self.x)} images, {len(self.y)} labels; expected one label an image")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def labels(self) -> np.ndarray | None:
        """The labels [N], or None where y holds images."""
        return self.y if isinstance(self.y, np.ndarray) and self.y.ndim == 1 else None

    @property
    def nbytes(self) -> int:
        """What the arrays take."""
        return sum(array.nbytes for values in (self.x, self.y) for array in _arrays(values))

    def joined(self, other: "Split") -> "Split":
        """These examples, then those of another split of the dataset."""
        return Split(*(_joined(a, b) for a, b in ((self.x, other.x), (self.y, other.y))))

    def take(self, places: np.ndarray) -> "Split":
        """The examples at these places [M], in their order."""
        return Split(*([v[p] for p in places] if isinstance(v, list) else v[places] for v in (self.x, self.y)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """A dataset's three splits; `origin` tells the original data from the stand-in that is made without network."""

    name: str
    origin: Literal["original", "made"]
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...] | None = None
    """What the labels stand for, where it is not the digits themselves."""

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over shape, dtype and bytes of all arrays."""
        digest = hashlib.sha256()
        for split in (self.train, self.val, self.test):
            for array in (*_arrays(split.x), *_arrays(split.y)):
                digest.update(f"{array.shape} {array.dtype.str} ".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    @property
    def num_classes(self) -> int:
        """How many outputs a classifier needs: labels count from 0 to one less. ValueError where there are none."""
        labels = [split.labels for split in (self.train, self.val, self.test) if len(split)]
        if any(y is None for y in labels):
            raise ValueError(f"{self.name} has images to be restored, and no labels")
        return 1 + max(int(y.max()) for y in labels if y is not None)

    def limited(self, train_examples: int | None, val_examples: int | None = None) -> "Splits":
        """The same with exactly so many training and validation examples; None keeps all.

        Each label is kept in its share and at least once. The choice is always the same one. ValueError if there are
        not so many, or for fewer than one of each label.
        """
        if train_examples is None and val_examples is None:
            return self
        return replace(
            self,
            train=_limited(self.train, train_examples, f"train_examples={train_examples}: {self.name}", "training"),
            val=_limited(self.val, val_examples, f"val_examples={val_examples}: {self.name}", "validation"),
        )

    def at_most(self, train_examples: int | None, val_examples: int | None = None) -> "Splits":
        """The same with no more than so many training and validation examples: all of them where there are fewer.

        Each label is kept at least once, so more are kept where there are more labels. None keeps all.
        """
        return self.limited(_within(self.train, train_examples), _within(self.val, val_examples))


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset by name: how the original is read or downloaded, and what stands in for it without network.

    Both are told the folder of data files, and `say` how far they are. `own` reads a user's own files, where a
    dataset can be that.
    """

    name: str
    original: Callable[[Path, Say], Splits]
    made: Callable[[Path, Say], Splits] | None = None
    own: Callable[[Path], Splits] | None = None

    def load(self, choice: str, data_dir: Path, say: Say) -> Splits:
        """The splits of choice "auto", "original", "made" or of a path; "auto" falls back on "made", and `say`s so.

        DataUnavailable if "original" cannot be had; DataError for damaged files, on which "auto" does not fall back
        either; ValueError for another choice.
        """
        data_dir = data_dir.expanduser()
        if choice not in ("auto", "original", "made"):
            if self.own is None:
                raise ValueError(f"data={choice}: no such choice; expected auto, original or made")
            return self.own(Path(choice).expanduser())
        if choice == "made":
            if self.made is None:
                raise ValueError(f"data=made: {self.name} has no made stand-in data; expected auto or original")
            return self.made(data_dir, say)
        try:
            return self.original(data_dir, say)
        except DataUnavailable as unavailable:
            if choice == "original" or self.made is None:
                raise
            splits = self.made(data_dir, say)
            say(
                f"NOTICE: {unavailable}\n"
                f"Using {splits.name} instead, {len(splits.train):,} training images. "
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


def _arrays(values: Images) -> Iterable[np.ndarray]:
    return values if isinstance(values, list) else [values]


def _joined(first: Images, second: Images) -> Images:
    if isinstance(first, list) or isinstance(second, list):
        return [*first, *second]
    return np.concatenate([first, second])


def _within(split: Split, limit: int | None) -> int | None:
    """The number nearest to the limit that `_limited` takes."""
    return None if limit is None else min(max(limit, len(_label_counts(split))), len(split))


def _label_counts(split: Split) -> np.ndarray:
    """How often each label occurs [C]; images to be restored all count as of one label."""
    y = np.zeros(len(split), np.int64) if split.labels is None else split.labels
    return np.unique(y, return_counts=True)[1]


def _limited(split: Split, limit: int | None, who: str, kind: str) -> Split:
    if limit is None:
        return split
    y = np.zeros(len(split), np.int64) if split.labels is None else split.labels
    counts = _label_counts(split)
    if not len(counts) <= limit <= len(y):
        classes = "" if split.labels is None else f" of {len(counts)} classes"
        raise ValueError(
            f"{who} has {len(y):,} {kind} examples{classes}; "
            f"expected a number from {len(counts)} to {len(y):,}, or none for all"
        )
    sizes = 1 + _shares(counts - 1, limit - len(counts))
    return split.take(np.flatnonzero(_draw(y, sizes, LIMIT_SEED)))


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
