"""Network: an architecture as a list of layers, with its shapes, parameters and MACs by arithmetic alone.

Every layer knows one rule, `cost(shape)`: what it makes of an input shape, and how many weights and
multiply-accumulates (MACs) that takes. `Network.trace()` folds the rules over the list; `trainables/build.py`
makes the module from the same list, and a property test holds the two equal.

Conventions. A shape is (channels, height, width) or (features,), without the batch. Parameters are weights, biases,
norm scales and shifts; running statistics are not counted. MACs are the multiplications of convolutions and dense
layers for one image; norms, activations and pooling count as none, as in the literature's tables.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

Shape = tuple[int, ...]
Padding = int | Literal["same", "valid"]
ActivationName = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid"]


class InvalidNetwork(ValueError):
    """A list of layers that cannot be built; the message names the layer and the reason."""


class Cost(NamedTuple):
    """What a layer makes of its input: the output's shape, and what it takes."""

    shape: Shape
    params: int = 0
    macs: int = 0
    frozen: int = 0
    """How many of the parameters are not trained."""


class Layer:
    """A step of a network: a small frozen record with one rule, `cost`."""

    kinds: ClassVar[dict[str, type[Layer]]] = {}

    def __init_subclass__(cls) -> None:
        Layer.kinds[cls.__name__] = cls

    def cost(self, shape: Shape) -> Cost:
        """The output shape, parameters and MACs for an input of `shape`. Raises InvalidNetwork."""
        raise NotImplementedError


@dataclass(frozen=True)
class Conv(Layer):
    """A 2-D convolution. 'same' gives ceil(size / stride) as Keras does, the odd pixel of padding after the image."""

    filters: int
    kernel: int
    _: dataclasses.KW_ONLY
    stride: int = 1
    padding: Padding = "same"
    dilation: int = 1
    bias: bool = True

    def cost(self, shape: Shape) -> Cost:
        channels, height, width = _image(shape, self)
        out = (self.filters, self._extent(height), self._extent(width))
        weights = channels * self.kernel**2 * self.filters
        return Cost(_nonempty(out, self), weights + self.bias * self.filters, weights * out[1] * out[2])

    def pads(self, size: int) -> tuple[int, int]:
        """Pixels added before and after a side of `size` pixels."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "same":
            total = max((math.ceil(size / self.stride) - 1) * self.stride + self._reach() - size, 0)
            return total // 2, total - total // 2
        return self.padding, self.padding

    def _extent(self, size: int) -> int:
        return (size + sum(self.pads(size)) - self._reach()) // self.stride + 1

    def _reach(self) -> int:
        return self.dilation * (self.kernel - 1) + 1


@dataclass(frozen=True)
class Pool(Layer):
    """Max or average pooling. `stride` is `size` unless given; `ceil` keeps a last, incomplete window."""

    kind: Literal["max", "average"]
    size: int = 2
    _: dataclasses.KW_ONLY
    stride: int | None = None
    padding: int = 0
    ceil: bool = False

    def cost(self, shape: Shape) -> Cost:
        channels, height, width = _image(shape, self)
        if self.padding > self.size // 2:
            raise InvalidNetwork(
                f"{self}: the padding must be at most half of the size, or a window could miss the image"
            )
        return Cost(_nonempty((channels, self._extent(height), self._extent(width)), self))

    def _extent(self, size: int) -> int:
        step, span = self.stride or self.size, size + 2 * self.padding - self.size
        if not self.ceil:
            return span // step + 1
        out = -(-span // step) + 1
        return out - ((out - 1) * step >= size + self.padding)  # the last window must start within the image


@dataclass(frozen=True)
class Standardize(Layer):
    """Shifts and scales pixels, from 0 to 1 as they come, by the data's mean and standard deviation."""

    mean: float
    std: float

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape)


@dataclass(frozen=True)
class Norm(Layer):
    """Batch normalization: a scale and a shift for each channel or feature."""

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape, 2 * shape[0])


@dataclass(frozen=True)
class Activation(Layer):
    name: ActivationName = "relu"

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape)


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each value to 0 with probability `rate` (0 to below 1) in training, and scales up the others."""

    rate: float

    def cost(self, shape: Shape) -> Cost:
        if not 0 <= self.rate < 1:
            raise InvalidNetwork(f"{self}: the rate must be at least 0 and below 1")
        return Cost(shape)


@dataclass(frozen=True)
class Upsample(Layer):
    """Repeats each pixel `factor` times in both directions."""

    factor: int = 2

    def cost(self, shape: Shape) -> Cost:
        channels, height, width = _image(shape, self)
        return Cost((channels, height * self.factor, width * self.factor))


@dataclass(frozen=True)
class Flatten(Layer):
    def cost(self, shape: Shape) -> Cost:
        return Cost((math.prod(shape),))


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The mean of each channel over the image."""

    def cost(self, shape: Shape) -> Cost:
        return Cost((_image(shape, self)[0],))


@dataclass(frozen=True)
class Dense(Layer):
    units: int
    _: dataclasses.KW_ONLY
    bias: bool = True

    def cost(self, shape: Shape) -> Cost:
        if len(shape) != 1:
            raise InvalidNetwork(
                f"{self} takes features, but gets an image of {shape}: put Flatten or GlobalPool before"
            )
        weights = shape[0] * self.units
        return Cost((self.units,), weights + self.bias * self.units, weights)


@dataclass(frozen=True)
class Save(Layer):
    """Keeps the value at this place under a name, for a Join further down."""

    name: str

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape)


