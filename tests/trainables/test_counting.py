"""A module's cost is counted without memory; if it cannot be, the error says what to change in the module."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spaces.layers import Conv, Dense, Flatten, Norm, Pool
from spaces.network import Network
from trainables.build import build
from trainables.counting import CannotCount, Counted, count, make_on_meta


def test_a_module_of_our_layers_costs_what_our_arithmetic_says():
    layers = (Conv(8, 3), Norm(), Pool("max"), Conv(6, 3, stride=2, padding="valid", bias=False), Flatten(), Dense(10))
    network = Network((3, 20, 17), layers)
    counted = count(lambda: build(network, device="cpu"), (3, 20, 17))
    assert counted == Counted((10,), network.num_params, 0, network.num_macs)


class Layered(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Last(nn.Module):
    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return x[0][:, -1]


class WithRates(nn.Module):
    """Reads values while it is made, as stochastic depth does."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        self.register_buffer("scale", torch.from_numpy(np.ones(4, np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale * self.rates[1]


def frozen() -> nn.Module:
    module = Layered(nn.Linear(5, 4), nn.Linear(4, 3))
    module.layers[0].requires_grad_(False)
    return module


@pytest.mark.parametrize(
    ("make", "input_shape", "expected"),
    [
        (lambda: nn.Conv1d(2, 8, 5), (2, 30), Counted((8, 26), 88, 0, 2 * 5 * 8 * 26)),
        (frozen, (5,), Counted((3,), 24 + 15, 24, 20 + 12)),
        (lambda: Layered(nn.LSTM(8, 16, batch_first=True), Last()), (5, 8), Counted((16,), 1664, 0, 5 * 24 * 64)),
        (
            lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True),
            (10, 16),
            Counted((10, 16), 2224, 0, 10 * 16 * 64 + 2 * 10 * 10 * 16 + 2 * 10 * 16 * 32),
        ),
        (lambda: nn.Identity(), (4,), Counted((4,), 0, 0, 0)),
        (WithRates, (4,), Counted((4,), 0, 0, 0)),
    ],
)
def test_any_module_is_counted_exactly(make: Callable[[], nn.Module], input_shape, expected: Counted):
    before = torch.get_rng_state()
    assert count(make, input_shape) == expected
    assert torch.equal(torch.get_rng_state(), before)


class Computes(nn.Module):
    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda x: x + torch.arange(4),
            r"test_counting.py, line \d+: forward uses a tensor that is on the CPU: make it",
        ),
        (lambda x: x if x.sum() > 0 else -x, "forward reads values of a tensor, by if, .item.. or the like: decide by"),
        (lambda x: x * x.mean().item(), "forward reads values of a tensor"),
        (lambda x: x[x > 0], "forward reads values of a tensor"),
        (lambda x: x @ torch.zeros(3, 3, device=x.device), r"line \d+: forward raised RuntimeError: .*\[3, 3\]"),
        (lambda x: x.mean(), r"for 2 inputs \[2, 4\] forward returned \[\]: return one output for each input"),
        (lambda x: (x, x), "forward returned tuple: return one tensor"),
    ],
)
def test_a_module_that_cannot_be_counted_is_told_how_to_change(function: Callable[[Tensor], object], message: str):
    with pytest.raises(CannotCount, match=message):
        count(lambda: Computes(function), (4,))


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_lazy_layer_is_refused():
    with pytest.raises(CannotCount, match="a lazy layer has no size until it runs"):
        count(lambda: nn.LazyLinear(3), (4,))


def test_an_error_while_a_module_is_made_is_raised_as_it_is():
    with pytest.raises(TypeError, match="missing"):
        count(lambda: nn.Linear(3), (3,))  # type: ignore[call-arg]


def test_a_large_module_takes_no_memory():
    assert all(weights.is_meta for weights in make_on_meta(lambda: nn.Linear(10**6, 10**6)).parameters())
