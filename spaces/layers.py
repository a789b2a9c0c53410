"""Layers: the steps that networks are made of, each with its output's shape, parameters and MACs by arithmetic alone.

Every layer has one rule, `cost(shape)`, which computes its output shape, its weights and its multiply-accumulates
(MACs) from its input shape. `fold` applies the rules in order.

A shape is (channels, height, width) of an image, (channels, length) of a signal, or (features,), without the batch.
Layers of images do the same to signals, along their length. Parameters are weights, biases, norm scales and shifts;
running statistics are not counted. MACs are the multiplications of convolutions and dense layers for one input; norms,
activations and pooling count as none, as in the literature's tables.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

Shape = tuple[int, ...]
Padding = int | Literal["same", "valid"]
ActivationName = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid"]


class InvalidNetwork(ValueError):
    """Raised for a list of layers that cannot be built. The message names the layer and the reason."""


class Cost(NamedTuple):
    """A layer's output shape, and what it costs to compute."""

    shape: Shape
    params: int = 0
    macs: int = 0
    frozen: int = 0
    """The number of parameters that are not trained."""


DECLARATIONS = ("is_local", "is_fixed", "ends_stage", "choices")


class Layer:
    """A step of a network: a small frozen dataclass with one rule, `cost`, or `cost_with` if it `needs` a saved value.

    Each kind must declare the attributes below; a kind that omits one cannot be defined. It also needs a builder in
    trainables/build.py, an example in tests/contracts/test_kinds.py and a strategy in tests/spaces/strategies.py.
    """

    kinds: ClassVar[dict[str, type[Layer]]] = {}
    needs: str | None = None
    """The name of the Save above whose value this layer takes besides its input."""
    is_local: bool
    """Whether the built layer takes images or signals of any size."""
    is_fixed: bool
    """Whether its output for an image stays the same throughout training, so that it can be computed once."""
    ends_stage: bool
    """Whether it makes the image smaller, and so ends a stage of the network."""
    choices: ClassVar[tuple[str, ...]]
    """The keys of FIELDS in spaces/variants.py that this layer has: what an ablation varies in it."""

    def __init_subclass__(cls) -> None:
        for name in DECLARATIONS:
            if name not in vars(cls):
                raise TypeError(f"layer {cls.__name__}: declare `{name}`, which spaces/layers.py explains in Layer")
        if cls.cost is Layer.cost and cls.cost_with is Layer.cost_with:
            raise TypeError(f"layer {cls.__name__}: define its rule, `cost` or `cost_with`")
        Layer.kinds[cls.__name__] = cls

    def cost(self, shape: Shape) -> Cost:
        """Returns the output shape, parameters and MACs for an input of `shape`. Raises InvalidNetwork."""
        raise NotImplementedError

    def cost_with(self, shape: Shape, saved: Shape) -> Cost:
        """Returns the same as `cost`, for an input of `shape` and a saved value of shape `saved`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Conv(Layer):
    """A convolution over both sides of an image, or along a signal, which keeps its size by default.

    The padding 'same' gives ceil(size / stride), and puts the odd pixel after the image; 'valid' adds no pixels, and a
    number adds this many before and after.
    """

    filters: int
    kernel: int
    _: dataclasses.KW_ONLY
    stride: int = 1
    padding: Padding = "same"
    dilation: int = 1
    bias: bool = True

    is_fixed = False
    choices = ("padding", "kernel", "widths")

    @property
    def is_local(self) -> bool:  # type: ignore[override]
        """False if 'same' padding has a stride: the padding then depends on the image's size."""
        return self.stride == 1 or self.padding != "same"

    @property
    def ends_stage(self) -> bool:  # type: ignore[override]
        return self.stride > 1

    def cost(self, shape: Shape) -> Cost:
        channels, *sizes = _image(shape, self)
        out = (self.filters, *(self._extent(size) for size in sizes))
        weights = channels * self.kernel ** len(sizes) * self.filters
        return Cost(_nonempty(out, self), weights + self.bias * self.filters, weights * math.prod(out[1:]))

    def pads(self, size: int) -> tuple[int, int]:
        """Returns the pixels added before and after a side of `size` pixels."""
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
    """Takes the maximum or the average of each window of `size` x `size` pixels, or of `size` values of a signal.

    `stride` is `size` unless given, so a size of 2 halves the image; `ceil` keeps a last, incomplete window.
    """

    kind: Literal["max", "average"]
    size: int = 2
    _: dataclasses.KW_ONLY
    stride: int | None = None
    padding: int = 0
    ceil: bool = False

    is_local = True
    is_fixed = True
    ends_stage = True
    choices = ("pooling",)

    def cost(self, shape: Shape) -> Cost:
        channels, *sizes = _image(shape, self)
        if self.padding > self.size // 2:
            raise InvalidNetwork(
                f"{self}: the padding must be at most half of the size, or a window could miss the image"
            )
        return Cost(_nonempty((channels, *(self._extent(size) for size in sizes)), self))

    def _extent(self, size: int) -> int:
        step, span = self.stride or self.size, size + 2 * self.padding - self.size
        if not self.ceil:
            return span // step + 1
        out = -(-span // step) + 1
        return out - ((out - 1) * step >= size + self.padding)  # the last window must start within the image


@dataclass(frozen=True)
class Scaling:
    """The numbers of a layer that scales: each is one number, or one for each channel or feature.

    An array becomes a tuple, and NumPy's numbers become floats, which JSON can hold.
    """

    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]

    def __post_init__(self) -> None:
        for name, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, Iterable):
                object.__setattr__(self, name, tuple(float(each) for each in value))
            elif not isinstance(value, int | float):
                object.__setattr__(self, name, float(value))

    def cost(self, shape: Shape) -> Cost:
        for name, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) != shape[0]:
                kind = type(self).__name__
                raise InvalidNetwork(
                    f"{kind}: {name} has {len(value)} values, but the input {shape} has {shape[0]} channels"
                )
        return Cost(shape)


