"""Our max pooling against torch's own."""

import pytest
import torch
from torch.nn import functional

from trainables.max_pool import MaxPool2x2

SHAPES = [(3, 5, 8, 8), (2, 7, 9, 6), (2, 3, 6, 9), (1, 1, 5, 5), (2, 6, 2, 3), (2, 16, 7, 7), (0, 5, 4, 4)]


def pooled(pool, image: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    image = image.clone(memory_format=torch.preserve_format).requires_grad_()
    output = pool(image)
    (output * weights).sum().backward()
    assert image.grad is not None
    return output.detach(), image.grad


def distinct(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Random finite values, no two of them equal."""
    order = torch.randperm(torch.Size(shape).numel(), generator=torch.Generator().manual_seed(0)).view(shape)
    return order.to(torch.int16).view(torch.bfloat16) if dtype == torch.bfloat16 else order.to(dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format], ids=str)
def test_values_and_gradients_are_those_of_torchs_own(shape: tuple[int, ...], dtype: torch.dtype, memory):
    """Where all values differ: of equal ones another may count as the maximum."""
    image = distinct(shape, dtype).contiguous(memory_format=memory)
    weights = torch.rand((*shape[:2], shape[2] // 2, shape[3] // 2)).to(dtype)
    output, gradient = pooled(MaxPool2x2(), image, weights)
    expected, expected_gradient = pooled(lambda x: functional.max_pool2d(x, 2), image, weights)
    assert torch.equal(output, expected)
    assert torch.equal(gradient, expected_gradient)


def test_of_equal_values_the_first_gets_the_gradient():
    _, gradient = pooled(MaxPool2x2(), torch.zeros(2, 5, 6, 6), torch.ones(2, 5, 3, 3))
    windows = gradient.unflatten(3, (3, 2)).unflatten(2, (3, 2))
    assert windows.sum() == 2 * 5 * 3 * 3
    assert (windows[:, :, :, 0, :, 0] == 1).all()


def test_a_nan_is_passed_on():
    image = torch.zeros(1, 5, 2, 2)
    image[0, 0, 1, 0] = torch.nan
    assert MaxPool2x2()(image).flatten().isnan().tolist() == [True, False, False, False, False]
