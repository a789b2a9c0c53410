"""Augmentation shifts, rotates and zooms by pixels, degrees and shares, also if images are not square."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from spaces.recipe import Augmentation
from trainables.augment import augment, grid_of

HEIGHT, WIDTH = 30, 60


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(right: float, n: int = 300) -> Tensor:
    """Returns n images of one soft dot, `right` pixels to the right of the centre."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) - (HEIGHT - 1) / 2, torch.arange(WIDTH) - (WIDTH - 1) / 2, indexing="ij")
    dot = torch.exp(-((x - right) ** 2 + y**2) / 4)
    return dot.expand(n, 1, HEIGHT, WIDTH).contiguous()


def centres(images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the positions of the dots in pixels to the right of and below the images' centre."""
    mass = images.sum((1, 2, 3))
    right = (images.sum((1, 2)) * (torch.arange(WIDTH) - (WIDTH - 1) / 2)).sum(1) / mass
    down = (images.sum((1, 3)) * (torch.arange(HEIGHT) - (HEIGHT - 1) / 2)).sum(1) / mass
    return right, down


def test_no_strength_gives_the_batch_itself():
    x = torch.rand(4, 1, 8, 8)
    assert augment(x, Augmentation(), generator()) is x


def test_shifts_are_in_pixels_along_both_sides():
    images = augment(blobs(0), Augmentation(shift_pixels=3), generator())
    for shifts in centres(images):
        assert 2.9 < shifts.max() <= 3.01
        assert -3.01 <= shifts.min() < -2.9
        assert shifts.mean().abs() < 0.3
    torch.testing.assert_close(images.sum((1, 2, 3)), blobs(0).sum((1, 2, 3)))  # nothing is lost within the image


def test_turns_are_in_degrees_around_the_centre():
    turn = Augmentation(rotation_degrees=15)
    right, down = centres(augment(blobs(0), turn, generator()))
    assert torch.cat([right, down]).abs().max() < 1e-3

    right, down = centres(augment(blobs(8), turn, generator()))
    angles = torch.atan2(down, right) * (180 / math.pi)
    torch.testing.assert_close(torch.hypot(right, down), torch.full_like(right, 8), atol=0.02, rtol=0)
    assert 14.5 < angles.max() < 15.1
    assert -15.1 < angles.min() < -14.5


def test_zooms_are_shares_of_the_size():
    right, down = centres(augment(blobs(8), Augmentation(zoom=0.2), generator()))
    assert down.abs().max() < 1e-3
    assert 9.5 < right.max() < 9.65
    assert 6.35 < right.min() < 6.5


@pytest.mark.parametrize("seed", [0, 1])
def test_the_generator_alone_decides(seed: int):
    x, everything = torch.rand(8, 3, 12, 10), Augmentation(rotation_degrees=180, shift_pixels=9, zoom=0.5)
    y = augment(x, everything, generator(seed))
    torch.manual_seed(seed + 5)
    before = torch.get_rng_state()
    assert torch.equal(augment(x, everything, generator(seed)), y)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(augment(x, everything, generator(seed + 1)), y)
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert y.min() >= 0
    assert y.max() <= 1 + 1e-6


def test_the_grid_is_torchs_own():
    theta, shape = torch.randn(5, 2, 3), torch.Size([5, 1, HEIGHT, WIDTH])
    expected = functional.affine_grid(theta, list(shape), align_corners=False)
    torch.testing.assert_close(grid_of(theta, shape), expected, atol=1e-6, rtol=1e-5)
