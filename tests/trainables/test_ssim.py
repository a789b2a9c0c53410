"""Compares structural similarity with the paper's formula, computed at one position after the other."""

import numpy as np
import pytest
import torch

from trainables.ssim import ssim


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def plain_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the mean of Wang et al. 2004, equation 13, over all positions of a window in the image [H, W]."""
    distances = np.arange(11) - 5
    window = np.exp(-(distances[:, None] ** 2 + distances**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            a, b = (image[top : top + 11, left : left + 11] for image in (x, y))
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            variance_a, variance_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            covariance = (window * (a - mean_a) * (b - mean_b)).sum()
            above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
            values.append(above / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)))
    return float(np.mean(values))


@pytest.mark.parametrize("size", [(11, 11), (11, 20), (28, 28)])
def test_it_is_the_papers_formula(size: tuple[int, int]):
    x = images(3, 1, *size)
    y = (x + 0.3 * images(3, 1, *size, seed=1)).clamp(0, 1)
    expected = [plain_ssim(a[0].double().numpy(), b[0].double().numpy()) for a, b in zip(x, y, strict=True)]
    assert ssim(x, y).tolist() == pytest.approx(expected, abs=1e-5)


def test_channels_are_averaged():
    x, y = images(2, 3, 15, 13), images(2, 3, 15, 13, seed=1)
    apart = torch.stack([ssim(x[:, [channel]], y[:, [channel]]) for channel in range(3)])
    torch.testing.assert_close(ssim(x, y), apart.mean(0))


@pytest.mark.parametrize("x", [images(2, 1, 16, 16), torch.zeros(2, 1, 16, 16), torch.ones(2, 1, 16, 16)])
def test_an_image_is_like_itself(x: torch.Tensor):
    assert ssim(x, x).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_it_is_symmetric_and_falls_with_noise():
    x, noise = images(1, 1, 28, 28), images(1, 1, 28, 28, seed=1)
    little, much = (x + 0.1 * noise), (x + 0.5 * noise)
    assert ssim(x, much).item() == pytest.approx(ssim(much, x).item(), abs=1e-6)
    assert 1 > ssim(x, little).item() > ssim(x, much).item() > -1


def test_its_arguments_stay_as_they_are():
    x, y = images(1, 1, 12, 12), images(1, 1, 12, 12, seed=1)
    before = x.clone(), y.clone()
    ssim(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