@dataclass(frozen=True)
class Join(Layer):
    """Adds or concatenates (by channel) what was saved under `name`, passed through `projection` first."""

    name: str
    mode: Literal["add", "concat"] = "add"
    _: dataclasses.KW_ONLY
    projection: tuple[Layer, ...] = ()

    def cost_with(self, shape: Shape, saved: Shape) -> Cost:
        """As `cost`, given the shape of the saved value too."""
        steps = list(_fold(self.projection, saved))
        side = steps[-1].shape if steps else saved
        if side != shape if self.mode == "add" else side[1:] != shape[1:]:
            raise InvalidNetwork(f"Join({self.name!r}, {self.mode!r}): {side} does not fit {shape}")
        joined = shape if self.mode == "add" else (shape[0] + side[0], *shape[1:])
        return Cost(joined, *_totals(steps))


@dataclass(frozen=True)
class Backbone(Layer):
    """torchvision's convolutional part of a network, `resnet18` or `vgg16`, with its fixed weights if frozen.

    Its input has 3 channels. Its output is the last feature map, before torchvision's own pooling and head.
    """

    name: Literal["resnet18", "vgg16"]
    frozen: bool = True
    _: dataclasses.KW_ONLY
    weights: Literal["imagenet", "random"] = "imagenet"

    def cost(self, shape: Shape) -> Cost:
        if shape[0] != 3:
            raise InvalidNetwork(f"Backbone({self.name!r}) takes 3 channels, but gets {shape}")
        steps = list(_fold({"resnet18": resnet18_features, "vgg16": vgg16_features}[self.name](), shape))
        params, macs, _ = _totals(steps)
        return Cost(steps[-1].shape, params, macs, frozen=params if self.frozen else 0)


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
        return tuple(_fold(self.layers, self.input_shape))

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

    def to_json(self) -> dict[str, Any]:
        return {"input_shape": list(self.input_shape), "layers": [_layer_to_json(layer) for layer in self.layers]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Network:
        """The inverse of `to_json`. Raises ValueError for a layer that is not known."""
        return cls(tuple(value["input_shape"]), tuple(_layer_from_json(layer) for layer in value["layers"]))


def resnet18_features() -> tuple[Layer, ...]:
    """ResNet-18's layers before its pooling and head (He et al. 2016, table 1), as torchvision lays them out."""
    layers: list[Layer] = [Conv(64, 7, stride=2, padding=3, bias=False), Norm(), Activation()]
    layers.append(Pool("max", 3, stride=2, padding=1))
    channels = 64
    for filters in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and filters > 64 else 1
            layers += residual_block(f"{filters}.{block}", filters, stride=stride, project=channels != filters)
            channels = filters
    return tuple(layers)


def residual_block(name: str, filters: int, *, stride: int, project: bool) -> tuple[Layer, ...]:
    """Two 3x3 convolutions around a skip (He et al. 2016), which a strided 1x1 convolution fits if `project`."""
    projection = (Conv(filters, 1, stride=stride, padding=0, bias=False), Norm()) if project else ()
    return (
        Save(name),
        Conv(filters, 3, stride=stride, padding=1, bias=False),
        Norm(),
        Activation(),
        Conv(filters, 3, padding=1, bias=False),
        Norm(),
        Join(name, "add", projection=projection),
        Activation(),
    )


def vgg16_features() -> tuple[Layer, ...]:
    """VGG-16's convolutions and pooling (Simonyan & Zisserman 2015, configuration D)."""
    layers: list[Layer] = []
    for filters, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers += [layer for _ in range(convs) for layer in (Conv(filters, 3, padding=1), Activation())]
        layers.append(Pool("max", 2))
    return tuple(layers)


def _fold(layers: Iterable[Layer], shape: Shape) -> Iterator[Cost]:
    saved: dict[str, Shape] = {}
    for place, layer in enumerate(layers, 1):
        try:
            if isinstance(layer, Join):
                if layer.name not in saved:
                    raise InvalidNetwork(f"Join({layer.name!r}) finds nothing saved under this name")
                cost = layer.cost_with(shape, saved[layer.name])
            else:
                cost = layer.cost(shape)
        except InvalidNetwork as error:
            raise InvalidNetwork(f"layer {place}: {error}") from None
        shape = cost.shape
        if isinstance(layer, Save):
            saved[layer.name] = shape
        yield cost


def _totals(steps: list[Cost]) -> tuple[int, int, int]:
    """Parameters, MACs and frozen parameters."""
    return sum(step.params for step in steps), sum(step.macs for step in steps), sum(step.frozen for step in steps)


def _image(shape: Shape, layer: Layer) -> Shape:
    if len(shape) != 3:
        raise InvalidNetwork(f"{layer} takes an image, but gets {shape}")
    return shape


def _nonempty(shape: Shape, layer: Layer) -> Shape:
    if min(shape) < 1:
        raise InvalidNetwork(f"{layer} leaves nothing of the image: {shape}")
    return shape


def _layer_to_json(layer: Layer) -> dict[str, Any]:
    assert dataclasses.is_dataclass(layer)
    fields = {field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)}
    if isinstance(layer, Join):
        fields["projection"] = [_layer_to_json(step) for step in layer.projection]
    return {"layer": type(layer).__name__, **fields}


def _layer_from_json(value: dict[str, Any]) -> Layer:
    fields = dict(value)
    name = fields.pop("layer", None)
    if name not in Layer.kinds:
        raise ValueError(f"no layer is called {name!r}; there are {', '.join(Layer.kinds)}")
    if "projection" in fields:
        fields["projection"] = tuple(_layer_from_json(step) for step in fields["projection"])
    return Layer.kinds[name](**fields)
