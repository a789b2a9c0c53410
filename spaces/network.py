"""Network: an architecture as a list of layers, with its shapes, parameters and MACs by arithmetic alone.

`Network.trace()` applies the layers' rules in order; trainables/build.py makes the module from the same list, and a
property test compares the two. spaces/layers.py defines what counts as a parameter or MAC.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spaces.backbones import Backbone
from spaces.layers import Cost, Join, Layer, Save, Shape, fold
from spaces.own import Own


@dataclass(frozen=True)
class Network:
    """An architecture: the shape of one input, such as (channels, height, width), and the layers it passes through."""

    input_shape: Shape
    layers: tuple[Layer, ...]

    def trace(self) -> tuple[Cost, ...]:
        """Returns each layer's output shape, parameters and MACs, in order. Raises InvalidNetwork with the reason."""
        return self._trace

    @cached_property
    def _trace(self) -> tuple[Cost, ...]:
        return tuple(fold(self.layers, self.input_shape))

    @property
    def output_shape(self) -> Shape:
        return self._trace[-1].shape if self.layers else self.input_shape

    @property
    def num_params(self) -> int:
        """The number of weights, including frozen ones, without running statistics."""
        return sum(step.params for step in self._trace)

    @property
    def num_trainable(self) -> int:
        return sum(step.params - step.frozen for step in self._trace)

    @property
    def num_macs(self) -> int:
        """The multiply-accumulates of convolutions and dense layers for one input."""
        return sum(step.macs for step in self._trace)

    @property
    def num_fixed_layers(self) -> int:
        """The number of first layers, up to a frozen backbone, whose output stays the same throughout training."""
        for num_layers, layer in enumerate(self.layers, 1):
            if not layer.is_fixed:
                return 0
            if isinstance(layer, Backbone):  # less is not worth keeping
                return num_layers
        return 0

    @cached_property  # read for each trial whenever the tables are written
    def code_size(self) -> int:
        """The number of values at the narrowest point between input and output, with those that a Join carries past."""
        values = [math.prod(step.shape) + self._carried_past(place) for place, step in enumerate(self._trace)]
        return min([math.prod(self.input_shape), *values])

    def _carried_past(self, place: int) -> int:
        """Returns the number of values that are saved up to the layer at `place` and joined after it."""
        saved = {layer.name: before for before, layer in enumerate(self.layers[: place + 1]) if isinstance(layer, Save)}
        joined = {layer.name for layer in self.layers[place + 1 :] if isinstance(layer, Join)}
        # A value saved at this layer is its own output, which is counted already
        carried = [before for name, before in saved.items() if name in joined and before != place]
        return sum(math.prod(self._trace[before].shape) for before in carried)

    @property
    def takes_any_size(self) -> bool:
        """Whether the built network takes images of any size."""
        return all(layer.is_local for layer in self.layers)

    @property
    def has_own_module(self) -> bool:
        """Whether a layer is a module of the user's task, which only the task's code can make."""
        return any(isinstance(layer, Own) for layer in self.layers)

    def resized(self, *sizes: int) -> Network:
        """Returns the same layers for images of another height and width, or for signals of another length."""
        return Network((self.input_shape[0], *sizes), self.layers)

    def to_json(self) -> dict[str, Any]:
        return {"input_shape": list(self.input_shape), "layers": _to_json(self.layers)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Network:
        """Inverts `to_json`. Raises ValueError for an unknown kind of layer."""
        return cls(tuple(value["input_shape"]), tuple(_layer_from_json(layer) for layer in value["layers"]))


def short_number(value: int) -> str:
    """Returns a number with three digits and a unit, such as 1.23M."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return str(value)


def _to_json(value: Any) -> Any:
    """Returns layers as dicts and tuples as lists; other values stay as they are."""
    if isinstance(value, Layer):
        assert dataclasses.is_dataclass(value)
        fields = {field.name: _to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"layer": type(value).__name__, **fields}
    return [_to_json(part) for part in value] if isinstance(value, tuple) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return _layer_from_json(value)
    return tuple(_from_json(part) for part in value) if isinstance(value, list) else value


def _layer_from_json(value: dict[str, Any]) -> Layer:
    fields = dict(value)
    name = fields.pop("layer", None)
    if name not in Layer.kinds:
        raise ValueError(f"no layer is called {name!r}; there are {', '.join(Layer.kinds)}")
    return Layer.kinds[name](**{field: _from_json(part) for field, part in fields.items()})
