"""Tests layers of networks from image to image: reshaping, upsampling to a size, any size, and the size of the code."""

import json

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

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
    Repeat,
    Reshape,
    Save,
    Standardize,
    Upsample,
)
from spaces.network import Network
from tests.spaces.published import PUBLISHED
from tests.spaces.strategies import networks
from trainables.build import build

HALVED = Pool("max", ceil=True)
LIKE = (Save("a"), HALVED, Upsample(like="a"))
PIXELS = Standardize(0.5, 0.25)


# ---- Layers ----


def test_repeat_and_reshape_take_no_weights():
    assert Repeat(3).cost((2, 4, 5)) == ((6, 4, 5), 0, 0, 0)
    assert Reshape((2, 3, 4)).cost((24,)) == ((2, 3, 4), 0, 0, 0)
    assert Upsample(3, like="a").cost_with((2, 3, 3), (5, 7, 9)) == ((2, 7, 9), 0, 0, 0)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((Flatten(), Repeat(3)), r"layer 2: Repeat\(times=3\) takes an image, but gets \(78,\)"),
        ((Reshape((1, 6, 13)),), r"layer 1: Reshape\(.*takes 78 features, but gets \(1, 6, 13\)"),
        ((Flatten(), Reshape((1, 6, 12))), r"layer 2: Reshape\(.*takes 72 features, but gets \(78,\)"),
        ((HALVED, Upsample(like="a")), r"layer 2: Upsample\('a'\) finds nothing saved"),
        ((HALVED, Save("a"), Upsample(like="b")), r"layer 3: Upsample\('b'\) finds nothing saved"),
        ((Save("a"), Upsample(like="a")), r"layer 2: Upsample\(.*: 12x26 cannot be cut to 6x13"),
        ((Save("a"), Pool("max"), Upsample(like="a")), r"layer 3: Upsample\(.*: 6x12 cannot be cut to 6x13"),
        ((Save("a"), Pool("max", 3, ceil=True), Upsample(2, like="a")), r"layer 3: .*: 4x10 cannot be cut to 6x13"),
        ((Flatten(), Save("a"), Reshape((1, 6, 13)), Upsample(like="a")), r"layer 4: .*an image, but gets \(78,\)"),
        ((Save("a"), Flatten(), Upsample(like="a")), r"layer 3: .*an image, but gets \(78,\)"),
    ],
)
def test_what_cannot_be_built_is_invalid_with_layer_and_reason(layers: tuple[Layer, ...], reason: str):
    with pytest.raises(InvalidNetwork, match=reason):
        Network((1, 6, 13), layers).trace()


def test_a_grey_image_becomes_three_equal_channels_and_colours_stay_together():
    x = torch.rand(2, 2, 3, 4)
    assert torch.equal(build(Network((2, 3, 4), (Repeat(3),)))(x), torch.cat([x, x, x], dim=1))


def test_reshape_undoes_flatten():
    x = torch.rand(2, 2, 3, 4)
    assert torch.equal(build(Network((2, 3, 4), (Flatten(), Reshape((2, 3, 4)))))(x), x)


def test_upsampling_repeats_pixels_and_cuts_what_stands_out():
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    assert build(Network((1, 1, 3), LIKE))(x).tolist() == [[[[2, 2, 3]]]]


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_pooled_twice_and_upsampled_every_size_comes_back(factor: int):
    pool = Pool("average", factor, ceil=True)
    layers = (Save("a"), pool, Save("b"), pool, Upsample(factor, like="b"), Conv(2, 3), Upsample(factor, like="a"))
    for height in range(1, 2 * factor + 2):
        network = Network((1, height, 11), layers)
        assert network.output_shape == (2, height, 11)
        assert build(network)(torch.rand(1, 1, height, 11)).shape == (1, 2, height, 11)


@pytest.mark.parametrize("layers", [LIKE, (Repeat(3),), (Flatten(), Dense(12), Reshape((3, 2, 2)))])
def test_json_round_trip(layers: tuple[Layer, ...]):
    network = Network((1, 5, 7), layers)
    again = Network.from_json(json.loads(json.dumps(network.to_json())))
    assert again == network
    assert hash(again) == hash(network)
    assert again.trace() == network.trace()


# ---- The size of the code ----


