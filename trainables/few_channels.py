"""Layers for images of few channels: torch's own are slow there on a CPU.

They take one pixel's channels at a time, which fill no register. Channels-last images lie in memory as [N, H, W, C]:
here several pixels side by side are taken at once, as if they were one of as many times the channels.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

EVEN, ODD = 0, 1
ROWS, COLUMNS = 1, 2
PIXELS = 16
"""So many neighbours are taken for one pixel of as many times the channels."""
BYTES = 40
"""Of a pixel's channels: from here on, torch's own is as fast."""
FEW = 2**16
"""With fewer values, it is soon done all the same."""


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
        return cast(Tensor, _MaxByHalves.apply(input))


class _MaxByHalves(torch.autograd.Function):
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


class AvgPool2x2(nn.AvgPool2d):
    """Windows of 2 by 2, side by side; a last odd row or column is left out.

    On a CPU torch's own goes through each window by itself. Here whole rows are added, then neighbours in a row by a
    product with quarters and zeros, which is exact, and spreads what is infinite to all channels of its pixel.
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        if not _is_slow(input):
            return functional.avg_pool2d(input, 2)
        return cast(Tensor, _MeanByHalves.apply(input))


class _MeanByHalves(torch.autograd.Function):
    """Computes on [N, H, W, C], as channels-last images lie in memory; others are copied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = num, channels, height, width = x.shape
        image = x.permute(0, 2, 3, 1).contiguous()
        added = _half(image, ROWS, EVEN) + _half(image, ROWS, ODD)
        with torch.autocast("cpu", enabled=False):
            mean = _pairs(added, COLUMNS).reshape(-1, 2 * channels) @ _quarters(channels, x.dtype)
        return mean.view(num, height // 2, width // 2, channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        num, channels, height, width = ctx.shape
        gradient = gradients[0].permute(0, 2, 3, 1).reshape(-1, channels)
        quarters = gradient @ _quarters(channels, gradient.dtype).t()
        full = _image(gradient, [num, height, width, channels])
        windows = _pairs(_pairs(full, ROWS), COLUMNS + 1)  # [N, H / 2, 2, W / 2, 2, C]
        windows.copy_(quarters.view(num, height // 2, 1, width // 2, 2, channels))
        return full.permute(0, 3, 1, 2)


def _quarters(channels: int, dtype: torch.dtype) -> Tensor:
    """[2C, C]: takes two neighbours' channels to a quarter of their sum."""
    return torch.eye(channels, dtype=dtype).div_(4).repeat(2, 1)


def _half(image: Tensor, dim: int, first: int) -> Tensor:
    """Each second row or column, as many of even as of odd ones."""
    return _pairs(image, dim).select(dim + 1, first)


