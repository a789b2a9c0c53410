"""Structural similarity of images."""

from __future__ import annotations

import torch
from torch import Tensor

RADIUS, SIGMA = 5, 1.5
K1, K2 = 0.01, 0.03


def ssim(x_NCHW: Tensor, y_NCHW: Tensor) -> Tensor:
    """Returns the mean structural similarity [N] of images from 0 to 1 (Wang et al. 2004, equation 13).

    As in that paper, statistics are weighted by an 11 x 11 Gaussian of standard deviation 1.5, at all positions where
    it is within the image. Images must have at least 11 x 11 pixels.
    """
    # All five moments in one pass: means, squares and the product
    moments = torch.cat([x_NCHW, y_NCHW, x_NCHW * x_NCHW, y_NCHW * y_NCHW, x_NCHW * y_NCHW], dim=1)
    mean_x, mean_y, square_x, square_y, product = _blurred(moments).chunk(5, dim=1)
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    luminance = (2 * mean_x * mean_y + K1**2) / (mean_x**2 + mean_y**2 + K1**2)
    structure = (2 * (product - mean_x * mean_y) + K2**2) / (variance_x + variance_y + K2**2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _blurred(x_NCHW: Tensor) -> Tensor:
    # Sums of shifted images are faster than conv2d with 11 x 1 kernels, which GPUs may also round to 10 bits
    weights = torch.exp(-(torch.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    first, *others = (weights / weights.sum()).tolist()
    for side in (2, 3):
        size = x_NCHW.shape[side] - 2 * RADIUS
        blurred = first * x_NCHW.narrow(side, 0, size)
        for shift, weight in enumerate(others, 1):
            blurred.add_(x_NCHW.narrow(side, shift, size), alpha=weight)
        x_NCHW = blurred
    return x_NCHW
