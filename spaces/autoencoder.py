"""The space of networks from image to image, or from signal to signal: autoencoders, denoisers, segmenters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spaces.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Join,
    Layer,
    Norm,
    Pool,
    Reshape,
    Save,
    Shape,
    Standardize,
    Upsample,
)
from spaces.network import Network
from spaces.recipe import Candidate
from spaces.recipes import recipe_of, recipe_parameters
from spaces.space import Parameter, Params, Space

INPUT = "input"


def autoencoder_space(
    *,
    input_shape: Shape,
    families: Sequence[str],
    widths: Sequence[tuple[int, int]],
    code_widths: tuple[int, int],
    code_units: tuple[int, int] | None = None,
    max_depth: int = 6,
    max_convs: int = 2,
    kernels: Sequence[int] = (3, 5),
    skips: Sequence[str] = ("none",),
    outputs: Sequence[str] = ("sigmoid",),
    dilations: Sequence[bool] = (False,),
    batch_sizes: Sequence[int] = (32, 64, 128),
    pixels: Standardize | None = None,
    out_channels: int | None = None,
    last: Sequence[Layer] = (),
) -> Space:
    """Returns a space of networks whose output is an image of their input's size, of one of these `families`:

    - stages: up to `len(widths)` stages of 1 to `max_convs` convolutions and a pooling, then the code, then the same
      stages in reverse with upsampling. The code is an image of `code_widths` channels or, if `code_units` is given,
      optionally that number of features between two dense layers. `skips` (none, add, concat) connect equal stages.
    - flat: up to `max_depth` convolutions at full size.
    - dense: up to 2 dense layers, a code of `code_units` features, and the same in reverse.

    All ranges are (low, high). `outputs` are sigmoid, linear (none at the end), or residual: the output is added to the
    input. Dilation widens the view of flat networks and codes at the same cost. Odd sizes are rounded up and cut again
    on the way back. `pixels` standardizes the images, `out_channels` are the output's channels if they are not the
    input's, and `last` are layers after a sigmoid or linear output.
    """
    is_chosen = len(outputs) > 1 or "residual" in outputs
    parameters = [Parameter("family", CategoricalDistribution(families))]
    parameters += _stage_parameters(widths, code_widths, code_units, max_convs, skips)
    parameters += _flat_parameters(widths, max_depth)
    if "dense" in families:
        assert code_units is not None, "a dense network needs code_units"
        parameters += _dense_parameters(code_units)
    parameters += [
        Parameter("kernel", CategoricalDistribution(kernels), _is_convolutional),
        *([Parameter("dilated", CategoricalDistribution(dilations), _is_convolutional)] if any(dilations) else []),
        Parameter("batch_norm", CategoricalDistribution([True, False])),
        Parameter("activation", CategoricalDistribution(["relu", "leaky_relu", "silu", "gelu"])),
        Parameter("dropout", CategoricalDistribution([False, True])),
        Parameter("dropout_rate", FloatDistribution(0.02, 0.3), lambda p: bool(p["dropout"])),
        *([Parameter("output", CategoricalDistribution(outputs), _is_convolutional)] if is_chosen else []),
    ]
    recipe = recipe_parameters(
        optimizers=("adam", "adamw", "nadam", "rmsprop"),
        batch_sizes=batch_sizes,
        max_weight_decay=1e-4,
        augmentation=False,
        label_smoothing=False,
    )
    frame = _Frame(
        input_shape,
        (out_channels or input_shape[0], *input_shape[1:]),
        [] if pixels is None else [pixels],
        next((output for output in outputs if output != "residual"), "sigmoid"),
        last,
    )
    return Space(tuple(p for p in (*parameters, *recipe) if _can_apply(p, families)), partial(_candidate, frame))


@dataclass(frozen=True)
class _Frame:
    """What all networks of a space have in common."""

    input_shape: Shape
    output_shape: Shape
    first: Sequence[Layer]
    output: str
    """The kind of output of a network that has no choice of it."""
    last: Sequence[Layer]


def _stage_parameters(
    widths: Sequence[tuple[int, int]],
    code_widths: tuple[int, int],
    code_units: tuple[int, int] | None,
    max_convs: int,
    skips: Sequence[str],
) -> list[Parameter]:
    parameters = [
        Parameter("stages", IntDistribution(1, len(widths)), _is_staged),
        Parameter("convs", IntDistribution(1, max_convs), _is_staged),
        Parameter("pooling", CategoricalDistribution(["max", "average", "strided"]), _is_staged),
    ]
    for stage, (narrow, wide) in enumerate(widths, 1):
        width = IntDistribution(narrow, wide, log=True)
        parameters.append(Parameter(f"width_{stage}", width, partial(_has_stage, stage)))
    if tuple(skips) != ("none",):
        parameters.append(Parameter("skips", CategoricalDistribution(skips), _is_staged))
    if code_units:
        parameters.append(Parameter("code", CategoricalDistribution(["image", "features"]), _is_staged))
        parameters.append(Parameter("code_features", IntDistribution(*code_units, log=True), _has_features))
    width = IntDistribution(*code_widths, log=True)
    return [*parameters, Parameter("code_width", width, lambda p: _is_staged(p) and not _has_features(p))]


def _flat_parameters(widths: Sequence[tuple[int, int]], max_depth: int) -> list[Parameter]:
    narrow, wide = min(low for low, _ in widths), max(high for _, high in widths)
    return [
        Parameter("depth", IntDistribution(1, max_depth), _is_flat),
        Parameter("width", IntDistribution(narrow, wide, log=True), _is_flat),
    ]


def _dense_parameters(code_units: tuple[int, int]) -> list[Parameter]:
    return [
        Parameter("hidden_layers", IntDistribution(0, 2), _is_dense),
        Parameter("hidden_units", IntDistribution(64, 512, log=True), lambda p: bool(p.get("hidden_layers"))),
        Parameter("code_units", IntDistribution(*code_units, log=True), _is_dense),
    ]


def _can_apply(parameter: Parameter, families: Sequence[str]) -> bool:
    """Whether a space of these families has a use for a parameter, which may belong to one family alone."""
    family_of = {_is_flat: "flat", _is_dense: "dense", _is_staged: "stages"}
    return parameter.when not in family_of or family_of[parameter.when] in families  # type: ignore[index]


def _is_staged(params: Params) -> bool:
    return params["family"] == "stages"


def _is_flat(params: Params) -> bool:
    return params["family"] == "flat"


def _is_dense(params: Params) -> bool:
    return params["family"] == "dense"


def _is_convolutional(params: Params) -> bool:
    return params["family"] != "dense"


def _has_stage(stage: int, params: Params) -> bool:
    return _is_staged(params) and int(params["stages"]) >= stage


def _has_features(params: Params) -> bool:
    return params.get("code") == "features"


def _candidate(frame: _Frame, params: Params) -> Candidate:
    build = {"stages": _staged, "flat": _flat, "dense": _dense}[str(params["family"])]
    layers = [*frame.first, *build(params, frame)]
    match params.get("output", frame.output):
        case "residual":
            layers = [Save(INPUT), *layers, Join(INPUT, "add")]
        case "sigmoid":
            layers += [Activation("sigmoid"), *frame.last]
        case _:
            layers += frame.last
    return Candidate(Network(frame.input_shape, tuple(layers)), recipe_of(params))


def _staged(params: Params, frame: _Frame) -> list[Layer]:
    widths = [int(params[f"width_{stage}"]) for stage in range(1, int(params["stages"]) + 1)]
    down, up = [], []
    for stage, width in enumerate(widths, 1):
        down += [*_convs(params, width), Save(f"stage {stage}"), *_halving(params, width)]
        up = [Upsample(2, like=f"stage {stage}"), *_back(params, stage, width), *up]
    code = _code(params, Network(frame.input_shape, tuple(down)).output_shape)
    return [*down, *code, *_dropout(params), *up, Conv(frame.output_shape[0], 3)]


def _halving(params: Params, width: int) -> list[Layer]:
    if params["pooling"] == "strided":
        # A fixed padding of 1, so that the module takes images of any size
        return [Conv(width, 3, stride=2, padding=1, bias=not params["batch_norm"]), *_after(params)]
    return [Pool(params["pooling"], 2, ceil=True)]  # type: ignore[arg-type]


def _code(params: Params, shape: Shape) -> list[Layer]:
    if not _has_features(params):
        return _convs(params, int(params["code_width"]), dilation=2 if params.get("dilated") else 1)
    activation = Activation(params["activation"])  # type: ignore[arg-type]
    back = [Dense(math.prod(shape)), activation, Reshape(shape)]
    return [Flatten(), Dense(int(params["code_features"])), activation, *back]


def _back(params: Params, stage: int, width: int) -> list[Layer]:
    """Returns the stage's convolutions on the way back, joined with the value that it saved on the way down."""
    if params.get("skips") == "concat":
        return [Join(f"stage {stage}", "concat"), *_convs(params, width)]
    first, *rest = (_conv(params, width) for _ in range(int(params["convs"])))
    skip = [Join(f"stage {stage}", "add")] if params.get("skips") == "add" else []
    return [*first, *skip, *(layer for conv in rest for layer in conv)]


