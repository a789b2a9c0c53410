"""Variants: a candidate with one choice changed everywhere in its network or recipe."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from spaces.layers import ActivationName, Layer, Norm
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, OptimizerName, Recipe, ScheduleName

POOLINGS = ("max", "average")
PADDINGS = ("same", "valid")

FIELDS = {
    "dropout": "rate",
    "pooling": "kind",
    "padding": "padding",
    "activation": "name",
    "kernel": "kernel",
    "widths": "filters",
}
"""The choices that layers declare as their `choices`, each with the field of the layer that holds it.

Layers with a kernel are convolutions: `batch_norm` puts a norm after each of them.
"""


def variant(candidate: Candidate, name: str, value: Any) -> Candidate:
    """Returns the candidate with the choice `name` set to `value` and nothing else changed.

    Choices of the network apply to all of its layers that have them: `dropout` (rate), `pooling` (max, average),
    `padding` (same, valid), `activation`, `kernel` (except 1x1), `batch_norm` (after each convolution, or nowhere) and
    `widths` (a list with the filters of each stage's convolutions; a stage ends with a pooling or a stride).
    Choices of the recipe are its fields and the strengths of its augmentation.
    Raises ValueError for an unknown name, an invalid value or a choice that the network does not have, and
    InvalidNetwork if the changed network cannot be built.
    """
    if name in _OF_NETWORK:
        layers = candidate.network.layers
        changed = _OF_NETWORK[name](layers, value)
        if changed == layers and not any(_has(layer, name) for layer in layers):
            raise ValueError(f"{name}: the network has no such layer, so there is nothing to vary")
        network = Network(candidate.network.input_shape, changed)
        network.trace()
        return replace(candidate, network=network)
    if name in _OF_RECIPE:
        return replace(candidate, recipe=_with_entry(candidate.recipe, name, value))
    raise ValueError(f"{name}: not a choice that can be varied here; expected one of {', '.join(names())}")


def names() -> list[str]:
    """Returns the names of all choices that `variant` can change."""
    return [*_OF_NETWORK, *_OF_RECIPE]


def _has(layer: Layer, name: str) -> bool:
    if name == "batch_norm":
        return isinstance(layer, Norm) or _is_convolution(layer)
    return name in layer.choices


def _is_convolution(layer: Layer) -> bool:
    return "kernel" in layer.choices


def _dropout(layers: Sequence[Layer], rate: Any) -> tuple[Layer, ...]:
    return _with_choice(layers, "dropout", _number("dropout", rate, 0.0, 0.99))


def _pooling(layers: Sequence[Layer], kind: Any) -> tuple[Layer, ...]:
    return _with_choice(layers, "pooling", _one_of("pooling", kind, POOLINGS))


def _padding(layers: Sequence[Layer], padding: Any) -> tuple[Layer, ...]:
    return _with_choice(layers, "padding", _one_of("padding", padding, PADDINGS))


def _activation(layers: Sequence[Layer], name: Any) -> tuple[Layer, ...]:
    """Leaves the last layer alone, since it determines the kind of output."""
    name = _one_of("activation", name, typing.get_args(ActivationName))
    return (*_with_choice(layers[:-1], "activation", name), layers[-1])


def _kernel(layers: Sequence[Layer], size: Any) -> tuple[Layer, ...]:
    size = int(_number("kernel", size, 1, 99))
    return tuple(
        _replaced(layer, "kernel", size) if _is_convolution(layer) and _value(layer, "kernel") != 1 else layer
        for layer in layers
    )


def _batch_norm(layers: Sequence[Layer], is_on: Any) -> tuple[Layer, ...]:
    if not isinstance(is_on, bool):
        raise ValueError(f"batch_norm={is_on}: expected true or false")
    bare = [layer for layer in layers if not isinstance(layer, Norm)]
    return tuple(each for layer in bare for each in ([layer, Norm()] if is_on and _is_convolution(layer) else [layer]))


def _widths(layers: Sequence[Layer], widths: Any) -> tuple[Layer, ...]:
    stages = list(_stages(layers))
    num_stages = 1 + max(
        (stage for layer, stage in zip(layers, stages, strict=True) if "widths" in layer.choices), default=-1
    )
    if not isinstance(widths, list | tuple) or len(widths) != num_stages:
        raise ValueError(f"widths={widths}: expected a list of {num_stages} numbers, one for each stage of the network")
    filters = [int(_number("widths", width, 1, 4096)) for width in widths]
    return tuple(
        _replaced(layer, "widths", filters[stage]) if "widths" in layer.choices else layer
        for layer, stage in zip(layers, stages, strict=True)
    )


def _stages(layers: Sequence[Layer]) -> Iterator[int]:
    """Yields the stage of each layer, counted from 0. A layer that makes the image smaller is its stage's last."""
    stage = 0
    for layer in layers:
        yield stage
        stage += layer.ends_stage


def _with_choice(layers: Sequence[Layer], name: str, value: Any) -> tuple[Layer, ...]:
    return tuple(_replaced(layer, name, value) if name in layer.choices else layer for layer in layers)


def _replaced(layer: Layer, name: str, value: Any) -> Layer:
    _value(layer, name)
    return replace(layer, **{FIELDS[name]: value})  # type: ignore[type-var]


def _value(layer: Layer, name: str) -> Any:
    if not hasattr(layer, FIELDS[name]):
        kind = type(layer).__name__
        raise TypeError(
            f"layer {kind}: has the choice {name!r} but no field {FIELDS[name]!r} (FIELDS in spaces/variants.py)"
        )
    return getattr(layer, FIELDS[name])


_OF_NETWORK: dict[str, Callable[[Sequence[Layer], Any], tuple[Layer, ...]]] = {
    "dropout": _dropout,
    "pooling": _pooling,
    "padding": _padding,
    "activation": _activation,
    "kernel": _kernel,
    "batch_norm": _batch_norm,
    "widths": _widths,
}
_STRENGTHS = [field.name for field in dataclasses.fields(Augmentation)]
_OF_RECIPE = [field.name for field in dataclasses.fields(Recipe) if field.name != "augmentation"] + _STRENGTHS
_CATEGORIES = {"optimizer": typing.get_args(OptimizerName), "schedule": typing.get_args(ScheduleName)}
_OPTIONAL = ("ema_decay", "patience")
_INTEGERS = ("batch_size", "patience")


def _with_entry(recipe: Recipe, name: str, value: Any) -> Recipe:
    if name in _CATEGORIES:
        return replace(recipe, **{name: _one_of(name, value, _CATEGORIES[name])})
    if value is not None or name not in _OPTIONAL:
        value = _number(name, value, 1 if name in _INTEGERS else 0.0, float("inf"))
        value = int(value) if name in _INTEGERS else value
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
