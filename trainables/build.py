"""Builds the PyTorch module of a Network, layer by layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from data.download import DownloadFailed, probe
from spaces.backbones import Backbone, WeightsUnavailable
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
    Repeat,
    Rescale,
    Reshape,
    Save,
    Scaling,
    Shape,
    Standardize,
    Upsample,
)
from spaces.network import Network
from spaces.own import Own
from trainables.few_channels import AvgPool2x2, BatchNorm2d, ChannelsLastGradient, MaxPool2x2
from trainables.own_module import Makers, OwnModule
from trainables.task_code import TaskCode


class Sigmoid(nn.Module):
    """A sigmoid in float32, whatever the precision of its input: bfloat16 has no number between 0.996 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x.float())


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": Sigmoid,
}

MONOTONIC = (nn.ReLU, nn.LeakyReLU, nn.ELU, Sigmoid)
"""The activations that never fall."""


def build(network: Network, seed: int = 0, device: torch.device | str = "cpu", code: TaskCode | None = None) -> Module:
    """Returns the module of a network, with weights drawn from `seed` alone, on the CPU, so that all devices agree.

    Weights are initialized with Keras' default, Glorot uniform (Glorot & Bengio 2010, eq. 16) and zero biases, as the
    published networks were. An Own layer is made by the task's `code`, and initialized by itself. On the device `meta`
    nothing is allocated or drawn, except for Own layers, which are on the CPU then.

    Raises WeightsUnavailable if a backbone's weights cannot be downloaded, TypeError for a kind of layer without a
    builder, ValueError for an Own layer without `code`, and TaskFileError for an error in the code.
    """
    device = torch.device(device)
    weights_seed, dropout_seed = (int(word) for word in np.random.SeedSequence(seed).generate_state(2, np.uint64))
    generator = torch.Generator("cpu" if device.type == "meta" else device).manual_seed(dropout_seed)
    with torch.device("meta"):
        module = Module(network, generator, Makers(code, seed))
    if device.type != "meta":
        undefined = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_meta}
        module.load_state_dict(
            {name: _empty_like(tensor) for name, tensor in undefined.items()}, strict=False, assign=True
        )
        _initialize(module, torch.Generator().manual_seed(weights_seed))
        _load_pretrained(module)
        module.to(device)
    return module


def _empty_like(tensor: Tensor) -> Tensor:
    """Returns memory for a tensor on `meta`. torch's own `to_empty` imports SymPy, which takes half a second."""
    return torch.empty(tensor.shape, dtype=tensor.dtype)


class Module(nn.Module):
    """The layers of a network in order, with the values that a Save keeps for later layers.

    The input is [N, *network.input_shape], the output [N, *network.output_shape]. Dropout draws from `generator`, which
    is on the module's device. `memory_format` is that of images: a user's module may rely on contiguous ones.
    """

    def __init__(self, network: Network, generator: torch.Generator, makers: Makers) -> None:
        super().__init__()
        self.generator = generator
        self.memory_format = torch.contiguous_format if network.has_own_module else torch.channels_last
        shapes = [network.input_shape, *(step.shape for step in network.trace())]
        self.layers = nn.ModuleList(_modules(network.layers, shapes, generator, makers))

    def forward(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Applies the layers from `start` to before `stop`."""
        saved: dict[str, Tensor] = {}
        for layer in itertools.islice(self.layers, start, stop):
            match layer:
                case _Save():
                    saved[layer.name] = x
                case _WithSaved():
                    x = layer(x, saved[layer.name])
                case _:
                    x = layer(x)
        return x


class _Save(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _WithSaved(nn.Module):
    """The module of a layer that `needs` the value saved under `name`: called with its input and that value."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _Join(_WithSaved):
    def __init__(self, join: Join, saved: Shape, generator: torch.Generator, makers: Makers) -> None:
        super().__init__(join.name)
        self.mode = join.mode
        self.projection = Module(Network(saved, join.projection), generator, makers)

    def forward(self, x: Tensor, saved: Tensor) -> Tensor:
        side = self.projection(saved)
        return x + side if self.mode == "add" else torch.cat([x, side], dim=1)


class _UpsampleLike(_WithSaved):
    """Upsamples, and cuts the result to the size of the saved value."""

    def __init__(self, factor: int, name: str) -> None:
        super().__init__(name)
        self.upsample = nn.Upsample(scale_factor=factor)

    def forward(self, x: Tensor, saved: Tensor) -> Tensor:
        return self.upsample(x)[(..., *(slice(size) for size in saved.shape[2:]))]


class _Repeat(nn.Module):
    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat(1, self.times, *[1] * (x.dim() - 2))


class _Dropout(nn.Module):
    """Dropout with its own generator; torch's draws from the global one, which trials would share."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate, self.generator = rate, generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        # 0 or 1 as int16, which converts to float faster than bool does
        kept = self._uniform_int16(x).ge_(round(self.rate * 2**16) - 2**15)
        return x * kept.to(x.dtype).div_(1 - self.rate)

    def _uniform_int16(self, x: Tensor) -> Tensor:
        """Draws 16 random bits for each value, four values at a time: ten times as fast as `bernoulli_` on a CPU."""
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        return words.view(torch.int16)[: x.numel()].view(x.shape)


class _Scaled(nn.Module):
    """Holds a mean and a standard deviation: numbers, or buffers with one number for each channel."""

    mean: Tensor | float
    std: Tensor | float

    def __init__(self, layer: Scaling, shape: Shape) -> None:
        super().__init__()
        self.layer, self.rank = layer, len(shape)
        self.reset_buffers()

    def reset_buffers(self) -> None:
        for name, value in (("mean", self.layer.mean), ("std", self.layer.std)):
            if isinstance(value, tuple):
                self.register_buffer(name, torch.tensor(value, dtype=torch.float32).view(-1, *[1] * (self.rank - 1)))
            else:
                setattr(self, name, value)


class _Standardize(_Scaled):
    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean).div_(self.std)


class _Rescale(_Scaled):
    """Computes in float32, whatever the precision of its input: bfloat16 has 8 bits for the targets' units."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float() * self.std + self.mean


class _PaddedConv(nn.Module):
    """A convolution whose padding differs before and after the image, which torch's own do not support."""

    def __init__(self, conv: nn.Module, pads: tuple[int, ...]) -> None:
        super().__init__()
        self.conv, self.pads = conv, pads

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.pad(x, self.pads))


