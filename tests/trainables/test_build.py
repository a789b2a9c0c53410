"""A built module has the shapes, parameters and MACs of the arithmetic, and its weights depend on its seed alone."""

import random
from contextlib import suppress
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from search import tasks
from spaces.backbones import Backbone
from spaces.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    InvalidNetwork,
    Join,
    Layer,
    Norm,
    Pool,
    Rescale,
    Save,
    Standardize,
    Upsample,
)
from spaces.network import Network
from tests.spaces.published import PUBLISHED
from tests.spaces.strategies import draws, networks
from trainables.build import ACTIVATIONS, Module, build


def check(network: Network, device: str = "meta") -> None:
    """Builds a network, passes two images through it, and compares each layer with the arithmetic."""
    module = build(network, device=device).eval()
    shapes: dict[int, tuple[int, ...]] = {}
    for place, layer in enumerate(module.layers):
        layer.register_forward_hook(lambda _layer, _x, y, place=place: shapes.update({place: tuple(y.shape)}))
    with FlopCounterMode(display=False) as counter:
        y = module(torch.rand(2, *network.input_shape, device=device))

    assert y.shape == (2, *network.output_shape)
    assert counter.get_total_flops() == 2 * 2 * network.num_macs  # a MAC is 2 flops, and there are 2 images
    for place, (layer, built, cost) in enumerate(zip(network.layers, module.layers, network.trace(), strict=True)):
        assert isinstance(layer, Save) or shapes[place] == (2, *cost.shape), layer
        assert count(built) == cost.params, layer
        assert count(built, trainable=True) == cost.params - cost.frozen, layer
    assert count(module) == network.num_params
    assert count(module, trainable=True) == network.num_trainable


def count(module: nn.Module, trainable: bool = False) -> int:
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad or not trainable)


@settings(max_examples=60, deadline=None)
@given(st.one_of(networks(), networks(num_sides=1)))
def test_the_module_is_what_the_arithmetic_says(network: Network):
    check(network)


@settings(max_examples=15, deadline=None)
@given(st.one_of(networks(), networks(num_sides=1)))
def test_on_a_cpu_it_computes(network: Network):
    check(network, "cpu")
    y = build(network)(torch.rand(2, *network.input_shape))
    assert y.isfinite().all()


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(name: str):
    check(PUBLISHED[name][0])


def test_convolutions_and_pools_refuse_the_same_images_as_torchs():
    """Checks all small cases: the arithmetic gives torch's size, and is invalid exactly where torch raises."""
    geometries = (range(1, 5), range(1, 4), range(3))  # kernel or size, stride, padding
    convs = [Conv(1, k, stride=s, padding=p, dilation=d) for k, s, p, d in product(*geometries, (1, 2))]
    pools = [Pool("max", k, stride=s, padding=p, ceil=ceil) for k, s, p, ceil in product(*geometries, (False, True))]
    for layer, size in product([*convs, *pools], range(1, 7)):
        assert size_by_arithmetic(layer, size) == size_by_torch(layer, size), (layer, size)


def size_by_arithmetic(layer: Layer, size: int) -> int | None:
    try:
        return layer.cost((1, size, size)).shape[1]
    except InvalidNetwork:
        return None


def size_by_torch(layer: Layer, size: int) -> int | None:
    x = torch.empty(1, 1, size, size, device="meta")
    try:
        if isinstance(layer, Pool):
            return functional.max_pool2d(x, layer.size, layer.stride, layer.padding, ceil_mode=layer.ceil).shape[2]
        assert isinstance(layer, Conv)
        kernel = torch.empty(1, 1, layer.kernel, layer.kernel, device="meta")
        return functional.conv2d(x, kernel, None, layer.stride, layer.padding, layer.dilation).shape[2]
    except RuntimeError:
        return None


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (2, 3), (3, 2)])
def test_same_padding_is_torchs_own_where_torch_has_one(kernel: int, dilation: int):
    module = build(Network((2, 9, 8), (Conv(3, kernel, dilation=dilation),)))
    x = torch.rand(2, 2, 9, 8)
    weight, bias = module.parameters()
    expected = functional.conv2d(x, weight, bias, padding="same", dilation=dilation)
    torch.testing.assert_close(module(x), expected)


def test_same_padding_with_a_stride_adds_the_odd_pixel_after_the_image():
    module = build(Network((1, 7, 8), (Conv(1, 3, stride=2),)))
    x = torch.rand(1, 1, 7, 8)
    padded = functional.pad(x, (0, 1, 1, 1))  # left, right, top, bottom
    torch.testing.assert_close(module(x), functional.conv2d(padded, *module.parameters(), stride=2))