@dataclass(frozen=True)
class Standardize(Scaling, Layer):
    """Subtracts `mean` and divides by `std`: numbers, or one for each channel or feature."""

    is_local = True
    is_fixed = True
    ends_stage = False
    choices = ()


@dataclass(frozen=True)
class Rescale(Scaling, Layer):
    """Multiplies by `std` and adds `mean`, in float32: turns outputs into the targets' unit."""

    is_local = True
    is_fixed = True
    ends_stage = False
    choices = ()


@dataclass(frozen=True)
class Norm(Layer):
    """Batch normalization: a scale and a shift for each channel or feature."""

    is_local = True
    is_fixed = False
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape, 2 * shape[0])


@dataclass(frozen=True)
class Activation(Layer):
    """A nonlinearity, applied to each value."""

    name: ActivationName = "relu"

    is_local = True
    is_fixed = False
    ends_stage = False
    choices = ("activation",)

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape)


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each value to 0 with probability `rate` (0 to below 1) in training, and scales up the others."""

    rate: float

    is_local = True
    is_fixed = False
    ends_stage = False
    choices = ("dropout",)

    def cost(self, shape: Shape) -> Cost:
        if not 0 <= self.rate < 1:
            raise InvalidNetwork(f"{self}: the rate must be at least 0 and below 1")
        return Cost(shape)


@dataclass(frozen=True)
class Upsample(Layer):
    """Repeats each pixel `factor` times in both directions, or each value of a signal.

    `like` names a saved image; the result is cut to its size. This undoes a pooling with `ceil` of an odd size.
    """

    factor: int = 2
    like: str | None = None

    is_local = True
    is_fixed = True
    ends_stage = False
    choices = ()

    @property
    def needs(self) -> str | None:  # type: ignore[override]
        return self.like

    def cost(self, shape: Shape) -> Cost:
        channels, *sizes = _image(shape, self)
        return Cost(_nonempty((channels, *(size * self.factor for size in sizes)), self))

    def cost_with(self, shape: Shape, saved: Shape) -> Cost:
        channels, *sizes = self.cost(shape).shape
        _, *like = _image(saved, self)
        if len(sizes) != len(like) or not all(
            0 <= size - cut < self.factor for size, cut in zip(sizes, like, strict=True)
        ):
            raise InvalidNetwork(f"{self}: {_by(sizes)} cannot be cut to {_by(like)}")
        return Cost((channels, *like))


@dataclass(frozen=True)
class Repeat(Layer):
    """Repeats the channels `times` times, for example to pass a grey image to a network for three colours."""

    times: int

    is_local = True
    is_fixed = True
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        channels, *sizes = _image(shape, self)
        return Cost(_nonempty((channels * self.times, *sizes), self))


@dataclass(frozen=True)
class Flatten(Layer):
    """Turns an image or a signal into features, channel by channel: (C, H, W) into (C * H * W,)."""

    is_local = False
    is_fixed = False
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        return Cost((math.prod(shape),))


@dataclass(frozen=True)
class Reshape(Layer):
    """Turns features into an image or a signal of `shape`."""

    shape: Shape

    is_local = False
    is_fixed = False
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        if len(shape) != 1 or math.prod(self.shape) != shape[0]:
            raise InvalidNetwork(f"{self} takes {math.prod(self.shape)} features, but gets {shape}")
        return Cost(_nonempty(self.shape, self))


@dataclass(frozen=True)
class GlobalPool(Layer):
    """Averages each channel over the image or signal: (C, H, W) into (C,)."""

    is_local = False
    is_fixed = False
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        return Cost((_image(shape, self)[0],))


@dataclass(frozen=True)
class Dense(Layer):
    """A fully connected layer from features to `units` features; an image needs Flatten or GlobalPool before it."""

    units: int
    _: dataclasses.KW_ONLY
    bias: bool = True

    is_local = False
    is_fixed = False
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        if len(shape) != 1:
            raise InvalidNetwork(
                f"{self} takes features, but gets an image of {shape}: put Flatten or GlobalPool before"
            )
        weights = shape[0] * self.units
        return Cost((self.units,), weights + self.bias * self.units, weights)


@dataclass(frozen=True)
class Save(Layer):
    """Saves the current value under a name, for a Join or an Upsample further down. Passes it on unchanged."""

    name: str

    is_local = True
    is_fixed = False
    ends_stage = False
    choices = ()

    def cost(self, shape: Shape) -> Cost:
        return Cost(shape)


@dataclass(frozen=True)
class Join(Layer):
    """Adds or concatenates (by channel) the value saved under `name`, after passing it through `projection`.

    To be added, both must have one shape: `projection` is a tuple of layers that may change the saved value's.
    """

    name: str
    mode: Literal["add", "concat"] = "add"
    _: dataclasses.KW_ONLY
    projection: tuple[Layer, ...] = ()

    is_fixed = False
    ends_stage = False
    choices = ()

    @property
    def is_local(self) -> bool:  # type: ignore[override]
        return all(step.is_local for step in self.projection)

    @property
    def needs(self) -> str | None:  # type: ignore[override]
        return self.name

    def cost_with(self, shape: Shape, saved: Shape) -> Cost:
        steps = list(fold(self.projection, saved))
        side = steps[-1].shape if steps else saved
        if side != shape if self.mode == "add" else side[1:] != shape[1:]:
            raise InvalidNetwork(f"Join({self.name!r}, {self.mode!r}): {side} does not fit {shape}")
        joined = shape if self.mode == "add" else (shape[0] + side[0], *shape[1:])
        return Cost(joined, *totals(steps))


def fold(layers: Iterable[Layer], shape: Shape) -> Iterator[Cost]:
    """Yields each layer's cost in order, from an input of `shape`. Raises InvalidNetwork."""
    saved: dict[str, Shape] = {}
    for place, layer in enumerate(layers, 1):
        try:
            if layer.needs is None:
                cost = layer.cost(shape)
            elif layer.needs in saved:
                cost = layer.cost_with(shape, saved[layer.needs])
            else:
                raise InvalidNetwork(f"{type(layer).__name__}({layer.needs!r}) finds nothing saved under this name")
        except InvalidNetwork as error:
            raise InvalidNetwork(f"layer {place}: {error}") from None
        shape = cost.shape
        if isinstance(layer, Save):
            saved[layer.name] = shape
        yield cost


def totals(steps: list[Cost]) -> tuple[int, int, int]:
    """Returns the sums of parameters, MACs and frozen parameters."""
    return sum(step.params for step in steps), sum(step.macs for step in steps), sum(step.frozen for step in steps)


def _image(shape: Shape, layer: Layer) -> Shape:
    if len(shape) not in (2, 3):
        raise InvalidNetwork(
            f"{layer} takes an image, but gets {shape}; it needs (channels, height, width) or (channels, length)"
        )
    return shape


def _nonempty(shape: Shape, layer: Layer) -> Shape:
    if min(shape) < 1:
        raise InvalidNetwork(f"{layer} leaves nothing of the image: {shape}")
    return shape


def _by(sizes: Iterable[int]) -> str:
    return "x".join(str(size) for size in sizes)
