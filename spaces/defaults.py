"""The space of a task that names none: it follows from the shapes of inputs and outputs, and from the goal.

Tables get perceptrons and signals get one-dimensional convolutions, each from a function that is an example of a space
of one's own. Images get the spaces of Frugal's own tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from spaces.autoencoder import autoencoder_space
from spaces.choose import Choose, chosen_space, random_candidates
from spaces.classifier import classifier_space
from spaces.goal import Classify, Denoise, Goal, Reconstruct, Restore
from spaces.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Norm,
    Pool,
    Rescale,
    Reshape,
    Shape,
    Standardize,
)
from spaces.network import Network
from spaces.recipe import Candidate
from spaces.recipes import choose_recipe, recipe_parameters
from spaces.space import Space

STAGE_WIDTHS = ((8, 48), (12, 64), (16, 96), (24, 128), (32, 192))
"""The range of filters of each stage of a network that gives features."""
MAP_WIDTHS = ((8, 48), (12, 64), (16, 96), (16, 96))
"""The same of a network that gives images; those of a reconstruction are a third of it, for a narrow code."""
SHRINKS = (1, 2, 4, 8)
"""Divisors of all widths, of which the first that suits the budget is taken."""
SUITABLE_SHARE = 0.2
"""The share of draws within the budget from which on a space suits it."""
NUM_DRAWS = 100
MAX_DENSE_VALUES = 4_096
"""The number of values of an input up to which networks of dense layers alone are tried for images."""


def default_space(
    input_shape: Shape,
    output_shape: Shape,
    goal: Goal,
    *,
    standardize: Standardize | None,
    rescale: Rescale | None,
    augmentation: bool,
    max_params: int | None = None,
    max_macs: int | None = None,
) -> Space:
    """Returns a space of networks from inputs to outputs of these shapes, with their recipes.

    Widths are divided by 2, 4 or 8 if fewer than a fifth of the draws would be within the budget. Networks begin with
    `standardize` and end with `rescale`, if given. Without `rescale`, Reconstruct, Denoise and Restore get outputs from
    0 to 1. With `augmentation`, images of a classification may be rotated, shifted and zoomed. Networks that give an
    image of their input's size take any size, except those of Reconstruct and Denoise.
    """

    def space(shrink: int) -> Space:
        if len(input_shape) in (2, 3) and len(output_shape) == len(input_shape) and output_shape[1:] == input_shape[1:]:
            return _space_of_maps(input_shape, output_shape[0], goal, standardize, rescale, shrink)
        last = _after_features(output_shape, goal, rescale)
        num_outputs, classifies = math.prod(output_shape), isinstance(goal, Classify)
        if len(input_shape) == 3:
            augments = augmentation and classifies
            return _space_of_images(input_shape, num_outputs, standardize, last, augments, classifies, shrink)
        hidden = partial(signal_layers if len(input_shape) == 2 else table_layers, shrink=shrink)
        first = [*([standardize] if standardize else []), *([Flatten()] if len(input_shape) > 3 else [])]
        return _space_of_function(input_shape, first, hidden, [Dense(num_outputs), *last], label_smoothing=classifies)

    spaces = map(space, SHRINKS)
    found = next(spaces)
    if max_params is None and max_macs is None:
        return found
    while _share_within(found, max_params, max_macs) < SUITABLE_SHARE and (smaller := next(spaces, None)):
        found = smaller
    return found


def _share_within(space: Space, max_params: int | None, max_macs: int | None) -> float:
    """Returns the share of random draws that are valid and within the budget."""
    found = random_candidates(space, NUM_DRAWS, max_params)
    return sum(max_macs is None or each.network.num_macs <= max_macs for each in found) / NUM_DRAWS


def table_layers(choose: Choose, input_shape: Shape, shrink: int = 1) -> list[Layer]:
    """Returns the hidden layers of a perceptron, with numbers of units divided by `shrink`."""
    batch_norm = choose.of("batch_norm", [True, False])
    activation = Activation(choose.of("activation", ["relu", "leaky_relu", "silu", "gelu"]))
    layers: list[Layer] = []
    for layer in range(1, choose.int("hidden_layers", 1, 3) + 1):
        layers.append(Dense(choose.int(f"units_{layer}", 8 // shrink, 256 // shrink, log=True), bias=not batch_norm))
        layers += [Norm(), activation] if batch_norm else [activation]
    if choose.of("dropout", [False, True]):
        layers.append(Dropout(choose.float("dropout_rate", 0.02, 0.5)))
    return layers


def signal_layers(choose: Choose, input_shape: Shape, shrink: int = 1) -> list[Layer]:
    """Returns stages of convolutions, each of which ends with a pooling, and what makes features of the last one.

    The stages' numbers of filters are divided by `shrink`.
    """
    batch_norm = choose.of("batch_norm", [True, False])
    activation = Activation(choose.of("activation", ["relu", "leaky_relu", "silu", "gelu"]))
    pooling: Literal["max", "average"] = choose.of("pooling", ["max", "average"])
    layers: list[Layer] = []
    for stage in range(1, choose.int("stages", 1, _num_stages(input_shape)) + 1):
        ((narrow, wide),) = _divided(STAGE_WIDTHS[stage - 1 : stage], shrink)
        width = choose.int(f"width_{stage}", narrow, wide, log=True)
        kernel = choose.of(f"kernel_{stage}", [3, 5, 9])
        for _ in range(choose.int(f"convs_{stage}", 1, 2)):
            layers.append(Conv(width, kernel, bias=not batch_norm))
            layers += [Norm(), activation] if batch_norm else [activation]
        layers.append(Pool(pooling, choose.of(f"pool_{stage}", [2, 4])))
    layers.append(GlobalPool() if choose.of("head", ["global", "flatten"]) == "global" else Flatten())
    if choose.of("dropout", [False, True]):
        layers.append(Dropout(choose.float("dropout_rate", 0.02, 0.5)))
    return layers


def _space_of_function(
    input_shape: Shape,
    first: list[Layer],
    hidden: Callable[[Choose, Shape], list[Layer]],
    last: list[Layer],
    *,
    label_smoothing: bool,
) -> Space:
    def candidate(choose: Choose) -> Candidate:
        network = Network(input_shape, (*first, *hidden(choose, input_shape), *last))
        recipe = choose_recipe(
            choose, batch_sizes=(16, 32, 64, 128), augmentation=False, label_smoothing=label_smoothing
        )
        return Candidate(network, recipe)

    return chosen_space(candidate)


def _space_of_images(
    input_shape: Shape,
    num_outputs: int,
    standardize: Standardize | None,
    last: list[Layer],
    augmentation: bool,
    classifies: bool,
    shrink: int,
) -> Space:
    """Returns the space of networks from images to features. Large images are shrunk first, by one of several stems."""
    side, num_stages = min(input_shape[1:]), max(_num_stages(input_shape), 2)
    stems = ("none", "pooled", "strided", *(("strided_4",) if side >= 128 else ())) if side >= 64 else ()
    return classifier_space(
        input_shape=input_shape,
        num_classes=num_outputs,
        widths=_divided(STAGE_WIDTHS[:num_stages], shrink),
        max_convs=2,
        min_stages=num_stages - 1,
        pixels=standardize,
        stems=stems,
        residual=True,
        max_dropout=0.9 if classifies else 0.3,
        recipe=recipe_parameters(augmentation=augmentation, label_smoothing=classifies),
        last=last,
    )


def _space_of_maps(
    input_shape: Shape,
    out_channels: int,
    goal: Goal,
    standardize: Standardize | None,
    rescale: Rescale | None,
    shrink: int,
) -> Space:
    """Returns the space of networks that give an image, or a signal, of their input's size."""
    compresses = isinstance(goal, Reconstruct)
    is_dense = isinstance(goal, Reconstruct | Denoise) and math.prod(input_shape) <= MAX_DENSE_VALUES
    families = ["stages", *([] if compresses else ["flat"]), *(["dense"] if is_dense else [])]
    # The sides that are trained on: patches are at most as large as an image
    sides = [min(side, getattr(goal, "patch", None) or side) for side in input_shape[1:]]
    widths = MAP_WIDTHS[: _num_stages((1, *sides))]
    return autoencoder_space(
        input_shape=input_shape,
        families=families,
        widths=_divided(widths, 3 * shrink if compresses else shrink),
        code_widths=_divided([(1, 16) if compresses else (16, 96)], shrink)[0],
        code_units=_divided([(16, 128 if compresses else 256)], shrink)[0] if is_dense else None,
        kernels=(3, 5) if len(sides) == 2 else (3, 5, 9),
        skips=("none",) if compresses else ("none", "add", "concat"),
        outputs=_outputs(goal, rescale, is_residual=out_channels == input_shape[0] and not compresses),
        dilations=(False,) if compresses else (False, True),
        batch_sizes=_batch_sizes(math.prod(sides)),
        pixels=standardize,
        out_channels=out_channels,
        last=[rescale] if rescale else [],
    )


