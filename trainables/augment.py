"""Random rotations, shifts and zooms of a batch, on its device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from spaces.recipe import Augmentation


def augment(x_NCHW: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Returns the images [N, C, H, W] rotated, shifted and zoomed at random (uniformly), with black around them.

    All three take one bilinear resampling (Jaderberg et al. 2015, section 3). If all strengths are 0, the batch itself
    is returned.
    """
    if not augmentation:
        return x_NCHW
    theta = _affine(x_NCHW.shape, augmentation, generator, x_NCHW.device)
    return functional.grid_sample(x_NCHW, grid_of(theta, x_NCHW.shape), align_corners=False)


def grid_of(theta: Tensor, shape: torch.Size) -> Tensor:
    """Returns the input position [N, H, W, 2] of each output pixel, as functional.affine_grid, ten times as fast."""
    n, _, height, width = shape
    x, y = ((2 * torch.arange(side, device=theta.device) + 1) / side - 1 for side in (width, height))
    pixels = torch.stack([x.repeat(height), y.repeat_interleave(width), torch.ones_like(x).repeat(height)])
    return (theta.view(-1, 3) @ pixels).view(n, 2, height, width).permute(0, 2, 3, 1)


def _affine(shape: torch.Size, augmentation: Augmentation, generator: torch.Generator, device: torch.device) -> Tensor:
    """Returns matrices [N, 2, 3] from output to input positions, in units of half the image, as for affine_grid."""
    n, _, height, width = shape
    uniform = torch.rand((4, n), generator=generator, device=device) * 2 - 1
    angle = uniform[0] * math.radians(augmentation.rotation_degrees)
    scale = 1 / (1 + uniform[1] * augmentation.zoom)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift_x = uniform[2] * (2 * augmentation.shift_pixels / width)
    shift_y = uniform[3] * (2 * augmentation.shift_pixels / height)
    # If the sides differ, a rotation in pixels is not one in units of half the image
    rows = [cos, -sin * (height / width), shift_x, sin * (width / height), cos, shift_y]
    return torch.stack(rows, dim=1).view(n, 2, 3)
