"""A network's shapes, parameters and MACs by arithmetic, against hand-computed cases and published tables."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
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
    Rescale,
    Reshape,
    Save,
    Standardize,
    Upsample,
)
from spaces.network import Network
from tests.spaces.published import PUBLISHED
from tests.spaces.strategies import networks


@pytest.mark.parametrize(
    ("layer", "shape", "cost"),  # cost: output shape, parameters, MACs
    [
        (Conv(8, 3), (1, 28, 28), ((8, 28, 28), 80, 72 * 28 * 28)),
        (Conv(8, 3, bias=False), (2, 28, 28), ((8, 28, 28), 144, 144 * 28 * 28)),
        (Conv(4, 5, padding="valid"), (3, 10, 7), ((4, 6, 3), 304, 300 * 6 * 3)),
        (Conv(4, 3, padding=2), (1, 5, 6), ((4, 7, 8), 40, 36 * 7 * 8)),
        (Conv(1, 3, stride=2), (1, 7, 8), ((1, 4, 4), 10, 9 * 4 * 4)),
        (Conv(1, 2, stride=3), (1, 7, 8), ((1, 3, 3), 5, 4 * 3 * 3)),
        (Conv(1, 3, stride=2, padding="valid"), (1, 7, 8), ((1, 3, 3), 10, 9 * 3 * 3)),
        (Conv(1, 3, padding="valid", dilation=3), (1, 7, 9), ((1, 1, 3), 10, 9 * 3)),
        (Conv(1, 3, dilation=3), (1, 7, 9), ((1, 7, 9), 10, 9 * 7 * 9)),
        (Pool("max"), (3, 7, 8), ((3, 3, 4), 0, 0)),
        (Pool("max", ceil=True), (3, 7, 8), ((3, 4, 4), 0, 0)),
        (Pool("average", 3, stride=2), (3, 7, 8), ((3, 3, 3), 0, 0)),
        (Pool("average", 3, stride=2, ceil=True), (3, 7, 8), ((3, 3, 4), 0, 0)),
        (Pool("max", 3, stride=2, padding=1), (3, 7, 8), ((3, 4, 4), 0, 0)),
        (Pool("max", 2, stride=3, ceil=True), (3, 6, 7), ((3, 2, 3), 0, 0)),
        (Pool("max", 2, ceil=True), (3, 1, 1), ((3, 1, 1), 0, 0)),
        (Norm(), (6, 5, 5), ((6, 5, 5), 12, 0)),
        (Norm(), (6,), ((6,), 12, 0)),
        (Activation("gelu"), (6, 5, 5), ((6, 5, 5), 0, 0)),
        (Dropout(0.5), (6,), ((6,), 0, 0)),
        (Upsample(3), (2, 4, 5), ((2, 12, 15), 0, 0)),
        (Flatten(), (2, 4, 5), ((40,), 0, 0)),
        (GlobalPool(), (2, 4, 5), ((2,), 0, 0)),
        (Dense(10), (784,), ((10,), 7850, 7840)),
        (Dense(10, bias=False), (784,), ((10,), 7840, 7840)),
        (Save("x"), (2, 4, 5), ((2, 4, 5), 0, 0)),
        (Conv(8, 3), (2, 28), ((8, 28), 56, 48 * 28)),
        (Conv(4, 5, padding="valid", bias=False), (3, 10), ((4, 6), 60, 60 * 6)),
        (Conv(1, 3, stride=2), (1, 7), ((1, 4), 4, 3 * 4)),
        (Pool("average", 3, stride=2, ceil=True), (3, 8), ((3, 4), 0, 0)),
        (Norm(), (6, 5), ((6, 5), 12, 0)),
        (Upsample(3), (2, 5), ((2, 15), 0, 0)),
        (Flatten(), (2, 4), ((8,), 0, 0)),
        (GlobalPool(), (2, 4), ((2,), 0, 0)),
    ],
)
def test_a_layers_arithmetic(layer: Layer, shape: tuple[int, ...], cost: tuple):
    assert layer.cost(shape)[:3] == cost


def test_same_padding_puts_the_odd_pixel_after_the_image():
    assert Conv(1, 3).pads(8) == (1, 1)
    assert Conv(1, 4).pads(8) == (1, 2)
    assert Conv(1, 3, stride=2).pads(7) == (1, 1)
    assert Conv(1, 3, stride=2).pads(8) == (0, 1)
    assert Conv(1, 1, stride=3).pads(8) == (0, 0)
    assert Conv(1, 3, dilation=2).pads(8) == (2, 2)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str):
    network, num_params = PUBLISHED[name]
    assert network.num_params == num_params
    assert network.num_trainable == {"shan-vgg16": 268_810, "resnet18-frozen": 5_130}.get(name, num_params)


def test_bertoldis_table_layer_by_layer():
    trace = PUBLISHED["bertoldi"][0].trace()
    assert [step.params for step in trace if step.params] == [80, 584, 1168, 7850]
    assert [step.macs for step in trace if step.macs] == [72 * 784, 576 * 784, 1152 * 196, 7840]


def test_the_other_tables_layer_by_layer():
    def params(name: str) -> list[int]:
        return [step.params for step in PUBLISHED[name][0].trace() if step.params]

    assert params("shan-base") == [544, 16416, 16416, 16416, 33024, 2570]
    assert params("shan-small") == [130, 630, 10, 882, 1232, 14, 1421, 500]
    assert params("shan-vgg16") == [14_714_688, 262_656, 1024, 5130]
    keras = [640, 36928, 128, 204928, 409728, 256, 295168, 590080, 512, 295040, 73792, 4160, 650]
    assert params("keras-max-digit") == keras
    assert params("wide-denoiser") == [320, 9248, 18496, 73856, 1153]


def test_the_shapes_on_the_way():
    sizes = [step.shape[1] for step in PUBLISHED["keras-autoencoder"][0].trace()]
    assert sizes == [28, 28, 14, 14, 14, 7, 7, 7, 4, 4, 4, 8, 8, 8, 16, 14, 14, 28, 28, 28]
    assert (18_432,) in [step.shape for step in PUBLISHED["torch-max-digit"][0].trace()]
    assert (1152,) in [step.shape for step in PUBLISHED["keras-max-digit"][0].trace()]
    assert PUBLISHED["dense-denoiser"][0].output_shape == (226_800,)


def test_a_network_without_layers_is_its_input():
    assert Network((1, 2, 3), ()).output_shape == (1, 2, 3)
    assert Network((1, 2, 3), ()).num_params == 0


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((Conv(4, 5, padding="valid"), Conv(4, 5, padding="valid")), r"layer 2: Conv\(.*leaves nothing.*\(4, -2, 4\)"),
        ((Pool("max", 4), Pool("max", 4)), r"layer 2: Pool\(.*leaves nothing.*\(1, 0, 0\)"),
        ((Pool("max", 2, padding=2),), r"layer 1: .*padding must be at most half"),
        ((Dense(3),), r"layer 1: Dense\(.*takes features.*\(1, 6, 12\).*Flatten or GlobalPool"),
        ((Flatten(), Conv(3, 3)), r"layer 2: Conv\(.*takes an image.*\(72,\)"),
        ((Flatten(), Upsample()), r"layer 2: Upsample\(.*takes an image"),
        ((Flatten(), GlobalPool()), r"layer 2: GlobalPool\(.*takes an image"),
        ((Dropout(1.0),), r"layer 1: Dropout\(.*below 1"),
        ((Dropout(-0.1),), r"layer 1: Dropout\(.*at least 0"),
        ((Save("a"), Conv(2, 3), Join("b")), r"layer 3: Join\('b'\) finds nothing saved"),
        ((Save("a"), Conv(2, 3), Join("a")), r"layer 3: Join\('a', 'add'\): \(1, 6, 12\) does not fit \(2, 6, 12\)"),
        ((Save("a"), Pool("max"), Join("a", "concat")), r"layer 3: .*\(1, 6, 12\) does not fit \(1, 3, 6\)"),
        ((Save("a"), Flatten(), Join("a", "concat")), r"layer 3: .*does not fit"),
        ((Save("a"), Join("a", projection=(Pool("max", 9),))), r"layer 2: layer 1: Pool\(.*leaves nothing"),
        ((Backbone("vgg16"),), r"layer 1: Backbone\('vgg16'\) takes 3 channels, but gets \(1, 6, 12\)"),
        ((Conv(3, 1), Backbone("vgg16")), r"layer 2: layer \d+: Pool\(.*leaves nothing"),
    ],
)
def test_what_cannot_be_built_is_invalid_with_layer_and_reason(layers: tuple[Layer, ...], reason: str):
    with pytest.raises(InvalidNetwork, match=reason):
        Network((1, 6, 12), layers).trace()


def test_joins_add_or_concatenate_and_count_their_projection():
    projection = (Conv(4, 1, stride=2, bias=False), Norm())
    added = Network((3, 8, 8), (Save("a"), Conv(4, 3, stride=2), Join("a", projection=projection)))
    assert added.output_shape == (4, 4, 4)
    assert added.num_params == (3 * 9 * 4 + 4) + (3 * 4 + 8)
    assert added.num_macs == (3 * 9 * 4 + 3 * 4) * 16
    joined = Network((3, 8, 8), (Save("a"), Conv(4, 3), Join("a", "concat")))
    assert joined.output_shape == (7, 8, 8)
    assert Network((3, 8, 8), (Flatten(), Save("a"), Dense(5), Join("a", "concat"))).output_shape == (197,)


def test_frozen_backbones_are_counted_but_not_trainable():
    image, head = (3, 64, 64), (GlobalPool(), Dense(10))
    frozen, free = (Network(image, (Backbone("resnet18", frozen), *head)) for frozen in (True, False))
    assert frozen.num_params == free.num_params == free.num_trainable == 11_176_512 + 5130
    assert frozen.num_trainable == 5130
    aside = (Save("a"), Conv(512, 3, stride=32), Join("a", projection=(Backbone("resnet18"),)), *head)
    assert Network(image, aside).num_trainable == 3 * 9 * 512 + 512 + 5130


@pytest.mark.parametrize("kind", [Standardize, Rescale])
def test_numbers_of_numpy_become_plain_ones(kind: type[Layer]):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    layer = kind(x.mean(axis=0), x.std())  # type: ignore[call-arg]
    assert layer == kind((2.0, 3.0), float(x.std()))  # type: ignore[call-arg]
    network = Network((2,), (layer,))
    assert Network.from_json(json.loads(json.dumps(network.to_json()))) == network


def test_signals_and_images_do_not_mix():
    with pytest.raises(InvalidNetwork, match=r"layer 1: Backbone\('resnet18'\) takes 3 channels, but gets \(3, 64\)"):
        Network((3, 64), (Backbone("resnet18"),)).trace()
    with pytest.raises(InvalidNetwork, match=r"layer 4: .*: 8x8 cannot be cut to 16"):
        Network((1, 16), (Save("a"), Flatten(), Reshape((1, 4, 4)), Upsample(like="a"))).trace()


@settings(max_examples=100, deadline=None)
@given(st.one_of(networks(), networks(num_sides=1)))
def test_json_round_trip(network: Network):
    again = Network.from_json(json.loads(json.dumps(network.to_json())))
    assert again == network
    assert again.trace() == network.trace()


@pytest.mark.parametrize("name", PUBLISHED)
def test_json_round_trip_of_published_networks(name: str):
    network, _ = PUBLISHED[name]
    assert Network.from_json(json.loads(json.dumps(network.to_json()))) == network


@settings(deadline=None)
@given(st.text().filter(lambda name: name not in Layer.kinds))
def test_an_unknown_layer_is_named_beside_the_known_ones(name: str):
    for layer in ({"layer": name}, {"layer": "Join", "name": "a", "projection": [{"layer": name}]}):
        with pytest.raises(ValueError, match="no layer is called") as error:
            Network.from_json({"input_shape": [1, 8, 8], "layers": [layer]})
        assert repr(name) in str(error.value)
        assert set(str(error.value).rpartition("there are ")[2].split(", ")) == Layer.kinds.keys()
