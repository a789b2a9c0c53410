"""Network: an architecture as a list of layers, with its shapes, parameters and MACs by arithmetic alone.

`Network.trace()` folds the layers' rules over the list; `trainables/build.py` makes the module from the same list, and
a property test holds the two equal. What counts as a parameter or MAC, spaces/layers.py says.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spaces.backbones import Backbone
from spaces.layers import Cost, Join, Layer, Pool, Repeat, Reshape, Save, Shape, Standardize, Upsample, fold


@dataclass(frozen=True)
class Network:
    """An architecture: the shape of one input, (channels, height, width), and the layers it passes through."""

    input_shape: Shape
    layers: tuple[Layer, ...]

    def trace(self) -> tuple[Cost, ...]:
        """Each layer's output shape, parameters and MACs, in order. Raises InvalidNetwork with the reason."""
        return self._trace

    @cached_property
    def _trace(self) -> tuple[Cost, ...]:
        return tuple(fold(self.layers, self.input_shape))

    @property
    def output_shape(self) -> Shape:
        return self._trace[-1].shape if self.layers else self.input_shape

    @property
    def num_params(self) -> int:
        """Every weight that the network needs, frozen ones too; running statistics are not counted."""
        return sum(step.params for step in self._trace)

    @property
    def num_trainable(self) -> int:
        return sum(step.params - step.frozen for step in self._trace)

    @property
    def num_macs(self) -> int:
        """Multiply-accumulates of convolutions and dense layers for one input."""
        return sum(step.macs for step in self._trace)

    @property
    def num_fixed_layers(self) -> int:
        """How many of the first layers give the same for an image all through training: up to a frozen backbone."""
        for place, layer in enumerate(self.layers, 1):
            if isinstance(layer, Backbone):
                return place if layer.frozen else 0
            if not isinstance(layer, Standardize | Upsample | Repeat | Pool):
                return 0
        return 0

    @cached_property  # asked for each trial whenever the tables are written
    def code_size(self) -> int:
        """Values at the narrowest place, from input to output, those included that a Join takes past it."""
        values = [math.prod(step.shape) + self._carried_past(place) for place, step in enumerate(self._trace)]
        return min([math.prod(self.input_shape), *values])

    def _carried_past(self, place: int) -> int:
        """Values that were saved up to a layer, and are joined after it."""
        saved = {layer.name: before for before, layer in enumerate(self.layers[: place + 1]) if isinstance(layer, Save)}
        joined = {layer.name for layer in self.layers[place + 1 :] if isinstance(layer, Join)}
        # What is saved right here is the layer's own output, which is counted already
        carried = [before for name, before in saved.items() if name in joined and before != place]
        return sum(math.prod(self._trace[before].shape) for before in carried)

    @property
    def takes_any_size(self) -> bool:
        """Whether the layers, as they are built, take images of any size: what they do is the same at every place."""
        return all(layer.is_local for layer in self.layers)

    def resized(self, height: int, width: int) -> Network:
        """The same layers for images of another size."""
        return Network((self.input_shape[0], height, width), self.layers)

    def to_json(self) -> dict[str, Any]:
        return {"input_shape": list(self.input_shape), "layers": [_layer_to_json(layer) for layer in self.layers]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Network:
        """The inverse of `to_json`. Raises ValueError for a layer that is not known."""
        return cls(tuple(value["input_shape"]), tuple(_layer_from_json(layer) for layer in value["layers"]))


def short_number(value: int) -> str:
    """1,234,567 as 1.23M."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return str(value)


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    assert dataclasses.is_dataclass(layer)
    fields = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
    if isinstance(layer, Reshape):
        fields["shape"] = list(layer.shape)
    if isinstance(layer, Join):
        fields["projection"] = [_layer_to_json(step) for step in layer.projection]
    return {"layer": type(layer).__name__, **fields}


def _layer_from_json(value: dict[str, Any]) -> Layer:
    fields = dict(value)
    name = fields.pop("layer", None)
    if name not in Layer.kinds:
        raise ValueError(f"no layer is called {name!r}; there are {', '.join(Layer.kinds)}")
    if "shape" in fields:
        fields["shape"] = tuple(fields["shape"])
    if "projection" in fields:
        fields["projection"] = tuple(_layer_from_json(step) for step in fields["projection"])
    return Layer.kinds[name](**fields)