def test_joins_add_what_was_saved_or_put_it_behind():
    x = torch.tensor([[[[-1.0, 2.0]]]])
    join = {mode: build(Network((1, 1, 2), (Save("a"), Activation(), Join("a", mode)))) for mode in ("add", "concat")}
    assert join["add"](x).tolist() == [[[[-1, 4]]]]
    assert join["concat"](x).tolist() == [[[[0, 2]], [[-1, 2]]]]


def test_a_projection_may_have_skips_of_its_own():
    inner = (Save("inner"), Dropout(0.5), Join("inner", "concat"), Conv(1, 1))
    network = Network((1, 4, 4), (Save("outer"), Join("outer", projection=inner)))
    check(network, "cpu")


def test_draws_of_a_tasks_space_can_be_built_unless_their_image_shrinks_to_nothing():
    space = tasks.find("tiny10k").space
    for params in draws(space, 40):
        network = space.build(params).network
        with suppress(InvalidNetwork):
            network.trace()
            check(network)


EVERYTHING = Network(
    (1, 12, 12),
    (Conv(4, 3), Norm(), Save("a"), Conv(4, 3), Dropout(0.5), Join("a"), Flatten(), Dense(8), Dropout(0.2), Dense(10)),
)


def test_weights_come_from_the_seed_alone():
    weights = weights_of(EVERYTHING, seed=3)
    torch.manual_seed(7)
    assert equal(weights_of(EVERYTHING, seed=3), weights)
    assert not equal(weights_of(EVERYTHING, seed=4), weights)


def test_building_and_dropout_leave_the_global_generators_alone():
    before = global_states()
    build(EVERYTHING, seed=3)(torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0)))
    assert global_states() == before


def test_dropout_draws_from_the_modules_own_generator():
    x = torch.ones(1, 1, 50, 50)
    network = Network((1, 50, 50), (Dropout(0.2),))
    first, second, other = build(network, seed=3), build(network, seed=3), build(network, seed=4)
    y = first(x)
    torch.manual_seed(7)
    assert torch.equal(second(x), y)
    assert not torch.equal(first(x), y)
    assert not torch.equal(other(x), y)
    assert sorted(y.unique().tolist()) == pytest.approx([0, 1 / 0.8])
    assert y.mean().item() == pytest.approx(1, abs=0.05)
    assert first.eval()(x) is x


def test_weights_start_as_keras_starts_them():
    conv, dense = build(Network((3, 8, 8), (Conv(50, 3), Flatten(), Dense(20))), seed=1).layers[::2]
    for layer, fans in ((conv, 3 * 9 + 50 * 9), (dense, 50 * 64 + 20)):
        limit = (6 / fans) ** 0.5
        assert 0.99 * limit < layer.weight.abs().max().item() <= limit
        assert layer.weight.mean().abs().item() < 0.05 * limit
        assert not layer.bias.any()


@pytest.mark.parametrize("name", ["resnet18", "vgg16"])
def test_backbones_are_torchvisions_and_frozen_ones_stay_as_they_are(name: str):
    check(Network((3, 64, 48), (Backbone(name, frozen=False), GlobalPool(), Dense(10))))
    frozen = build(Network((3, 64, 48), (Backbone(name), GlobalPool(), Dense(10))), device="meta").train()
    assert not any(part.training for part in frozen.layers[0].modules())
    assert frozen.layers[1].training


def test_a_backbone_gets_weights_from_its_seed_or_from_torchvisions_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from torchvision import models

    def backbone(weights: str) -> Module:
        return build(Network((3, 32, 32), (Backbone("resnet18", weights=weights),)), seed=3)

    published = models.resnet18().state_dict()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub/checkpoints" / Path(models.ResNet18_Weights.DEFAULT.url).name
    file.parent.mkdir(parents=True)
    torch.save(published, file)

    before = global_states()
    loaded, drawn = backbone("imagenet"), backbone("random")
    assert global_states() == before
    assert torch.equal(loaded.layers[0].features[0].weight, published["conv1.weight"])
    assert torch.equal(loaded.layers[0].features[7][1].bn2.running_var, published["layer4.1.bn2.running_var"])
    assert equal(dict(backbone("random").state_dict()), dict(drawn.state_dict()))
    assert drawn.eval()(torch.rand(1, 3, 32, 32)).isfinite().all()


def weights_of(network: Network, seed: int) -> dict[str, torch.Tensor]:
    return dict(build(network, seed).state_dict())


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in one.items())


