"""The shapes of a user's data, and the goal, the size of a search and the scaling of values that follow from them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from data.splits import Split, Splits
from search.tasks import Scale
from spaces.goal import Classify, Goal, MultiLabel, Reconstruct, Regress, Restore, Segment
from spaces.layers import Rescale, Shape, Standardize

MAX_EXAMPLES_READ = 10_000
"""Examples of which mean and deviation are taken, since an array on disk may be larger than the memory."""
MAX_TRAINED, MIN_STEPS, MIN_EPOCHS, MAX_EPOCHS = 10_000, 1_000, 10, 100
TYPICAL_BATCH = 64
LAPTOP_MACS = 1e12
"""The MACs of all forward passes of a trial: about a minute of training on a core."""
TRIAL_SECONDS, SECONDS_PER_EPOCH, SECONDS_PER_EXAMPLE, MACS_PER_SECOND = 100.0, 0.05, 1e-4, 1.5e9
"""How long a trial may train on a core; and what an epoch takes by itself, an example by itself, and its MACs."""
MAX_STRETCH = 4
MACS_PER_VALUE = 400
"""The MACs of the cheapest networks for each value of an input; a lower limit would leave no network."""


def input_shape(split: Split) -> Shape:
    """Returns the shape of one example, (features,), (channels, length) or (channels, height, width).

    Where sizes differ, it is that of the largest example.
    """
    if isinstance(split.x, list):
        shapes = [_with_channel(each.shape, each.dtype) for each in split.x]
        return tuple(max(sides) for sides in zip(*shapes, strict=True))
    return _with_channel(split.x.shape[1:], split.x.dtype)


def _with_channel(shape: tuple[int, ...], dtype: np.dtype) -> Shape:
    """Returns the shape with a channel for a grey image, which has none: bytes of two dimensions."""
    if not shape:
        return (1,)
    return (1, *shape) if len(shape) == 2 and dtype == np.uint8 else shape


def target_shape(split: Split) -> Shape:
    """Returns the shape of one example's target; () for a label or a single number."""
    return split.y[0].shape if isinstance(split.y, list) else split.y.shape[1:]


def patches_of(goal: Goal, split: Split) -> float:
    """Returns the mean number of patches of an example in an epoch, 1 for goals whose examples are trained on whole."""
    return goal.num_examples(_shapes(split)) / len(split)


def sees_several_sizes(goal: Goal, split: Split) -> bool:
    """Returns whether networks see images of several sizes: because they differ, or are trained on in patches."""
    shapes = _shapes(split)
    patching = goal.patching(shapes) if isinstance(goal, Segment) else goal if isinstance(goal, Restore) else None
    return patching is not None and any(shape[-2:] != (patching.side(shapes),) * 2 for shape in shapes)


def _shapes(split: Split) -> list[tuple[int, ...]]:
    return [each.shape for each in split.x] if isinstance(split.x, list) else [split.x.shape[1:]] * len(split)


def number_of_classes(splits: Splits) -> int | None:
    """Returns the number of classes of labels and of maps of whole numbers; None for other targets."""
    if splits.classes:
        return len(splits.classes)
    found = []
    for split in (splits.train, splits.val, splits.test):
        arrays = split.y if isinstance(split.y, list) else [split.y]
        if any(array.dtype.kind not in "iu" for array in arrays):
            return None
        found += [int(array.max()) for array in arrays if array.size]
    return 1 + max(found)


def default_goal(splits: Splits) -> Goal:
    """Returns the goal that follows from the targets: their type and shape.

    Labels are classified, numbers regressed, rows of 0 and 1 are several labels, maps of whole numbers are segmented,
    images are restored, and examples that are their own targets are reconstructed.
    """
    x, y = splits.train.x, splits.train.y
    if not splits.train.has_targets:
        return Reconstruct() if (x[0] if isinstance(x, list) else x).dtype == np.uint8 else Regress()
    first = y[0] if isinstance(y, list) else y
    shape, shape_x = target_shape(splits.train), (x[0].shape if isinstance(x, list) else x.shape[1:])
    if first.dtype == np.uint8 and shape == shape_x and len(shape) >= 2:
        return Restore()
    if first.dtype.kind == "f":
        return Regress()
    if not shape:
        return Classify()
    return MultiLabel() if len(shape) == 1 else Segment()


