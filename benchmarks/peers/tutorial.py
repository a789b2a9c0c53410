"""Training as in PyTorch's tutorials, the peer of Frugal's loop.

It uses torchvision's dataset with ToTensor and Normalize, a DataLoader without workers, PyTorch's modules in float32
with their default initialization, PyTorch's optimizers with their defaults, and a plain loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from data.splits import Split
from search.tasks.tiny10k import PIXELS
from spaces.layers import Activation, Conv, Dense, Dropout, Flatten, GlobalPool, Layer, Norm, Pool, Shape, Standardize
from spaces.network import Network
from spaces.recipe import Recipe
from trainables.build import ACTIVATIONS
from trainables.optim import OPTIMIZERS

EVALUATION_BATCH = 1000
SPEED_OPTIONS = {"fused", "foreach"}


def images_of(folder: Path, split: Split) -> datasets.MNIST:
    """Returns the images of a split as torchvision's MNIST dataset, standardized."""
    scaled = transforms.Compose([transforms.ToTensor(), transforms.Normalize((PIXELS.mean,), (PIXELS.std,))])
    images = datasets.MNIST(str(folder), train=True, download=False, transform=scaled)
    images.data, images.targets = torch.from_numpy(split.x), torch.from_numpy(split.y)
    return images


def loader_of(images: datasets.MNIST, batch_size: int) -> DataLoader[tuple[Tensor, Tensor]]:
    return DataLoader(images, batch_size=batch_size, shuffle=True)


def optimizer_of(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Returns the recipe's optimizer, without options that only make it faster."""
    kind, options = OPTIMIZERS[recipe.optimizer]
    options = {name: value for name, value in options.items() if name not in SPEED_OPTIONS}
    return kind(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, **options)  # type: ignore[call-arg]


def train_epoch(model: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], optimizer: torch.optim.Optimizer) -> float:
    """Trains an epoch and returns the mean loss of its batches."""
    model.train()
    total = 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def accuracy(model: nn.Module, images: datasets.MNIST) -> float:
    model.eval()
    loader = DataLoader(images, batch_size=EVALUATION_BATCH)
    return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(images)


def plain_module(network: Network) -> nn.Sequential:
    """Builds a classifier for standardized images from PyTorch's modules; raises ValueError for other layers."""
    shapes = [network.input_shape, *(step.shape for step in network.trace())]
    pairs = zip(network.layers, shapes, strict=False)
    return nn.Sequential(*(part for layer, shape in pairs for part in _plain(layer, shape)))


def _plain(layer: Layer, shape: Shape) -> Iterator[nn.Module]:
    match layer:
        case Standardize():
            pass
        case Conv():
            (top, bottom), (left, right) = layer.pads(shape[1]), layer.pads(shape[2])
            even = (top, left) == (bottom, right)
            if not even:
                yield nn.ZeroPad2d((left, right, top, bottom))
            yield nn.Conv2d(
                shape[0],
                layer.filters,
                layer.kernel,
                layer.stride,
                padding=(top, left) if even else 0,
                dilation=layer.dilation,
                bias=layer.bias,
            )
        case Pool():
            pool = nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d
            yield pool(layer.size, layer.stride, layer.padding, ceil_mode=layer.ceil)
        case Norm():
            yield nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
        case Activation():
            yield ACTIVATIONS[layer.name]()
        case Dropout():
            yield nn.Dropout(layer.rate)
        case Flatten():
            yield nn.Flatten()
        case GlobalPool():
            yield from (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case Dense():
            yield nn.Linear(shape[0], layer.units, bias=layer.bias)
        case _:
            raise ValueError(f"{layer}: not a layer of a plain classifier")
