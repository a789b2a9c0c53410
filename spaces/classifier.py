"""The space of classifiers: a stem, stages of convolutions, a head and a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spaces.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Join,
    Layer,
    Norm,
    Pool,
    Save,
    Shape,
    Standardize,
)
from spaces.network import Network
from spaces.recipe import Candidate
from spaces.recipes import recipe_of, recipe_parameters
from spaces.space import Parameter, Params, Space


def classifier_space(
    *,
    input_shape: Shape,
    num_classes: int,
    widths: Sequence[tuple[int, int]],
    max_convs: int,
    min_stages: int = 1,
    pixels: Standardize | None,
    stems: Sequence[str] = (),
    residual: bool = False,
    max_dropout: float = 0.9,
    recipe: Sequence[Parameter] | None = None,
    last: Sequence[Layer] = (),
) -> Space:
    """Returns a space of classifiers of `min_stages` to `len(widths)` stages with 1 to `max_convs` convolutions each.

    `widths[stage]` is the range (low, high) of a stage's filters. `pixels` standardizes the images. For large images,
    `stems` are ways to shrink them first: none, pooled (means of 2x2), strided (a 5x5 convolution with stride 2), or
    one of these twice (pooled_4, strided_4). With `residual`, a stage may have a skip around its convolutions. `last`
    are layers after the one with an output for each class.
    """
    return Space(
        (
            *_network_parameters(widths, max_convs, min_stages, stems, residual, max_dropout),
            *(recipe or recipe_parameters()),
        ),
        partial(_candidate, input_shape, num_classes, [] if pixels is None else [pixels], last),
    )


def _network_parameters(
    widths: Sequence[tuple[int, int]],
    max_convs: int,
    min_stages: int,
    stems: Sequence[str],
    residual: bool,
    max_dropout: float,
) -> list[Parameter]:
    parameters = [
        Parameter("stages", IntDistribution(min_stages, len(widths))),
        Parameter("padding", CategoricalDistribution(["same", "valid"])),
        Parameter("pooling", CategoricalDistribution(["max", "average", "strided"])),
        Parameter("batch_norm", CategoricalDistribution([True, False])),
        Parameter("activation", CategoricalDistribution(["relu", "leaky_relu", "silu", "gelu"])),
    ]
    if stems:
        parameters.append(Parameter("stem", CategoricalDistribution(stems)))
        parameters.append(Parameter("stem_width", IntDistribution(4, 32, log=True), _has_strided_stem))
    if residual:
        # A skip needs images of the same size at both ends
        parameters.append(
            Parameter("residual", CategoricalDistribution([False, True]), lambda p: p["padding"] == "same")
        )
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
        Parameter("dropout", FloatDistribution(0.0, max_dropout)),
    ]


def _has_strided_stem(params: Params) -> bool:
    return str(params["stem"]).startswith("strided")


def _has_stage(stage: int, params: Params) -> bool:
    return int(params["stages"]) >= stage


def _has_conv(stage: int, conv: int, params: Params) -> bool:
    return _has_stage(stage, params) and int(params[f"convs_{stage}"]) >= conv


def _candidate(
    input_shape: Shape, num_classes: int, first: Sequence[Layer], last: Sequence[Layer], params: Params
) -> Candidate:
    layers = [*first, *_stem(params)]
    for stage in range(1, int(params["stages"]) + 1):
        layers += _stage(params, stage)
    layers += [*_head(params, num_classes), *last]
    return Candidate(Network(input_shape, tuple(layers)), recipe_of(params))


def _stem(params: Params) -> list[Layer]:
    kind, _, factor = str(params.get("stem", "none")).partition("_")
    if kind == "none":
        return []
    if kind == "pooled":
        return [Pool("average", int(factor or 2))]
    return [layer for _ in range(2 if factor else 1) for layer in _conv(params, int(params["stem_width"]), 5, stride=2)]


def _stage(params: Params, stage: int) -> list[Layer]:
    """Returns a stage: convolutions, then a halving of the image, except in the last stage before a global average."""
    convs, kernel = int(params[f"convs_{stage}"]), int(params[f"kernel_{stage}"])
    halves = stage < int(params["stages"]) or params["head"] == "flatten"
    width = int(params[f"width_{stage}_{convs}"])
    layers: list[Layer] = []
    for conv in range(1, convs + 1):
        layers += _conv(params, int(params[f"width_{stage}_{conv}"]), kernel)
    if params.get("residual"):
        fit = Conv(width, 1, bias=not params["batch_norm"])
        layers = [Save(f"stage {stage}"), *layers, Join(f"stage {stage}", "add", projection=(fit, *_norm(params)))]
    if halves:
        layers += _conv(params, width, 3, stride=2) if params["pooling"] == "strided" else [Pool(params["pooling"])]  # type: ignore[arg-type]
    return layers


def _conv(params: Params, width: int, kernel: int, stride: int = 1) -> list[Layer]:
    conv = Conv(width, kernel, stride=stride, padding=params["padding"], bias=not params["batch_norm"])  # type: ignore[arg-type]
    return [conv, *_norm(params), Activation(params["activation"])]  # type: ignore[arg-type]


def _norm(params: Params) -> list[Layer]:
    return [Norm()] if params["batch_norm"] else []


def _head(params: Params, num_classes: int) -> list[Layer]:
    layers: list[Layer] = [Flatten() if params["head"] == "flatten" else GlobalPool()]
    if params["hidden"]:
        layers += [Dense(int(params["hidden_units"])), Activation(params["activation"])]  # type: ignore[arg-type]
    return [*layers, Dropout(float(params["dropout"])), Dense(num_classes)]
