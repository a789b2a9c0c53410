"""Compares the layers for few channels with torch's own."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables import few_channels
from trainables.few_channels import MIN_VALUES, AvgPool2x2, BatchNorm2d, ChannelsLastGradient, MaxPool2x2

SHAPES = [(3, 5, 8, 8), (2, 7, 9, 6), (2, 3, 6, 9), (1, 1, 5, 5), (2, 6, 2, 3), (2, 16, 7, 7), (0, 5, 4, 4)]


def pooled(pool, image: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    image = image.clone(memory_format=torch.preserve_format).requires_grad_()
    output = pool(image)
    (output * weights).sum().backward()
    assert image.grad is not None
    return output.detach(), image.grad


def distinct(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Returns random finite values, no two of them equal."""
    order = torch.randperm(torch.Size(shape).numel(), generator=torch.Generator().manual_seed(0)).view(shape)
    return order.to(torch.int16).view(torch.bfloat16) if dtype == torch.bfloat16 else order.to(dtype)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format], ids=str)
def test_values_and_gradients_are_those_of_torchs_own(shape: tuple[int, ...], dtype: torch.dtype, memory):
    """All values differ here, since among equal ones another may count as the maximum."""
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


LARGE = [(32, 5, 24, 24), (40, 9, 19, 18), (64, 3, 26, 25), (33, 7, 17, 17)]
"""Images that torch's own layers would be slow for."""


@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format], ids=str)
def test_means_of_windows_and_their_gradients_are_those_of_torchs_own(shape: tuple[int, ...], memory):
    image = torch.randn(shape).contiguous(memory_format=memory)
    assert image.numel() >= MIN_VALUES
    weights = torch.rand((*shape[:2], shape[2] // 2, shape[3] // 2))
    output, gradient = pooled(AvgPool2x2(), image, weights)
    expected, expected_gradient = pooled(lambda x: functional.avg_pool2d(x, 2), image, weights)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_a_mean_is_taken_in_the_images_own_precision():
    image = torch.randn(LARGE[0])
    with torch.autocast("cpu", torch.bfloat16):
        output = AvgPool2x2()(image)
    torch.testing.assert_close(output, functional.avg_pool2d(image, 2))


def normalized(norm: nn.BatchNorm2d, image: Tensor) -> list[Tensor]:
    """Returns outputs of two batches, gradients of the second, running statistics, and outputs in evaluation."""
    other = image.flip(0) * 1.5
    first = norm(other)
    image = image.clone(memory_format=torch.preserve_format).requires_grad_()
    second = norm(image)
    weights = torch.linspace(-1, 1, image.numel(), dtype=image.dtype).view(image.shape)
    (second * weights * second).sum().backward()
    norm.eval()
    return [first, second, image.grad, *(p.grad for p in norm.parameters()), *norm.buffers(), norm(other)]  # type: ignore[list-item]


@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format], ids=str)
def test_batch_normalization_is_torchs_own(shape: tuple[int, ...], memory, monkeypatch: pytest.MonkeyPatch):
    """Uses double precision, in which long sums lose nothing."""
    monkeypatch.setattr(few_channels, "WIDE_ENOUGH_BYTES", 1000)
    image = (3 * torch.randn(shape) + torch.arange(shape[1])[:, None, None]).double().contiguous(memory_format=memory)
    own, theirs = BatchNorm2d(shape[1]).double(), nn.BatchNorm2d(shape[1]).double()
    with torch.no_grad():
        own.weight.copy_(torch.linspace(0.5, 2, shape[1]))
        own.bias.copy_(torch.linspace(-1, 1, shape[1]))
    theirs.load_state_dict(own.state_dict())
    for value, expected in zip(normalized(own, image), normalized(theirs, image), strict=True):
        torch.testing.assert_close(value, expected)


def test_batch_normalization_of_bfloat16_sums_in_float32():
    image = (3 * torch.randn(LARGE[0]) + 4).bfloat16().contiguous(memory_format=torch.channels_last)
    own, exact = BatchNorm2d(LARGE[0][1]), nn.BatchNorm2d(LARGE[0][1]).double()
    outputs, expected = own(image), exact(image.double())
    assert outputs.dtype == torch.bfloat16
    torch.testing.assert_close(outputs.double(), expected, atol=0.02, rtol=0.01)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(own, name).double(), getattr(exact, name), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("last", [nn.Flatten(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())], ids=str)
def test_a_gradient_lies_in_memory_as_its_image_does(last: nn.Module):
    image = torch.randn(4, 5, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    seen: list[Tensor] = []
    activated = torch.relu(image)
    activated.register_hook(seen.append)
    last(ChannelsLastGradient()(activated)).square().sum().backward()
    plain = torch.relu(image.detach().requires_grad_())
    (expected,) = torch.autograd.grad(last(plain).square().sum(), plain)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(seen[0], expected)
