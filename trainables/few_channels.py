"""CPU layers for images with few channels, where torch's own are slow.

torch vectorizes over one pixel's channels, which do not fill a register. Channels-last images are [N, H, W, C] in
memory, so these layers treat several neighbouring pixels as one pixel with that many times the channels.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

EVEN, ODD = 0, 1
ROWS, COLUMNS = 1, 2
MAX_WIDE_PIXELS = 16
"""The maximum number of neighbouring pixels to treat as one."""
WIDE_ENOUGH_BYTES = 40
"""The size of a pixel's channels from which torch's own layers are as fast."""
MIN_VALUES = 2**16
"""The number of values below which torch's own layers are fast enough."""


class MaxPool2x2(nn.MaxPool2d):
    """Max pooling of adjacent 2x2 windows; a last odd row or column is dropped.

    torch's own visits each window and stores the position of its maximum, which is slow on a CPU if the channels do not
    fill a register. This one takes the maximum of whole rows, then of neighbours in a row, and recomputes the position
    in the backward pass. Among equal values the left column wins, then the upper row (in torch's own, the upper row).
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        fills_registers = input.dtype == torch.float32 and input.shape[1] % 8 == 0
        if input.device.type != "cpu" or fills_registers or torch.compiler.is_exporting():
            return torch.max_pool2d(input, 2)
        return cast(Tensor, _MaxByHalves.apply(input))


class _MaxByHalves(torch.autograd.Function):
    """Computes on [N, H, W, C], the memory layout of channels-last images; others are copied."""

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
        gradient = _route_to_larger(gradients[0].permute(0, 2, 3, 1), left, right, COLUMNS, image.shape[COLUMNS])
        top, bottom = _half(image, ROWS, EVEN), _half(image, ROWS, ODD)
        gradient = _route_to_larger(gradient, top, bottom, ROWS, image.shape[ROWS])
        return gradient.permute(0, 3, 1, 2)


class AvgPool2x2(nn.AvgPool2d):
    """Average pooling of adjacent 2x2 windows; a last odd row or column is dropped.

    torch's own visits each window, which is slow on a CPU. This one adds whole rows, then neighbours in a row by a
    product with a matrix of quarters and zeros. That is exact, but spreads infinities to all channels of a pixel.
    """

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        if not _is_slow(input):
            return functional.avg_pool2d(input, 2)
        return cast(Tensor, _MeanByHalves.apply(input))


class _MeanByHalves(torch.autograd.Function):
    """Computes on [N, H, W, C], the memory layout of channels-last images; others are copied."""

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
    """Returns the matrix [2C, C] that maps two neighbours' channels to a quarter of their sum."""
    return torch.eye(channels, dtype=dtype).div_(4).repeat(2, 1)


def _half(image: Tensor, dim: int, first: int) -> Tensor:
    """Returns every second row or column, from `first` on; even and odd ones are equally many."""
    return _pairs(image, dim).select(dim + 1, first)


def _pairs(image: Tensor, dim: int) -> Tensor:
    """Returns rows or columns in pairs along a new dimension after `dim`; a last odd one is dropped."""
    return image.narrow(dim, 0, image.shape[dim] // 2 * 2).unflatten(dim, (-1, 2))


def _image(like: Tensor, shape: list[int]) -> Tensor:
    """Returns an image [N, H, W, C] with undefined pairs; a last odd row or column, in no pair, is 0."""
    is_even = shape[ROWS] % 2 == shape[COLUMNS] % 2 == 0
    return like.new_empty(shape) if is_even else like.new_zeros(shape)


def _route_to_larger(gradient: Tensor, first: Tensor, second: Tensor, dim: int, size: int) -> Tensor:
    """Assigns each gradient to the larger of two neighbours (the first if they are equal), and 0 to the other."""
    shape = [*gradient.shape]
    shape[dim] = size
    full = gradient.new_empty(shape) if size % 2 == 0 else gradient.new_zeros(shape)
    even, odd = _half(full, dim, EVEN), _half(full, dim, ODD)
    if dim == ROWS:  # rows are long enough to be written in place
        torch.ops.aten.threshold_backward.grad_input(gradient, second - first, 0, grad_input=odd)
        torch.sub(gradient, odd, out=even)
    else:
        to_second = torch.ops.aten.threshold_backward(gradient, second - first, 0)
        odd.copy_(to_second)
        even.copy_(gradient - to_second)
    return full


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalization (Ioffe & Szegedy 2015) with torch's statistics, running statistics and gradients.

    torch's own handles one pixel's few channels at a time on a CPU. This one joins neighbours into wide pixels,
    computes a mean and a variance for each of their channels, and combines those of one image channel.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not _is_slow(input) or (pixels := math.gcd(input.numel() // input.shape[1], MAX_WIDE_PIXELS)) == 1:
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
        """Returns the mean and variance [C] of the batch, and updates the running ones."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        # float32 running statistics, otherwise unused, make it compute in float32 for bfloat16 too
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
    """Normalizes wide pixels [N, pixels * C, 1, 1] by statistics [C]; gradients flow through these too."""

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
        # Subtract the part of the gradient that only moves the mean or the variance, which has no effect
        to_wide = _scaled(wide, to_weight * scale / -num, to_bias * scale / -num, mean, var, ctx.eps)
        to_wide.addcmul_(gradient, scale.to(gradient.dtype).repeat(pixels).view(1, -1, 1, 1))
        return to_wide, to_weight, to_bias, None, None, None


def _scaled(wide: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """Returns weight * (wide - mean) / sqrt(var + eps) + bias, computed in one operation."""
    pixels = wide.shape[1] // len(mean)
    mean, var, weight, bias = (each.repeat(pixels) for each in (mean, var, weight, bias))
    return functional.batch_norm(wide, mean, var, weight, bias, training=False, eps=eps)


class ChannelsLastGradient(nn.Module):
    """The identity, whose backward pass returns the gradient of an image in channels-last memory format.

    Where an image becomes a vector, its gradient would be channels first, and operations on images and gradients of
    different formats take up to ten times as long.
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
    """Whether torch's own layers are slow for these images."""
    if torch.compiler.is_exporting() or images.device.type != "cpu":
        return False
    return images.numel() >= MIN_VALUES and images.shape[1] * images.element_size() < WIDE_ENOUGH_BYTES