def _flat(params: Params, frame: _Frame) -> list[Layer]:
    depth, width = int(params["depth"]), int(params["width"])
    dilations = [2 ** min(index, 4) if params.get("dilated") else 1 for index in range(depth)]
    layers = [layer for dilation in dilations for layer in _conv(params, width, dilation)]
    return [*layers, *_dropout(params), Conv(frame.output_shape[0], 3)]


def _dense(params: Params, frame: _Frame) -> list[Layer]:
    hidden = [int(params["hidden_units"])] * int(params["hidden_layers"]) if params["hidden_layers"] else []
    units = [*hidden, int(params["code_units"]), *hidden]
    inner = [layer for count in units for layer in (Dense(count), *_after(params))]
    return [Flatten(), *inner, *_dropout(params), Dense(math.prod(frame.output_shape)), Reshape(frame.output_shape)]


def _convs(params: Params, width: int, dilation: int = 1) -> list[Layer]:
    return [layer for _ in range(int(params["convs"])) for layer in _conv(params, width, dilation)]


def _conv(params: Params, width: int, dilation: int = 1) -> list[Layer]:
    kernel = int(params["kernel"])
    return [Conv(width, kernel, dilation=dilation, bias=not params["batch_norm"]), *_after(params)]


def _after(params: Params) -> list[Layer]:
    norm = [Norm()] if params["batch_norm"] else []
    return [*norm, Activation(params["activation"])]  # type: ignore[arg-type]


def _dropout(params: Params) -> list[Layer]:
    return [Dropout(float(params["dropout_rate"]))] if params["dropout"] else []
