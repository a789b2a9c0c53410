"""The examples that models are applied to, and the checks that every form of input shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.array_values import layout_advice
from data.lists import list_faults
from data.splits import Images
from spaces.layers import Shape


@dataclass(frozen=True)
class Takes:
    """The examples that a model takes."""

    shape: Shape
    """(channels, height, width), (channels, length) or (features,)."""
    any_size: bool = False
    """Whether it takes images of any height and width."""
    dtype: str = "uint8"
    """The type of the training examples: uint8 for pixels from 0 to 255, otherwise float32."""
    features: tuple[str, ...] = ()
    """The names of the features, if they have names."""

    @property
    def are_images(self) -> bool:
        """Whether the examples are images of pixels from 0 to 255, as files of images hold."""
        return len(self.shape) == 3 and self.dtype == "uint8"

    @property
    def noun(self) -> str:
        """What messages call an example."""
        return "image" if self.are_images else "example"

    def __str__(self) -> str:
        from trainables.model import format_shape  # here, since torch takes seconds to import

        shape = format_shape(self.shape, self.any_size, "N")
        return shape if self.are_images else f"{self.dtype} {shape}"


@dataclass(frozen=True)
class Inputs:
    """Examples to predict for, and what the input tells about each of them."""

    images: Images
    """uint8 [N, H, W] or [N, C, H, W]; a list of [H, W] or [C, H, W] if sizes differ; float32 [N, ...] if no images."""
    names: list[str]
    """The name or number of each example."""
    labels: list[str | None] | None = None
    """The class of each example, if the input has classes."""
    parts: list[str] | None = None
    """The split of each example, if the input has splits."""
    array_shape: Shape | None = None
    """The shape of the array in an .npy file, whose channels may come last; None for other forms."""

    @property
    def is_channels_last(self) -> bool:
        return isinstance(self.images, np.ndarray) and self.array_shape not in (None, self.images.shape)


def fit_layout(path: Path, images: np.ndarray, takes: Takes) -> np.ndarray:
    """Returns the examples as the model takes them: unchanged, or with their channels moved to the front.

    Raises ValueError, with both shapes, for examples that the model does not take.
    """
    shape, any_size = takes.shape, takes.any_size
    for candidate in (images, images.transpose(0, 3, 1, 2) if images.ndim == 4 else images):
        found = candidate.shape[1:]
        found = (1, *found) if len(found) == len(shape) - 1 and shape[0] == 1 else found
        if len(found) == len(shape) and (found[:1] if any_size else found) == (shape[:1] if any_size else shape):
            return candidate if len(shape) == 3 else candidate.reshape(len(candidate), *shape)
    advice = layout_advice(images.shape) if takes.are_images else ""
    raise ValueError(f"input={path}: holds {list(images.shape)}, and the model takes {takes}{advice}")


def refuse(source: Path, faults: Sequence[str]) -> None:
    """Raises ValueError that lists the faults of the source's examples, if there are any."""
    if faults:
        raise ValueError(list_faults(f"input={source}: cannot be used:", faults))
