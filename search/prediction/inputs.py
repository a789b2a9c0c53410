"""The images that models are applied to, and the checks that every form of input shares."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.array_values import layout_advice
from data.lists import list_faults
from data.splits import Images
from spaces.layers import Shape

PROGRESS_SECONDS = 3.0


@dataclass(frozen=True)
class Inputs:
    """Images to predict for, and what the input tells about each of them."""

    images: Images
    """uint8 [N, H, W] or [N, C, H, W]; a list of [H, W] or [C, H, W] if sizes differ."""
    names: list[str]
    """The name or number of each image."""
    labels: list[str | None] | None = None
    """The class of each image, if the input has classes."""
    parts: list[str] | None = None
    """The split of each image, if the input has splits."""
    array_shape: Shape | None = None
    """The shape of the array in an .npy file, whose channels may come last; None for other forms."""

    @property
    def is_channels_last(self) -> bool:
        return isinstance(self.images, np.ndarray) and self.array_shape not in (None, self.images.shape)


def fit_layout(path: Path, images: np.ndarray, shape: Shape, any_size: bool) -> np.ndarray:
    """Returns the images as the model takes them: unchanged, or with their channels moved to the front.

    Raises ValueError, with both shapes, for images that the model does not take.
    """
    from trainables.model import format_shape  # here, since torch takes seconds to import

    for candidate in (images, images.transpose(0, 3, 1, 2) if images.ndim == 4 else images):
        found = (1, *candidate.shape[1:]) if candidate.ndim == 3 else candidate.shape[1:]
        if len(found) == 3 and (found[:1] if any_size else found) == (shape[:1] if any_size else shape):
            return candidate
    expected = format_shape(shape, any_size, "N")
    advice = layout_advice(images.shape)
    raise ValueError(f"input={path}: holds {list(images.shape)}, and the model takes {expected}{advice}")


def refuse(source: Path, faults: Sequence[str]) -> None:
    """Raises ValueError that lists the faults of the source's images, if there are any."""
    if faults:
        raise ValueError(list_faults(f"input={source}: cannot be used:", faults))


class Progress:
    """Prints a line every few seconds with the number of images done."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.num_done, self.printed_at = what, total, 0, time.monotonic()

    def add(self, number: int) -> None:
        self.num_done += number
        if time.monotonic() - self.printed_at > PROGRESS_SECONDS:
            self.printed_at = time.monotonic()
            print(f"{self.num_done:,} of {self.total:,} {self.what}", flush=True)
