"""Backbones: published networks whose convolutional part serves as one layer, and the layers that it consists of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from spaces.layers import Activation, Conv, Cost, InvalidNetwork, Join, Layer, Norm, Pool, Save, Shape, fold, totals


class WeightsUnavailable(Exception):
    """Raised if a backbone's published weights are unavailable. The message gives the reason."""


@dataclass(frozen=True)
class Backbone(Layer):
    """The convolutional part of torchvision's `resnet18` or `vgg16`; its weights are not trained if `frozen`.

    The input has 3 channels. The output is the last feature map, before torchvision's own pooling and head.
    """

    name: Literal["resnet18", "vgg16"]
    frozen: bool = True
    _: dataclasses.KW_ONLY
    weights: Literal["imagenet", "random"] = "imagenet"

    is_local = False
    ends_stage = False
    choices = ()

    @property
    def is_fixed(self) -> bool:  # type: ignore[override]
        return self.frozen

    def cost(self, shape: Shape) -> Cost:
        if shape[0] != 3 or len(shape) != 3:
            raise InvalidNetwork(
                f"Backbone({self.name!r}) takes 3 channels, but gets {shape}: (3, height, width) would fit"
            )
        steps = list(fold({"resnet18": resnet18_features, "vgg16": vgg16_features}[self.name](), shape))
        params, macs, _ = totals(steps)
        return Cost(steps[-1].shape, params, macs, frozen=params if self.frozen else 0)


def resnet18_features() -> tuple[Layer, ...]:
    """Returns ResNet-18's layers before its pooling and head (He et al. 2016, table 1), in torchvision's order."""
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
    """Returns two 3x3 convolutions with a skip (He et al. 2016); `project` puts a 1x1 convolution on the skip."""
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
    """Returns VGG-16's convolutions and poolings (Simonyan & Zisserman 2015, configuration D)."""
    layers: list[Layer] = []
    for filters, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        layers += [layer for _ in range(convs) for layer in (Conv(filters, 3, padding=1), Activation())]
        layers.append(Pool("max", 2))
    return tuple(layers)