def global_states() -> tuple[object, ...]:
    """Returns the states of the global generators of torch, numpy and Python."""
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "sigmoid", "gelu", "silu"])
def test_activating_behind_a_max_pool_changes_nothing(name):
    """Monotonic activations are moved there; gelu and silu, which fall at first, are not.

    With 16 images all values fill registers: what is left over, torch computes in another way, to other bits.
    """
    network = Network((1, 8, 8), (Conv(3, 3), Activation(name), Pool("max", 2), Flatten(), Dense(2)))
    module, x = build(network, seed=4), torch.randn(16, 1, 8, 8)
    conv, dense = module.layers[0], module.layers[-1]
    activated = ACTIVATIONS[name]()(conv(x))
    assert torch.equal(module(x), dense(functional.max_pool2d(activated, 2).flatten(1)))
    assert isinstance(module.layers[1], nn.Identity) == (name not in ("gelu", "silu"))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_scales_it_up(rate):
    module = build(Network((40_000,), (Dropout(rate),)), seed=2)
    y = module(torch.ones(1, 40_000))
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    assert (y > 0).float().mean().item() == pytest.approx(1 - rate, abs=0.01)
    assert not torch.equal(y, module(torch.ones(1, 40_000)))
    assert torch.equal(module.eval()(torch.ones(1, 4)), torch.ones(1, 4))


def test_pixels_are_standardized():
    module = build(Network((1, 1, 2), (Standardize(0.5, 0.25),)))
    assert module(torch.tensor([[[[0.0, 1.0]]]])).flatten().tolist() == [-2.0, 2.0]


def test_channels_and_features_are_standardized_each_by_its_own_numbers():
    images = build(Network((2, 1, 2), (Standardize((0.5, 1.0), (0.25, 2.0)),)))
    assert images(torch.tensor([[[[0.0, 1.0]], [[1.0, 3.0]]]])).tolist() == [[[[-2, 2]], [[0, 1]]]]
    signals = build(Network((2, 2), (Standardize((0.5, 1.0), 0.5),)))
    assert signals(torch.tensor([[[0.0, 1.0], [1.0, 3.0]]])).tolist() == [[[-1, 1], [0, 4]]]
    features = build(Network((2,), (Standardize(1.0, (0.5, 2.0)),)))
    assert features(torch.tensor([[0.0, 1.0], [1.0, 3.0]])).tolist() == [[-2, 0], [0, 1]]


def test_outputs_are_rescaled_in_float32():
    module = build(Network((2,), (Rescale((1000.0, -1.0), (1.0, 2.0)),)))
    x = torch.tensor([[0.25, 0.5]], dtype=torch.bfloat16)
    assert module(x).tolist() == [[1000.25, 0]]
    assert module(x).dtype == torch.float32
    assert build(Network((2,), (Rescale(1000.0, 2.0),)))(x).tolist() == [[1000.5, 1001]]


@pytest.mark.parametrize("kind", [Standardize, Rescale])
@pytest.mark.parametrize(("mean", "std", "wrong"), [((1.0,), 1.0, "mean has 1"), (0.0, (1.0, 1.0, 1.0), "std has 3")])
def test_numbers_for_another_number_of_channels_are_refused(kind: type[Layer], mean: object, std: object, wrong: str):
    with pytest.raises(
        InvalidNetwork, match=rf"{kind.__name__}: {wrong} values, but the input \(2, 5\) has 2 channels"
    ):
        Network((2, 5), (kind(mean, std),)).trace()  # type: ignore[call-arg]


def test_layers_of_signals_are_torchs_own():
    x = torch.randn(2, 3, 10)
    conv = build(Network((3, 10), (Conv(4, 4, stride=3),)))
    padded = functional.pad(x, (1, 2))
    torch.testing.assert_close(conv(x), functional.conv1d(padded, *conv.parameters(), stride=3))
    layers = (Pool("max"), Pool("average", 3, stride=2, padding=1, ceil=True), Upsample(2), GlobalPool())
    y = functional.avg_pool1d(functional.max_pool1d(x, 2), 3, 2, 1, ceil_mode=True).repeat_interleave(2, 2).mean(2)
    torch.testing.assert_close(build(Network((3, 10), layers))(x), y)


def test_a_signal_is_activated_behind_its_max_pool():
    module, x = build(Network((1, 9), (Activation(), Pool("max")))), torch.randn(4, 1, 9)
    assert isinstance(module.layers[0], nn.Identity)
    assert torch.equal(module(x), functional.max_pool1d(x.relu(), 2))


@pytest.mark.parametrize(("kernel", "dilation", "filters"), [(3, 8, 17), (3, 16, 17), (5, 4, 17), (5, 16, 9)])
def test_dilated_convolutions_can_be_trained_in_bfloat16(kernel: int, dilation: int, filters: int):
    """oneDNN crashed here; a failure of this test ends the pytest process too."""
    layers = (Conv(filters, 3), Conv(filters, kernel, dilation=dilation), Conv(1, 3))
    module = build(Network((1, 64, 64), layers)).to(memory_format=torch.channels_last)
    x = torch.rand(4, 1, 64, 64).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = module(x)
    outputs.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
