"""images: the best classifier of your own images (data=FOLDER or data=FILE.npz)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from data.images import IMAGES, own
from data.splits import Dataset, Splits
from search.tasks import Scale, Task, find
from spaces.defaults import default_space
from spaces.goal import Classify
from spaces.layers import Shape, Standardize
from spaces.space import Space

LAPTOP_EXAMPLES, LAPTOP_EPOCHS = 10_000, 10
LAPTOP_MACS = 1e12
"""The MACs of all forward passes of a trial: about a minute of training on a core."""
MACS_PER_PIXEL = 400
"""The MACs of the cheapest networks; a lower limit would leave no network."""


def task_for(splits: Splits) -> Task:
    """Returns the task of classifying these images."""
    read = Dataset(name=splits.name, original=lambda *_: splits, made=lambda *_: splits, own=lambda _: splits)
    x = splits.train.x
    assert not isinstance(x, list)
    shape = (1, *x.shape[1:]) if x.ndim == 3 else x.shape[1:]
    pixels = Standardize(round(float(x.mean()) / 255, 4), round(max(float(x.std()) / 255, 0.01), 4))
    return replace(
        find("images"),
        dataset=read,
        space=_space(shape, splits.num_classes, pixels),
        laptop=_laptop(shape, len(splits.train)),
    )


def _space(shape: Shape, num_classes: int, pixels: Standardize) -> Space:
    return default_space(shape, (num_classes,), Classify(), standardize=pixels, rescale=None, augmentation=True)


def _laptop(shape: Shape, num_images: int) -> Scale:
    trained = min(num_images, LAPTOP_EXAMPLES)
    macs = max(LAPTOP_MACS / (LAPTOP_EPOCHS * trained), MACS_PER_PIXEL * math.prod(shape))
    limit = trained if trained < num_images else None
    return Scale(num_trials=24, max_epochs=LAPTOP_EPOCHS, max_macs=round(macs), train_examples=limit)


MADE_SHAPE, NUM_MADE = (1, 28, 28), 1_257  # the digits of data.made.digits, which take over a second to load

data = IMAGES
space = _space(MADE_SHAPE, 10, Standardize(0.1559, 0.2977))
laptop = _laptop(MADE_SHAPE, NUM_MADE)
full = Scale(num_trials=256, max_epochs=60)
gpus_per_trial = 0.25


def tailor(path: Path) -> Task:
    """Returns the task for the user's own images at a path."""
    return task_for(own(path))
