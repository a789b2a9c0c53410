"""The types of a dataset: arrays of examples with labels or targets in three fixed splits, and their sources."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from data.chunks import chunks
from data.stratified import divide, draw

LIMIT_SEED = 0
NUMBERS_LIMIT_SEED = 3_729_110_463  # people draw targets with a seed of 0, whose order LIMIT_SEED would follow
"""Chooses the examples that `limited` keeps. A change makes rows of such runs incomparable with earlier ones."""


class DataUnavailable(Exception):
    """The data is neither on disk nor downloadable. The message names both places, and the ways out."""


class DataError(ValueError):
    """A file is missing, truncated or of another kind. The message names it, what was expected and what was found."""


Say = Callable[[str], None]
"""Receives lines about progress."""
Images = np.ndarray | list[np.ndarray]
"""An array of any shape [N, ...], such as images [N, H, W] or [N, C, H, W]; a list of arrays if their sizes differ."""
Pair = tuple[object, object]
"""A split's x and y as a user gives them, in anything that `Splits.of` takes."""


# eq=False: arrays have no single truth value, so two of these are equal only if they are the same object.
@dataclass(frozen=True, eq=False)
class Split:
    """Examples x, uint8 (pixels from 0 to 255) or float32, and for each its label or its target y.

    y holds labels (integers [N]), target images (uint8), class maps (int64 or uint8 [N, ...]), several labels (uint8 0
    or 1 [N, K]) or other targets (float32 [N, ...]). If y is x itself, the examples have no targets but themselves.
    Raises ValueError for x of another type, and if x and y differ in length.
    """

    x: Images
    y: Images

    def __post_init__(self) -> None:
        for array in _arrays(self.x):
            if array.dtype not in (np.uint8, np.float32):
                raise ValueError(f"Split: x holds {array.dtype}; expected uint8, pixels from 0 to 255, or float32")
        if len(self.x) != len(self.y):
            raise ValueError(f"Split: {len(self.x)} images, {len(self.y)} labels; expected one label an image")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def labels(self) -> np.ndarray | None:
        """The labels [N], or None if y holds images or other targets."""
        y = self.y
        return y if isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "iu" else None

    @property
    def has_targets(self) -> bool:
        """Whether y is more than x itself."""
        return self.y is not self.x

    @property
    def nbytes(self) -> int:
        """The size of all arrays."""
        return sum(array.nbytes for values in self._different() for array in _arrays(values))

    def joined(self, other: "Split") -> "Split":
        """Returns these examples, followed by those of another split of the dataset."""
        x = _join(self.x, other.x)
        return Split(x, _join(self.y, other.y) if self.has_targets or other.has_targets else x)

    def take(self, places: np.ndarray) -> "Split":
        """Returns the examples at these indices [M], in this order."""
        taken = [[v[p] for p in places] if isinstance(v, list) else v[places] for v in self._different()]
        return Split(taken[0], taken[-1])

    def _different(self) -> tuple[Images, ...]:
        return (self.x, self.y) if self.has_targets else (self.x,)


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
    features: tuple[str, ...] | None = None
    """The names of the columns of x [N, F]; None if they have none."""

    @classmethod
    def of(
        cls,
        x: object,
        y: object = None,
        *,
        val: Pair | object = None,
        test: Pair | object = None,
        name: str = "data",
        classes: Sequence[object] | None = None,
        origin: Literal["original", "made"] = "original",
    ) -> "Splits":
        """Makes splits of your own arrays; `val` and `test` are pairs (x, y), or x alone without y.

        Takes NumPy arrays, tensors, pandas frames and series, and lists; a list of arrays may hold different sizes.

        x [N, ...] stays uint8 (pixels from 0 to 255) or becomes float32; so bool becomes 0.0 and 1.0, and integers
        above 2**24 are rounded. y becomes one of these, and x itself if there is none:

        - labels, int64 [N], from text, bool or integers [N] or [N, 1]. `classes` gets the values in ascending order,
          and None if they are 0 to K-1 already.
        - several labels an example, uint8 [N, K], from bool or integers that are 0 or 1
        - class maps, int64 [N, ...], from bool or integers other than uint8: 0 to K-1
        - target images or class maps, uint8 [N, ...], as they are
        - targets, float32 [N, ...], from floats

        `classes` names the labels 0 to K-1, or orders those of text, or names the K columns of several labels. Pass
        on the `origin` of the splits that you derive yours from: results on made stand-ins are marked as such.

        A missing val or test gets 15% of the examples, and 15% of each class if y are labels, at least one of each.
        The draw is always the same. A memory-mapped array stays on disk if it is float32 or uint8, and both val and
        test are given; otherwise its examples are copied into memory.

        Raises DataError that says what is wrong and where: other types, NaN or infinity, lengths or shapes that differ,
        nothing at all, one class only, fewer examples of a class than splits, a class that only val or test has.
        """
        from data.own_arrays import make_splits  # here, since it imports this module

        return make_splits(x, y, val, test, name, classes, origin)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over shape, dtype and bytes of all arrays."""
        digest = hashlib.sha256()
        for split in (self.train, self.val, self.test):
            for array in (*_arrays(split.x), *_arrays(split.y)):
                digest.update(f"{array.shape} {array.dtype.str} ".encode())
                for part in chunks(array):
                    digest.update(np.ascontiguousarray(array[part]).data)
        return digest.hexdigest()[:16]

    @property
    def num_classes(self) -> int:
        """The number of outputs that a classifier needs: one more than the largest label or number of a class map.

        Several labels an example [N, K] have K. Raises ValueError if y holds floats.
        """
        train = self.train.y
        if isinstance(train, np.ndarray) and train.ndim == 2 and train.dtype == np.uint8:
            return train.shape[1]
        arrays = [array for split in (self.train, self.val, self.test) for array in _arrays(split.y) if array.size]
        if any(array.dtype.kind not in "iu" for array in arrays):
            raise ValueError(f"{self.name} has targets of {arrays[0].dtype}, and no labels")
        return 1 + max(int(array.max()) for array in arrays)

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
    if limit is None or limit == len(split):  # a memory-mapped array would be copied into memory
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
    first = split.y[0] if isinstance(split.y, list) else split.y
    seed = NUMBERS_LIMIT_SEED if split.has_targets and first.dtype.kind == "f" else LIMIT_SEED
    return split.take(np.flatnonzero(draw(y, sizes, seed)))
