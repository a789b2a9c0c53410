"""Applies a module to inputs, without gradients, in batches and in a given precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

EVALUATION_PIXELS = 1024 * 28 * 28


def predict(
    module: torch.nn.Module,
    x: Tensor,
    precision: torch.dtype,
    weights: dict[str, Tensor] | None = None,
    start: int = 0,
    stop: int | None = None,
) -> Tensor:
    """Returns the outputs, float32, for a batch [N, ...], uint8 or float, of the layers from `start` to before `stop`.

    If `weights` are given, they replace the module's own.
    """
    inputs = arranged(module, to_float(x))
    with torch.no_grad(), autocast(x.device, precision):
        arguments = (inputs, start, stop)
        outputs = torch.func.functional_call(module, weights, arguments) if weights else module(*arguments)
    return outputs.float()


def arranged(module: torch.nn.Module, x: Tensor) -> Tensor:
    """Returns inputs in the memory format that the module computes fastest in, or relies on."""
    memory_format = getattr(module, "memory_format", torch.channels_last) if x.dim() == 4 else torch.contiguous_format
    return x.contiguous(memory_format=memory_format)


def batches(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yields the tensors [N, ...] together, in batches that fit into memory given the first one's example size."""
    size = max(1, EVALUATION_PIXELS // max(1, tensors[0][0].numel())) if len(tensors[0]) else 1
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


def to_float(x: Tensor) -> Tensor:
    """Returns uint8 pixels as float32 from 0 to 1, and other numbers unchanged as float32."""
    return x / 255 if x.dtype == torch.uint8 else x.to(torch.float32)


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[Any]:
    """Returns a context in which layers compute in `precision`."""
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)
