"""Max pooling by halves, rows and then columns: for few channels faster than torch's own on a CPU."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

EVEN, ODD = 0, 1
ROWS, COLUMNS = 1, 2


class MaxPool2x2(nn.MaxPool2d):
    """Windows of 2 by 2, side by side; a last odd row or column is left out.

    On a CPU torch's own goes through each window by itself, and notes for each where its maximum was: slow for a number
    of channels that fills no register. Here the maximum of whole rows is taken, then of neighbours in a row, and where
    it was is seen again when it is needed. Of equal values the left column's counts, and in it the upper one (torch's
    own: the upper row's).
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        fills_registers = input.dtype == torch.float32 and input.shape[1] % 8 == 0
        if input.device.type != "cpu" or fills_registers or torch.compiler.is_exporting():
            return torch.max_pool2d(input, 2)
        return cast(Tensor, _ByHalves.apply(input))


class _ByHalves(torch.autograd.Function):
    """Computes on [N, H, W, C], as channels-last images lie in memory; others are copied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        image = x.permute(0, 2, 3, 1).contiguous()
        higher = torch.maximum(_half(image, ROWS, EVEN), _half(image, ROWS, ODD))
        left, right = _half(higher, COLUMNS, EVEN).contiguous(), _half(higher, COLUMNS, ODD).contiguous()
        ctx.save_for_backward(image, left, right)
        return torch.maximum(left, right).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        image, left, right = ctx.saved_tensors
        gradient = _to_larger(gradients[0].permute(0, 2, 3, 1), left, right, COLUMNS, image.shape[COLUMNS])
        top, bottom = _half(image, ROWS, EVEN), _half(image, ROWS, ODD)
        gradient = _to_larger(gradient, top, bottom, ROWS, image.shape[ROWS])
        return gradient.permute(0, 3, 1, 2)


def _half(image: Tensor, dim: int, first: int) -> Tensor:
    """Each second row or column, as many of even as of odd ones."""
    return image.narrow(dim, 0, image.shape[dim] // 2 * 2).unflatten(dim, (-1, 2)).select(dim + 1, first)


def _to_larger(gradient: Tensor, first: Tensor, second: Tensor, dim: int, size: int) -> Tensor:
    """Gives each gradient to the larger one of two neighbours, to the first of equal ones, and 0 to the other."""
    shape = [*gradient.shape]
    shape[dim] = size
    full = gradient.new_empty(shape) if size == 2 * gradient.shape[dim] else gradient.new_zeros(shape)
    even, odd = _half(full, dim, EVEN), _half(full, dim, ODD)
    if dim == ROWS:  # long enough to be written where they belong
        torch.ops.aten.threshold_backward.grad_input(gradient, second - first, 0, grad_input=odd)
        torch.sub(gradient, odd, out=even)
    else:
        to_second = torch.ops.aten.threshold_backward(gradient, second - first, 0)
        odd.copy_(to_second)
        even.copy_(gradient - to_second)
    return full
