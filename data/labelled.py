"""Labelled images of one size, as a folder and an .npz file both give them, and the names of their splits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.lists import list_names
from data.splits import DataError

Labelled = tuple[np.ndarray, np.ndarray]
"""Images, uint8 [N, H, W] or [N, 3, H, W], and labels, int64 [N]."""
MAX_SIDE = 256
"""The maximum height and width of an image in pixels."""
PARTS = ("train", "val", "test")
PART_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Splits by the names that people give to their folders and arrays, in lower case."""


def check_enough(where: object, names: Sequence[str], y: np.ndarray, num_parts: int, examples: str = "images") -> None:
    """Raises DataError unless every label of y [N] occurs at least once for each of `num_parts` splits to be drawn."""
    counts = zip(names, np.bincount(y, minlength=len(names)), strict=True)
    if few := [f"{name} ({num})" for name, num in counts if num < num_parts]:
        raise DataError(
            f"{where}: expected at least {num_parts} {examples} of each class, one for each split, "
            f"found fewer of {list_names(few)}"
        )


def check_classes(path: Path, names: list[str]) -> list[str]:
    """Returns the names if there are at least two; raises DataError otherwise."""
    if len(names) < 2:
        raise DataError(f"{path}: expected at least 2 classes, found {len(names)}: {list_names(names)}")
    return names
