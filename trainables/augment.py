"""Random turns, shifts and zooms of a batch, on its device."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from spaces.recipe import Augmentation


def augment(x_NCHW: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Each image turned, moved and zoomed by amounts drawn uniformly within the strengths; black comes in from outside.

    One bilinear resampling for all three (Jaderberg et al. 2015, section 3). Returns the batch itself where the
    strengths are 0.
    """
    if not augmentation:
        return x_NCHW
    theta = _affine(x_NCHW.shape, augmentation, generator, x_NCHW.device)
    grid = functional.affine_grid(theta, list(x_NCHW.shape), align_corners=False)
    return functional.grid_sample(x_NCHW, grid, align_corners=False)


def _affine(shape: torch.Size, augmentation: Augmentation, generator: torch.Generator, device: torch.device) -> Tensor:
    """Matrices [N, 2, 3] that map output to input positions, in units of half the image, as affine_grid takes them."""
    n, _, height, width = shape
    uniform = torch.rand((4, n), generator=generator, device=device) * 2 - 1
    angle = uniform[0] * math.radians(augmentation.rotation_degrees)
    scale = 1 / (1 + uniform[1] * augmentation.zoom)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift_x = uniform[2] * (2 * augmentation.shift_pixels / width)
    shift_y = uniform[3] * (2 * augmentation.shift_pixels / height)
    # Sides of different length: a turn in pixels is not one in units of half the image
    rows = [cos, -sin * (height / width), shift_x, sin * (width / height), cos, shift_y]
    return torch.stack(rows, dim=1).view(n, 2, 3)
