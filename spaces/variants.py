"""Variants: a candidate with one choice changed, wherever in its network or recipe that choice is made."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from spaces.layers import Activation, ActivationName, Conv, Dropout, Layer, Norm, Pool
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, OptimizerName, Recipe, ScheduleName

POOLINGS = ("max", "average")
PADDINGS = ("same", "valid")


def variant(candidate: Candidate, name: str, value: Any) -> Candidate:
    """The candidate with this choice made as `value` says, and nothing else changed.

    Of the network, for all of its layers of that kind: `dropout` (rate), `pooling` (max, average), `padding` (same,
    valid), `activation`, `kernel` (of convolutions beyond 1x1), `batch_norm` (after each convolution, or nowhere) and
    `widths` (filters of the convolutions of each stage, a number a stage; a stage ends with a pooling or a stride).
    Of the recipe: each of its fields, and each strength of its augmentation.
    Raises ValueError for another name, a value of another kind, or a choice that the network does not have;
    InvalidNetwork if what comes out cannot be built.
    """
    if name in _OF_NETWORK:
        _check_known(candidate.network.layers, name)
        layers = _OF_NETWORK[name](candidate.network.layers, value)
        if layers == candidate.network.layers and not any(name in layer.choices for layer in layers):
            raise ValueError(f"{name}: the network has no such layer, so there is nothing to vary")
        network = Network(candidate.network.input_shape, layers)
        network.trace()
        return replace(candidate, network=network)
    if name in _OF_RECIPE:
        return replace(candidate, recipe=_with_entry(candidate.recipe, name, value))
    raise ValueError(f"{name}: not a choice that can be varied here; there are {', '.join(names())}")


def names() -> list[str]:
    """The choices that any candidate may be varied by."""
    return [*_OF_NETWORK, *_OF_RECIPE]


def _dropout(layers: Sequence[Layer], rate: Any) -> tuple[Layer, ...]:
    rate = _number("dropout", rate, 0.0, 0.99)
    return _changed(layers, Dropout, lambda layer: Dropout(rate))


def _pooling(layers: Sequence[Layer], kind: Any) -> tuple[Layer, ...]:
    kind = _one_of("pooling", kind, POOLINGS)
    return _changed(layers, Pool, lambda layer: replace(layer, kind=kind))


def _padding(layers: Sequence[Layer], padding: Any) -> tuple[Layer, ...]:
    padding = _one_of("padding", padding, PADDINGS)
    return _changed(layers, Conv, lambda layer: replace(layer, padding=padding))


def _activation(layers: Sequence[Layer], name: Any) -> tuple[Layer, ...]:
    """Without the last layer's, which says what kind of output there is."""
    name = _one_of("activation", name, typing.get_args(ActivationName))
    return (*_changed(layers[:-1], Activation, lambda layer: replace(layer, name=name)), layers[-1])


def _kernel(layers: Sequence[Layer], size: Any) -> tuple[Layer, ...]:
    size = int(_number("kernel", size, 1, 99))
    return _changed(layers, Conv, lambda layer: layer if layer.kernel == 1 else replace(layer, kernel=size))


def _batch_norm(layers: Sequence[Layer], is_on: Any) -> tuple[Layer, ...]:
    if not isinstance(is_on, bool):
        raise ValueError(f"batch_norm={is_on}: expected true or false")
    bare = [layer for layer in layers if not isinstance(layer, Norm)]
    return tuple(each for layer in bare for each in ([layer, Norm()] if is_on and isinstance(layer, Conv) else [layer]))


def _widths(layers: Sequence[Layer], widths: Any) -> tuple[Layer, ...]:
    stages = list(_stages(layers))
    num_stages = 1 + max(
        (stage for layer, stage in zip(layers, stages, strict=True) if isinstance(layer, Conv)), default=-1
    )
    if not isinstance(widths, list | tuple) or len(widths) != num_stages:
        raise ValueError(f"widths={widths}: expected a list of {num_stages} numbers, one for each stage of the network")
    filters = [int(_number("widths", width, 1, 4096)) for width in widths]
    return tuple(
        replace(layer, filters=filters[stage]) if isinstance(layer, Conv) else layer
        for layer, stage in zip(layers, stages, strict=True)
    )


def _stages(layers: Sequence[Layer]) -> Iterator[int]:
    """The stage that each layer belongs to, from 0; what makes the image smaller is its stage's last."""
    stage = 0
    for layer in layers:
        yield stage
        stage += isinstance(layer, Pool) or (isinstance(layer, Conv) and layer.stride > 1)


def _changed(layers: Sequence[Layer], kind: type[Any], change: Callable[[Any], Layer]) -> tuple[Layer, ...]:
    return tuple(change(layer) if isinstance(layer, kind) else layer for layer in layers)


def _check_known(layers: Sequence[Layer], name: str) -> None:
    """Raises TypeError for a layer that has a choice by what it says of itself, and would be passed over here."""
    for layer in layers:
        if name in layer.choices and not isinstance(layer, KINDS[name]):
            raise TypeError(f"{name}: {type(layer).__name__} has this choice, and spaces/variants.py cannot make it")


_OF_NETWORK: dict[str, Callable[[Sequence[Layer], Any], tuple[Layer, ...]]] = {
    "dropout": _dropout,
    "pooling": _pooling,
    "padding": _padding,
    "activation": _activation,
    "kernel": _kernel,
    "batch_norm": _batch_norm,
    "widths": _widths,
}
KINDS: dict[str, tuple[type[Layer], ...]] = {
    "dropout": (Dropout,),
    "pooling": (Pool,),
    "padding": (Conv,),
    "activation": (Activation,),
    "kernel": (Conv,),
    "batch_norm": (Conv, Norm),
    "widths": (Conv,),
}
"""The layers that each choice of a network is made in."""
_STRENGTHS = [field.name for field in dataclasses.fields(Augmentation)]
_OF_RECIPE = [field.name for field in dataclasses.fields(Recipe) if field.name != "augmentation"] + _STRENGTHS
_WORDS = {"optimizer": typing.get_args(OptimizerName), "schedule": typing.get_args(ScheduleName)}
_MAY_BE_NONE = ("ema_decay", "patience")
_WHOLE = ("batch_size", "patience")


def _with_entry(recipe: Recipe, name: str, value: Any) -> Recipe:
    if name in _WORDS:
        return replace(recipe, **{name: _one_of(name, value, _WORDS[name])})
    if value is not None or name not in _MAY_BE_NONE:
        value = _number(name, value, 1 if name in _WHOLE else 0.0, float("inf"))
        value = int(value) if name in _WHOLE else value
    if name in _STRENGTHS:
        return replace(recipe, augmentation=replace(recipe.augmentation, **{name: value}))
    return replace(recipe, **{name: value})


def _one_of(name: str, value: Any, known: Sequence[str]) -> Any:
    if value not in known:
        raise ValueError(f"{name}={value}: expected one of {', '.join(known)}")
    return value


def _number(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        above = f"from {low:g}" + (f" to {high:g}" if high < float("inf") else " up")
        raise ValueError(f"{name}={value}: expected a number {above}")
    return float(value)
