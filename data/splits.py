"""The types of a dataset: uint8 images with labels or target images in three fixed splits, and their sources."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from data.stratified import divide, draw

LIMIT_SEED = 0
"""Chooses the examples that `limited` keeps. A change makes rows of such runs incomparable with earlier ones."""


class DataUnavailable(Exception):
    """The data is neither on disk nor downloadable. The message names both places, and the ways out."""


class DataError(ValueError):
    """A file is missing, truncated or of another kind. The message names it, what was expected and what was found."""


Say = Callable[[str], None]
"""Receives lines about progress."""
Images = np.ndarray | list[np.ndarray]
"""uint8 [N, H, W], or [N, C, H, W] for several channels; a list of [H, W] if sizes differ."""


# eq=False: arrays have no single truth value, so two of these are equal only if they are the same object.
@dataclass(frozen=True, eq=False)
class Split:
    """Images x, and for each its label (y integers [N]) or its target image (y like x).

    Raises ValueError if x is not uint8, or if x and y differ in length.
    """

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
        """The labels [N], or None if y holds images."""
        return self.y if isinstance(self.y, np.ndarray) and self.y.ndim == 1 else None

    @property
    def nbytes(self) -> int:
        """The size of all arrays."""
        return sum(array.nbytes for values in (self.x, self.y) for array in _arrays(values))

    def joined(self, other: "Split") -> "Split":
        """Returns these examples, followed by those of another split of the dataset."""
        return Split(*(_join(a, b) for a, b in ((self.x, other.x), (self.y, other.y))))

    def take(self, places: np.ndarray) -> "Split":
        """Returns the examples at these indices [M], in this order."""
        return Split(*([v[p] for p in places] if isinstance(v, list) else v[places] for v in (self.x, self.y)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Splits:
    """A dataset's three splits. `origin` tells original data from made stand-in data."""

    name: str
    origin: Literal["original", "made"]
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...] | None = None
    """The names of the labels; None if labels are digits, or if there are none."""

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
        """The number of outputs that a classifier needs: one more than the largest label. ValueError without labels."""
        labels = [split.labels for split in (self.train, self.val, self.test) if len(split)]
        if any(y is None for y in labels):
            raise ValueError(f"{self.name} has target images, and no labels")
        return 1 + max(int(y.max()) for y in labels if y is not None)

    def limited(self, train_examples: int | None, val_examples: int | None = None) -> "Splits":
        """Returns a copy with exactly these numbers of training and validation examples; None keeps all.

        Each label keeps its share, and at least one example. The choice is always the same. Raises ValueError if there
        are fewer examples, or if the limit is smaller than the number of labels.
        """
        if train_examples is None and val_examples is None:
            return self
        return replace(
            self,
            train=_limit(self.train, train_examples, f"train_examples={train_examples}: {self.name}", "training"),
            val=_limit(self.val, val_examples, f"val_examples={val_examples}: {self.name}", "validation"),
        )

    def at_most(self, train_examples: int | None, val_examples: int | None = None) -> "Splits":
        """Returns a copy with at most these numbers of training and validation examples; None keeps all.

        Each label keeps at least one example, so a limit below the number of labels is raised to it.
        """
        return self.limited(_nearest_limit(self.train, train_examples), _nearest_limit(self.val, val_examples))


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset by name: functions that read or download the original, and that make the stand-in data.

    Both take the folder of data files, and `say`, which receives lines about progress.
    """

    name: str
    original: Callable[[Path, Say], Splits]
    made: Callable[[Path, Say], Splits] | None = None
    own: Callable[[Path], Splits] | None = None
    """Reads the user's own files; None if the dataset cannot be the user's own."""

    def load(self, choice: str, data_dir: Path, say: Say) -> Splits:
        """Returns the splits of choice "auto", "original", "made" or a path. "auto" falls back to "made".

        Raises DataUnavailable if "original" is unavailable, DataError for damaged files (also for "auto"), and
        ValueError for another choice.
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


def _arrays(values: Images) -> Iterable[np.ndarray]:
    return values if isinstance(values, list) else [values]


def _join(first: Images, second: Images) -> Images:
    if isinstance(first, list) or isinstance(second, list):
        return [*first, *second]
    return np.concatenate([first, second])


def _stratify_by(split: Split) -> np.ndarray:
    """Returns the labels [N]; target images all count as one label."""
    return np.zeros(len(split), np.int64) if split.labels is None else split.labels


def _nearest_limit(split: Split, limit: int | None) -> int | None:
    """Returns the number nearest to the limit that `_limit` accepts."""
    return None if limit is None else min(max(limit, len(np.unique(_stratify_by(split)))), len(split))


def _limit(split: Split, limit: int | None, who: str, kind: str) -> Split:
    if limit is None:
        return split
    y = _stratify_by(split)
    counts = np.unique(y, return_counts=True)[1]
    if not len(counts) <= limit <= len(y):
        classes = "" if split.labels is None else f" of {len(counts)} classes"
        raise ValueError(
            f"{who} has {len(y):,} {kind} examples{classes}; "
            f"expected a number from {len(counts)} to {len(y):,}, or none for all"
        )
    sizes = 1 + divide(counts - 1, limit - len(counts))
    return split.take(np.flatnonzero(draw(y, sizes, LIMIT_SEED)))