class _DilatedConv(nn.Module):
    """A dilated convolution, in float32 on a CPU even under autocast.

    The backward pass of oneDNN (PyTorch 2.15) ends the process with a segmentation fault for bfloat16, channels last,
    if the channels are not a multiple of 16 and the taps are 8 or more pixels apart.
    """

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return self.conv(x)
        with torch.autocast("cpu", enabled=False):
            return self.conv(x.float())


def _modules(
    layers: Iterable[Layer], shapes: list[Shape], generator: torch.Generator, makers: Makers
) -> list[nn.Module]:
    saved: dict[str, Shape] = {}
    modules: list[nn.Module] = []
    for layer, shape in zip(layers, shapes, strict=False):
        if isinstance(layer, Save):
            saved[layer.name] = shape
        if isinstance(layer, Join):
            modules.append(_Join(layer, saved[layer.name], generator, makers))
        elif isinstance(layer, Own):
            modules.append(makers.make(layer))
        else:
            modules.append(_built(layer, shape, generator))
    return _pool_before_activating(modules)


def _built(layer: Layer, shape: Shape, generator: torch.Generator) -> nn.Module:
    kind = type(layer)
    if kind not in _BUILDERS:
        raise TypeError(f"layer {kind.__name__}: add its builder to _BUILDERS in trainables/build.py")
    module = _BUILDERS[kind](layer, shape, generator)
    if (layer.needs is not None) != isinstance(module, _WithSaved):
        raise TypeError(f"layer {kind.__name__}: `needs` a saved value if and only if its module is a _WithSaved")
    return module


def _pool_before_activating(modules: list[nn.Module]) -> list[nn.Module]:
    """Swaps a monotonic activation with the max pool after it: the result is the same, for a quarter of the work."""
    for index, (first, second) in enumerate(itertools.pairwise(modules)):
        if isinstance(first, MONOTONIC) and isinstance(second, nn.MaxPool1d | nn.MaxPool2d):
            modules[index], modules[index + 1] = nn.Identity(), nn.Sequential(second, first)
    return modules


def _conv(layer: Conv, shape: Shape, generator: torch.Generator) -> nn.Module:
    pads = [layer.pads(size) for size in shape[1:]]
    even = all(before == after for before, after in pads)
    conv = _of_rank(shape, nn.Conv1d, nn.Conv2d)(
        shape[0],
        layer.filters,
        layer.kernel,
        stride=layer.stride,
        padding=tuple(before for before, _ in pads) if even else 0,
        dilation=layer.dilation,
        bias=layer.bias,
    )
    # torch pads the last side first
    padded = conv if even else _PaddedConv(conv, tuple(itertools.chain(*reversed(pads))))
    return _DilatedConv(padded) if layer.dilation > 1 else padded