def _pairs(image: Tensor, dim: int) -> Tensor:
    """Rows or columns two by two, in a further dimension behind; a last odd one is left out."""
    return image.narrow(dim, 0, image.shape[dim] // 2 * 2).unflatten(dim, (-1, 2))


def _image(like: Tensor, shape: list[int]) -> Tensor:
    """An image [N, H, W, C] whose pairs are still to be written; the odd row and column, which are in none, are 0."""
    is_even = shape[ROWS] % 2 == shape[COLUMNS] % 2 == 0
    return like.new_empty(shape) if is_even else like.new_zeros(shape)


def _to_larger(gradient: Tensor, first: Tensor, second: Tensor, dim: int, size: int) -> Tensor:
    """Gives each gradient to the larger one of two neighbours, to the first of equal ones, and 0 to the other."""
    shape = [*gradient.shape]
    shape[dim] = size
    full = gradient.new_empty(shape) if size % 2 == 0 else gradient.new_zeros(shape)
    even, odd = _half(full, dim, EVEN), _half(full, dim, ODD)
    if dim == ROWS:  # long enough to be written where they belong
        torch.ops.aten.threshold_backward.grad_input(gradient, second - first, 0, grad_input=odd)
        torch.sub(gradient, odd, out=even)
    else:
        to_second = torch.ops.aten.threshold_backward(gradient, second - first, 0)
        odd.copy_(to_second)
        even.copy_(gradient - to_second)
    return full


class BatchNorm2d(nn.BatchNorm2d):
    """Ioffe & Szegedy 2015, as torch has it: the same statistics, running statistics and gradients.

    On a CPU torch's own takes one pixel's channels at a time, which are few here. Seen as wide pixels, neighbours
    together, images have many: each gets a mean and a variance of its own, and those of one channel are put together.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not _is_slow(input) or (pixels := math.gcd(input.numel() // input.shape[1], PIXELS)) == 1:
            return super().forward(input)
        image = input.permute(0, 2, 3, 1)
        wide = image.reshape(-1, pixels * input.shape[1], 1, 1)
        if self.training:
            statistics = self._statistics(wide.detach(), pixels)
            normalized = cast(Tensor, _Normalize.apply(wide, self.weight, self.bias, *statistics, self.eps))
        else:
            statistics = cast(Tensor, self.running_mean), cast(Tensor, self.running_var)
            normalized = _scaled(wide, self.weight, self.bias, *statistics, self.eps)
        return normalized.view(image.shape).permute(0, 3, 1, 2)

    def _statistics(self, wide: Tensor, pixels: int) -> tuple[Tensor, Tensor]:
        """Mean and variance [C] of the batch, which the running ones follow."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        # Of bfloat16 too it computes in float32, if only it is given such running statistics, which are not used
        unused = torch.zeros(2, wide.shape[1], dtype=self.running_mean.dtype)
        means, variances = (
            each.view(pixels, -1) for each in torch.batch_norm_update_stats(wide, unused[0], unused[1], 1.0)
        )
        mean, var = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        num = wide.numel() // len(mean)
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(var * (num / (num - 1)), self.momentum or 0.0)
        return mean, var


class _Normalize(torch.autograd.Function):
    """Wide pixels [N, pixels * C, 1, 1] by their channels' statistics [C], which the gradient goes through too."""

    @staticmethod
    def forward(ctx: Any, wide: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(wide, weight, mean, var)
        ctx.eps = eps
        return _scaled(wide, weight, bias, mean, var, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        wide, weight, mean, var = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        pixels, num = wide.shape[1] // len(mean), wide.numel() // len(mean)
        _, to_weights, to_biases = torch.ops.aten.native_batch_norm_backward(
            *(gradient, wide, None, mean.repeat(pixels), var.repeat(pixels), None, None, False, ctx.eps),
            [False, True, True],
        )
        to_weight, to_bias = to_weights.view(pixels, -1).sum(0), to_biases.view(pixels, -1).sum(0)
        scale = weight * torch.rsqrt(var + ctx.eps)
        # What moves the mean or the variance changes nothing, and is taken off
        to_wide = _scaled(wide, to_weight * scale / -num, to_bias * scale / -num, mean, var, ctx.eps)
        to_wide.addcmul_(gradient, scale.to(gradient.dtype).repeat(pixels).view(1, -1, 1, 1))
        return to_wide, to_weight, to_bias, None, None, None


def _scaled(wide: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """weight * (wide - mean) / sqrt(var + eps) + bias, in one go."""
    pixels = wide.shape[1] // len(mean)
    mean, var, weight, bias = (each.repeat(pixels) for each in (mean, var, weight, bias))
    return functional.batch_norm(wide, mean, var, weight, bias, training=False, eps=eps)


class ChannelsLastGradient(nn.Module):
    """Gives back what it gets, and the layers before it a gradient that lies in memory as their images do.

    Where an image ends as a vector, its gradient would come back channels first, and each operation on both takes up to
    ten times as long.
    """

    def forward(self, input: Tensor) -> Tensor:
        has_gradient = input.dim() == 4 and input.requires_grad and not torch.compiler.is_exporting()
        return cast(Tensor, _ChannelsLastGradient.apply(input)) if has_gradient else input


class _ChannelsLastGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].contiguous(memory_format=torch.channels_last)


def _is_slow(images: Tensor) -> bool:
    """Whether torch's own layers take their time over these images."""
    if torch.compiler.is_exporting() or images.device.type != "cpu":
        return False
    return images.numel() >= FEW and images.shape[1] * images.element_size() < BYTES