def _divided(widths: Sequence[tuple[int, int]], shrink: int) -> tuple[tuple[int, int], ...]:
    """Returns ranges of widths divided by `shrink`, each from at least 1."""
    return tuple((max(low // shrink, 1), max(high // shrink, 1)) for low, high in widths)


def _outputs(goal: Goal, rescale: Rescale | None, *, is_residual: bool) -> tuple[str, ...]:
    """Returns the kinds of output that suit a goal: the pixels of images are from 0 to 1, other numbers are not."""
    if rescale or not isinstance(goal, Reconstruct | Denoise | Restore):
        return ("linear",)
    return ("sigmoid", "residual") if is_residual else ("sigmoid",)


def _after_features(output_shape: Shape, goal: Goal, rescale: Rescale | None) -> list[Layer]:
    """Returns the layers that follow a dense layer with a feature for each value of the output."""
    layers: list[Layer] = [Reshape(output_shape)] if len(output_shape) > 1 else []
    if _outputs(goal, rescale, is_residual=False) == ("sigmoid",):
        layers.append(Activation("sigmoid"))
    return [*layers, rescale] if rescale else layers


def _num_stages(input_shape: Shape) -> int:
    """Returns the number of times that inputs can be halved until 4 to 8 pixels or values are left; at least 1."""
    return min(max(round(math.log2(min(input_shape[1:]))) - 2, 1), len(STAGE_WIDTHS))


def _batch_sizes(num_pixels: int) -> tuple[int, ...]:
    """Returns batch sizes for examples of this size: small ones for large examples, of which there tend to be few."""
    if num_pixels <= 32 * 32:
        return (32, 64, 128)
    return (8, 16, 32) if num_pixels <= 64 * 64 else (2, 4, 8)