def _pool(layer: Pool, shape: Shape, generator: torch.Generator) -> nn.Module:
    if layer == Pool("max", 2) and len(shape) == 3:
        return MaxPool2x2()
    if layer == Pool("average", 2) and len(shape) == 3:
        return AvgPool2x2()
    if layer.kind == "max":
        pool = _of_rank(shape, nn.MaxPool1d, nn.MaxPool2d)
    else:
        pool = _of_rank(shape, nn.AvgPool1d, nn.AvgPool2d)
    return pool(layer.size, layer.stride, layer.padding, ceil_mode=layer.ceil)


def _norm(layer: Norm, shape: Shape, generator: torch.Generator) -> nn.Module:
    return BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])


def _global_pool(layer: GlobalPool, shape: Shape, generator: torch.Generator) -> nn.Module:
    pool = _of_rank(shape, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
    return nn.Sequential(ChannelsLastGradient(), pool(1), nn.Flatten())


def _of_rank(shape: Shape, for_signals: Callable[..., nn.Module], for_images: Callable[..., nn.Module]):
    return for_signals if len(shape) == 2 else for_images


def _backbone(layer: Backbone, shape: Shape, generator: torch.Generator) -> nn.Module:
    from torchvision import models  # takes 3 seconds, so only networks with a backbone import it

    return _Backbone(_features(models.get_model(layer.name)), layer)


class _Backbone(nn.Module):
    def __init__(self, features: nn.Module, layer: Backbone) -> None:
        super().__init__()
        self.features, self.layer = features, layer
        self.requires_grad_(not layer.frozen)

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)

    def train(self, mode: bool = True) -> _Backbone:
        return super().train(mode and not self.layer.frozen)  # frozen norms keep their running statistics


_BUILDERS: dict[type[Layer], Callable[[Any, Shape, torch.Generator], nn.Module]] = {
    Conv: _conv,
    Pool: _pool,
    Standardize: lambda layer, shape, generator: _Standardize(layer, shape),
    Rescale: lambda layer, shape, generator: _Rescale(layer, shape),
    Norm: _norm,
    Activation: lambda layer, shape, generator: ACTIVATIONS[layer.name](),
    Dropout: lambda layer, shape, generator: _Dropout(layer.rate, generator),
    Upsample: lambda layer, shape, generator: (
        _UpsampleLike(layer.factor, layer.like) if layer.like else nn.Upsample(scale_factor=layer.factor)
    ),
    Repeat: lambda layer, shape, generator: _Repeat(layer.times),
    Flatten: lambda layer, shape, generator: nn.Sequential(ChannelsLastGradient(), nn.Flatten()),
    Reshape: lambda layer, shape, generator: nn.Unflatten(1, layer.shape),
    GlobalPool: _global_pool,
    Dense: lambda layer, shape, generator: nn.Linear(shape[0], layer.units, bias=layer.bias),
    Save: lambda layer, shape, generator: _Save(layer.name),
    Backbone: _backbone,
}


def _initialize(module: nn.Module, generator: torch.Generator) -> None:
    """Draws all weights. Raises TypeError for a module whose weights it does not know, which would stay undefined."""
    for part in _our_parts(module):
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(part.weight, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.reset_parameters()
        elif isinstance(part, _Scaled):
            part.reset_buffers()
        elif any(True for _ in (*part.parameters(recurse=False), *part.buffers(recurse=False))):
            raise TypeError(f"{type(part).__name__}: add its weights to _initialize in trainables/build.py")


def _our_parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yields a module and the modules in it, without those in a module of the user's."""
    yield module
    for child in module.children():
        if not isinstance(child, OwnModule):
            yield from _our_parts(child)


def _load_pretrained(module: nn.Module) -> None:
    """Loads ImageNet's weights into backbones that use them. Raises WeightsUnavailable with the reason."""
    for part in module.modules():
        if isinstance(part, _Backbone) and part.layer.weights == "imagenet":
            part.features.load_state_dict(_imagenet_features(part.layer.name).state_dict())


def _imagenet_features(name: str) -> nn.Module:
    """Returns a network's convolutional part with ImageNet's weights, from torchvision's own download and cache."""
    from torchvision import models

    weights = models.get_model_weights(name)["DEFAULT"]
    path = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    try:
        if not path.exists():
            probe([weights.url])  # without network, this fails within seconds
        with torch.device("meta"):
            whole = models.get_model(name)
        whole.load_state_dict(weights.get_state_dict(progress=False, check_hash=True), assign=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError, DownloadFailed) as error:
        raise WeightsUnavailable(
            f"the ImageNet weights of {name} are not in {path} and cannot be downloaded: {' '.join(str(error).split())}"
        ) from error
    return _features(whole)


def _features(whole: Any) -> nn.Module:
    """Returns a torchvision classifier's convolutional part."""
    if hasattr(whole, "features"):
        return whole.features
    stages = [whole.layer1, whole.layer2, whole.layer3, whole.layer4]
    return nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool, *stages)
