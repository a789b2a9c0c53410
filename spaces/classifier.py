"""The space of classifiers: stages of convolutions, a head, and how to train them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spaces.network import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Network,
    Norm,
    Pool,
    Shape,
    Standardize,
)
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.space import Parameter, Params, Space

LEARNING_RATES = {"sgd": "sgd_learning_rate", "adadelta": "adadelta_learning_rate"}
"""The optimizers whose useful learning rates lie elsewhere than Adam's have a parameter of their own."""


def classifier_space(
    *,
    input_shape: Shape,
    num_classes: int,
    widths: Sequence[tuple[int, int]],
    max_convs: int,
    min_stages: int = 1,
    pixels: Standardize,
) -> Space:
    """Classifiers of up to `len(widths)` stages, each of 1 to `max_convs` convolutions of `widths[stage]` filters.

    `pixels` is how images are standardized before the first of them.
    """
    return Space(
        (*_network_parameters(widths, max_convs, min_stages), *_recipe_parameters()),
        partial(_candidate, input_shape, num_classes, pixels),
    )


def _network_parameters(widths: Sequence[tuple[int, int]], max_convs: int, min_stages: int) -> list[Parameter]:
    parameters = [
        Parameter("stages", IntDistribution(min_stages, len(widths))),
        Parameter("padding", CategoricalDistribution(["same", "valid"])),
        Parameter("pooling", CategoricalDistribution(["max", "average", "strided"])),
        Parameter("batch_norm", CategoricalDistribution([True, False])),
        Parameter("activation", CategoricalDistribution(["relu", "leaky_relu", "silu", "gelu"])),
    ]
    for stage, (narrow, wide) in enumerate(widths, 1):
        here = partial(_has_stage, stage)
        parameters.append(Parameter(f"convs_{stage}", IntDistribution(1, max_convs), here))
        parameters.append(Parameter(f"kernel_{stage}", CategoricalDistribution([3, 5]), here))
        for conv in range(1, max_convs + 1):
            width = IntDistribution(narrow, wide, log=True)
            parameters.append(Parameter(f"width_{stage}_{conv}", width, partial(_has_conv, stage, conv)))
    return [
        *parameters,
        Parameter("head", CategoricalDistribution(["flatten", "global"])),
        Parameter("hidden", CategoricalDistribution([False, True])),
        Parameter("hidden_units", IntDistribution(8, 64, log=True), lambda p: bool(p["hidden"])),
        Parameter("dropout", FloatDistribution(0.0, 0.9)),
    ]


def _recipe_parameters() -> list[Parameter]:
    adam_like = Parameter(
        "learning_rate", FloatDistribution(1e-3, 2e-2, log=True), lambda p: p["optimizer"] not in LEARNING_RATES
    )
    return [
        Parameter("optimizer", CategoricalDistribution(["adam", "adamw", "nadam", "rmsprop", "sgd", "adadelta"])),
        adam_like,
        Parameter("sgd_learning_rate", FloatDistribution(2e-2, 0.3, log=True), lambda p: p["optimizer"] == "sgd"),
        Parameter(
            "adadelta_learning_rate", FloatDistribution(0.3, 3.0, log=True), lambda p: p["optimizer"] == "adadelta"
        ),
        Parameter("weight_decay", FloatDistribution(1e-6, 1e-3, log=True)),
        Parameter("schedule", CategoricalDistribution(["constant", "cosine", "one_cycle"])),
        Parameter("batch_size", CategoricalDistribution([64, 128, 256])),
        Parameter("augmentation", CategoricalDistribution(["none", "affine"])),
        Parameter("rotation_degrees", FloatDistribution(0, 10), _is_augmented),
        Parameter("shift_pixels", FloatDistribution(0, 2), _is_augmented),
        Parameter("zoom", FloatDistribution(0, 0.1), _is_augmented),
        Parameter("label_smoothing", FloatDistribution(0, 0.1)),
        Parameter("ema", CategoricalDistribution([False, True])),
        Parameter("ema_decay", FloatDistribution(0.98, 0.998), lambda p: bool(p["ema"])),
    ]


def _is_adadelta(params: Params) -> bool:
    return params["optimizer"] == "adadelta"


def _has_stage(stage: int, params: Params) -> bool:
    return int(params["stages"]) >= stage


def _has_conv(stage: int, conv: int, params: Params) -> bool:
    return _has_stage(stage, params) and int(params[f"convs_{stage}"]) >= conv


def _is_augmented(params: Params) -> bool:
    return params["augmentation"] != "none"


def _candidate(input_shape: Shape, num_classes: int, pixels: Standardize, params: Params) -> Candidate:
    layers: list[Layer] = [pixels]
    for stage in range(1, int(params["stages"]) + 1):
        layers += _stage(params, stage)
    layers += _head(params, num_classes)
    return Candidate(Network(input_shape, tuple(layers)), _recipe(params))


def _stage(params: Params, stage: int) -> list[Layer]:
    """Convolutions, then a halving of the image; before a global average, the last stage keeps its size."""
    convs, kernel = int(params[f"convs_{stage}"]), int(params[f"kernel_{stage}"])
    halves = stage < int(params["stages"]) or params["head"] == "flatten"
    layers: list[Layer] = []
    for conv in range(1, convs + 1):
        width = int(params[f"width_{stage}_{conv}"])
        layers += _conv(params, width, kernel)
        if halves and conv == convs:
            layers += _conv(params, width, 3, stride=2) if params["pooling"] == "strided" else [Pool(params["pooling"])]  # type: ignore[arg-type]
    return layers


def _conv(params: Params, width: int, kernel: int, stride: int = 1) -> list[Layer]:
    normed = bool(params["batch_norm"])
    conv = Conv(width, kernel, stride=stride, padding=params["padding"], bias=not normed)  # type: ignore[arg-type]
    return [conv, *([Norm()] if normed else []), Activation(params["activation"])]  # type: ignore[arg-type]


def _head(params: Params, num_classes: int) -> list[Layer]:
    layers: list[Layer] = [Flatten() if params["head"] == "flatten" else GlobalPool()]
    if params["hidden"]:
        layers += [Dense(int(params["hidden_units"])), Activation(params["activation"])]  # type: ignore[arg-type]
    return [*layers, Dropout(float(params["dropout"])), Dense(num_classes)]


def _recipe(params: Params) -> Recipe:
    rate = params[LEARNING_RATES.get(str(params["optimizer"]), "learning_rate")]
    strengths = {name: float(params.get(name, 0)) for name in ("rotation_degrees", "shift_pixels", "zoom")}
    return Recipe(
        optimizer=params["optimizer"],  # type: ignore[arg-type]
        learning_rate=float(rate),
        weight_decay=float(params["weight_decay"]),
        schedule=params["schedule"],  # type: ignore[arg-type]
        batch_size=int(params["batch_size"]),
        augmentation=Augmentation(**strengths),
        label_smoothing=float(params["label_smoothing"]),
        ema_decay=float(params["ema_decay"]) if params["ema"] else None,
    )
