"""A split of a dataset on the device that trains on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.splits import Images


@dataclass(frozen=True)
class DeviceSplit:
    """Examples x and their targets y on one device; lists of tensors if sizes differ.

    x is uint8 pixels, or float32. Grey images have a channel: [N, 1, H, W]. y is labels int64 [N]; numbers float32
    [N, ...], a single one an example as [N, 1]; several labels uint8 [N, K]; images or class maps uint8 [N, C, H, W];
    or class maps int64 [N, H, W]. Maps float32 that fit images x have a channel.
    """

    x: Tensor | list[Tensor]
    y: Tensor | list[Tensor]

    @classmethod
    def of(cls, x: Images, y: Images, device: torch.device) -> DeviceSplit:
        """Copies arrays [N, ...], or lists of arrays, to a device. If y is x itself, it is copied once.

        A uint8 array of three dimensions is grey images. Other x become float32, other y float32 or int64.
        """
        inputs = _inputs(x, device)
        return cls(inputs, inputs if y is x else _targets(y, inputs, device))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def device(self) -> torch.device:
        return self.x[0].device

    @property
    def input_dtype(self) -> str:
        """The type of the inputs, "uint8" or "float32"."""
        return str(self.x[0].dtype).removeprefix("torch.")


def _inputs(x: Images, device: torch.device) -> Tensor | list[Tensor]:
    if isinstance(x, list):
        return [_with_channel(_bytes_or_float(array, device), 2) for array in x]
    values = _bytes_or_float(x, device)
    return values.unsqueeze(1) if values.dim() == 1 else _with_channel(values, 3)


def _targets(y: Images, inputs: Tensor | list[Tensor], device: torch.device) -> Tensor | list[Tensor]:
    if isinstance(y, list):
        return [_with_channel(_numbers(array, device), 2) for array in y]
    values = _numbers(y, device)
    if values.dim() == 1:
        return values.unsqueeze(1) if values.is_floating_point() else values.long()
    is_map = isinstance(inputs, Tensor) and inputs.dim() == 4 and values.shape[1:] == inputs.shape[2:]
    if is_map and values.is_floating_point():
        return values.unsqueeze(1)
    return _with_channel(values, 3)


def _with_channel(values: Tensor, num_dimensions: int) -> Tensor:
    """Returns grey images, which are bytes of `num_dimensions` dimensions, with a channel, and others as they are."""
    is_grey = values.dtype == torch.uint8 and values.dim() == num_dimensions
    return values.unsqueeze(num_dimensions - 2) if is_grey else values


def _bytes_or_float(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.tensor(array, device=device, dtype=torch.uint8 if array.dtype == np.uint8 else torch.float32)


def _numbers(array: np.ndarray, device: torch.device) -> Tensor:
    if array.dtype == np.uint8:
        return torch.tensor(array, device=device)
    return torch.tensor(array, device=device, dtype=torch.float32 if array.dtype.kind == "f" else torch.int64)
