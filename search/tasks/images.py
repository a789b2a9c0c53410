"""images: the best classifier of your own images (data=FOLDER or data=FILE.npz)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data.images import IMAGES, own
from data.splits import Dataset, Splits
from search.tasks import Scale, Task, find
from search.tasks.own.shapes import default_scale, input_shape, standardizing
from spaces.defaults import default_space
from spaces.goal import Classify
from spaces.layers import Shape, Standardize
from spaces.space import Space

LAPTOP_EPOCHS = 10


def task_for(splits: Splits) -> Task:
    """Returns the task of classifying these images."""
    read = Dataset(name=splits.name, original=lambda *_: splits, made=lambda *_: splits, own=lambda _: splits)
    shape, pixels = input_shape(splits.train), standardizing(splits.train, max_examples=None)
    return replace(
        find("images"),
        dataset=read,
        space=_space(shape, splits.num_classes, pixels),
        laptop=default_scale(shape, len(splits.train), epochs=LAPTOP_EPOCHS),
    )


def _space(shape: Shape, num_classes: int, pixels: Standardize) -> Space:
    return default_space(shape, (num_classes,), Classify(), standardize=pixels, rescale=None, augmentation=True)


MADE_SHAPE, NUM_MADE = (1, 28, 28), 1_257  # the digits of data.made.digits, which take over a second to load

data = IMAGES
space = _space(MADE_SHAPE, 10, Standardize(0.1559, 0.2977))
laptop = default_scale(MADE_SHAPE, NUM_MADE, epochs=LAPTOP_EPOCHS)
full = Scale(num_trials=256, max_epochs=60)
gpus_per_trial = 0.25


def tailor(path: Path) -> Task:
    """Returns the task for the user's own images at a path."""
    return task_for(own(path))