@pytest.mark.parametrize(
    ("layers", "code_size"),  # on images of 8x10
    [
        ((), 80),
        ((Conv(1, 3),), 80),
        ((Conv(4, 3), Activation(), Conv(1, 3)), 80),
        ((Conv(4, 3), HALVED, Conv(2, 3), HALVED, Upsample(), Conv(8, 3), Upsample(), Conv(1, 3)), 2 * 2 * 3),
        ((Flatten(), Dense(32), Dense(7), Activation(), Dense(80), Reshape((1, 8, 10))), 7),
        ((Conv(4, 3), GlobalPool(), Dense(80), Reshape((1, 8, 10))), 4),
    ],
)
def test_the_code_is_the_narrowest_place_from_input_to_output(layers: tuple[Layer, ...], code_size: int):
    assert Network((1, 8, 10), layers).code_size == code_size


def test_the_code_of_published_networks():
    assert PUBLISHED["keras-autoencoder"][0].code_size == 8 * 4 * 4
    assert PUBLISHED["flat-autoencoder"][0].code_size == 28 * 28
    assert PUBLISHED["dense-denoiser"][0].code_size == 2000


def test_what_a_skip_takes_past_the_narrowest_place_is_part_of_the_code():
    down, up = (Conv(2, 3), Pool("max"), Pool("max")), (Upsample(), Upsample())
    narrow = (Save("a"), *down, Conv(3, 3), Save("b"), *up)
    assert Network((1, 8, 8), (*narrow, Conv(1, 3))).code_size == 2 * 2 * 2
    for join in (Join("a"), Join("a", "concat")):
        assert Network((1, 8, 8), (*narrow, Conv(1, 3), join, Conv(1, 3))).code_size == 64
    assert Network((1, 8, 8), (*down, *narrow[:1], Conv(2, 3), Join("a"), *up, Conv(1, 3))).code_size == 2 * 2 * 2


def test_a_size_taken_past_the_narrowest_place_is_no_part_of_the_code():
    back = (Save("a"), HALVED, Conv(1, 3), Upsample(like="a"), Conv(1, 3))
    assert Network((1, 7, 9), back).code_size == 4 * 5


# ---- Images of another size ----


@settings(max_examples=60)
@given(networks(), st.integers(1, 40), st.integers(1, 40))
def test_a_network_that_takes_any_size_is_built_once_for_all(network: Network, height: int, width: int):
    assume(network.takes_any_size)
    try:
        shape = network.resized(height, width).output_shape
    except InvalidNetwork:  # the image is too small, or a skip fits the first size only
        return
    assert build(network).eval()(torch.rand(1, network.input_shape[0], height, width)).shape == (1, *shape)


@pytest.mark.parametrize(
    ("layer", "takes_any_size"),
    [
        (PIXELS, True),
        (Conv(2, 4, dilation=2), True),
        (Conv(2, 3, stride=2, padding=1), True),
        (Conv(2, 3, stride=2), False),  # 'same' pads even and odd sizes differently
        (Repeat(3), True),
        (Upsample(), True),
        (Flatten(), False),
        (GlobalPool(), False),
    ],
)
def test_which_layers_take_any_size(layer: Layer, takes_any_size: bool):
    assert Network((1, 8, 8), (Conv(2, 3), Norm(), layer)).takes_any_size == takes_any_size


def test_published_networks_that_take_any_size():
    fixed = {name for name, (network, _) in PUBLISHED.items() if not network.takes_any_size}
    assert PUBLISHED.keys() - fixed == {"keras-autoencoder", "flat-autoencoder", "wide-denoiser"}
    module = build(Network((1, 8, 8), (*LIKE, Conv(1, 3))))
    assert module(torch.rand(1, 1, 7, 13)).shape == (1, 1, 7, 13)


# ---- Layers that stay as they are ----


@pytest.mark.parametrize(
    ("layers", "num_fixed_layers"),
    [
        ((Backbone("resnet18"),), 1),
        ((PIXELS, Pool("average"), Upsample(4), Repeat(1), Backbone("resnet18"), GlobalPool(), Dense(10)), 5),
        ((PIXELS, Backbone("resnet18", frozen=False), GlobalPool(), Dense(10)), 0),
        ((PIXELS, Conv(3, 1), Backbone("resnet18")), 0),
        ((PIXELS, Norm(), Backbone("resnet18")), 0),
        ((PIXELS, Dropout(0.5), Backbone("resnet18")), 0),
        ((*LIKE, Backbone("resnet18")), 0),
        ((PIXELS, Conv(8, 3), GlobalPool(), Dense(10)), 0),
        ((), 0),
    ],
)
def test_fixed_layers_reach_to_a_frozen_backbone_if_nothing_before_it_learns(
    layers: tuple[Layer, ...], num_fixed_layers: int
):
    network = Network((3, 32, 32), layers)
    network.trace()
    assert network.num_fixed_layers == num_fixed_layers