def standardizing(split: Split, max_examples: int | None = MAX_EXAMPLES_READ) -> Standardize:
    """Returns the layer that gives training inputs a mean of 0 and a deviation of 1, by channel or feature.

    All pixels of images share one mean and one deviation. Only the first `max_examples` are read, None reads all.
    """
    if isinstance(split.x, list) or split.x.dtype == np.uint8:
        arrays = split.x[:max_examples] if isinstance(split.x, list) else [split.x[:max_examples]]
        mean, deviation = _moments(np.concatenate([each.reshape(-1) for each in arrays]))
        scale = 255 if arrays[0].dtype == np.uint8 else 1
        return Standardize(round(float(mean) / scale, 4), round(max(float(deviation) / scale, 0.01), 4))
    x = split.x[:max_examples].astype(np.float64)
    return Standardize(*_by_channel(x))


def rescaling(split: Split) -> Rescale:
    """Returns the layer that gives outputs around 0 the mean and the deviation of training targets."""
    assert isinstance(split.y, np.ndarray)
    y = split.y[:MAX_EXAMPLES_READ].astype(np.float64)
    return Rescale(*_by_channel(y.reshape(-1, 1) if y.ndim == 1 else y))


def _by_channel(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns means and deviations over all axes but the second; a deviation of 0 becomes 1."""
    mean, deviation = _moments(np.moveaxis(values, 1, -1).reshape(-1, values.shape[1]))
    deviation = np.where(deviation > 0, deviation, 1.0)
    return tuple(float(f"{each:.6g}") for each in mean), tuple(float(f"{each:.6g}") for each in deviation)


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)


def default_scale(shape: Shape, num_examples: int, *, patches: float = 1, epochs: int | None = None) -> Scale:
    """Returns the size of a search of about ten minutes on two cores.

    Unless `epochs` are given, few examples are trained for more epochs. `patches` is the number of patches in an
    example that is trained on in parts, since each of them is a step further.
    """
    trained = min(num_examples, MAX_TRAINED)
    steps = math.ceil(MIN_STEPS * TYPICAL_BATCH / (trained * patches))
    epochs = epochs or min(max(steps, MIN_EPOCHS), MAX_EPOCHS)
    macs = max(LAPTOP_MACS / (epochs * trained), MACS_PER_VALUE * math.prod(shape))
    return Scale(
        num_trials=24,
        max_epochs=epochs,
        grace_epochs=max(1, epochs // 9),
        max_macs=round(macs),
        train_examples=trained if trained < num_examples else None,
    )


def stretched(scale: Scale, num_examples: int, macs: float, patches: float = 1) -> Scale:
    """Returns the scale with as much training as networks of `macs` MACs leave time for.

    Cheap ones get all examples first, then up to 4 times the epochs, then up to 4 times the trials. Expensive ones get
    fewer epochs.
    """
    trained = scale.train_examples or num_examples
    seconds = SECONDS_PER_EXAMPLE * patches + macs / MACS_PER_SECOND
    room = TRIAL_SECONDS / (scale.max_epochs * (SECONDS_PER_EPOCH + trained * seconds))
    if room < 1:
        epochs = max(min(MIN_EPOCHS, scale.max_epochs), round(scale.max_epochs * room))
        return replace(scale, max_epochs=epochs, grace_epochs=max(1, epochs // 9))
    more_examples = min(room, num_examples / trained)
    more_epochs = min(room / more_examples, MAX_STRETCH)
    more_trials = min(room / more_examples / more_epochs, MAX_STRETCH)
    trained, epochs = round(trained * more_examples), round(scale.max_epochs * more_epochs)
    return replace(
        scale,
        num_trials=round(scale.num_trials * more_trials),
        max_epochs=epochs,
        grace_epochs=max(1, epochs // 9),
        train_examples=trained if trained < num_examples else None,
    )
