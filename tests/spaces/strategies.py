"""For Hypothesis and for plain loops: random valid networks, recipes and draws from a space."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

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
    Upsample,
)
from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.space import Params, Space

MAX_SIZE = 64
"""Longest side and most channels of the random networks' images."""

convs = st.builds(
    Conv,
    filters=st.integers(1, 8),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid", 0, 1, 2]),
    dilation=st.integers(1, 2),
    bias=st.booleans(),
)
pools = st.builds(
    Pool,
    kind=st.sampled_from(["max", "average"]),
    size=st.integers(1, 3),
    stride=st.sampled_from([None, 1, 2, 3]),
    padding=st.integers(0, 1),
    ceil=st.booleans(),
)
activations = st.builds(Activation, st.sampled_from(["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid"]))
dropouts = st.builds(Dropout, st.floats(0, 0.9))
upsamples = st.builds(Upsample, st.integers(1, 3))
repeats = st.builds(Repeat, st.integers(1, 3))
denses = st.builds(Dense, st.integers(1, 12), bias=st.booleans())


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Valid networks on images of 1 to 3 channels and 8 to 32 pixels, to images or 10 features; no Backbone."""
    input_shape = (draw(st.integers(1, 3)), draw(st.integers(8, 32)), draw(st.integers(8, 32)))
    layers: list[Layer] = []
    for place in range(draw(st.integers(1, 6))):
        single = st.one_of(convs, pools, activations, dropouts, upsamples, repeats, st.just(Norm()))
        plain = single.map(lambda layer: [layer])
        more = [*layers, *draw(st.one_of(plain, skips(f"skip {place}"), hourglasses(f"size {place}")))]
        layers = more if _is_modest(Network(input_shape, tuple(more))) else layers
    if draw(st.booleans()):
        hidden = draw(st.lists(st.one_of(denses, activations, dropouts, st.just(Norm())), max_size=3))
        shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
        image = [Dense(math.prod(shape)), Reshape(shape), draw(activations)]
        layers += [
            draw(st.sampled_from([Flatten(), GlobalPool()])),
            *hidden,
            *draw(st.sampled_from([[Dense(10)], image])),
        ]
    return Network(input_shape, tuple(layers))


@st.composite
def skips(draw: st.DrawFn, name: str) -> list[Layer]:
    """A convolution with its input joined on: added after a projection that has a skip of its own, or concatenated."""
    conv = Conv(draw(st.integers(1, 8)), draw(st.integers(1, 5)), stride=draw(st.integers(1, 3)))
    if draw(st.booleans()):
        fits: tuple[Layer, ...] = (Conv(conv.filters, 1, stride=conv.stride, bias=False), Norm())
        nested = (Save(name), Conv(2, 3), Dropout(0.5), Join(name, "concat")) if draw(st.booleans()) else ()
        return [Save(name), conv, Norm(), Join(name, "add", projection=(*nested, *fits)), Activation()]
    projection = (Pool("max", conv.stride, ceil=True),) if conv.stride > 1 else ()
    return [Save(name), conv, Join(name, "concat", projection=projection)]


@st.composite
def hourglasses(draw: st.DrawFn, name: str) -> list[Layer]:
    """A pooling that keeps what an odd size leaves over, a convolution, and the way back to the size before."""
    pool = Pool(draw(st.sampled_from(["max", "average"])), draw(st.integers(1, 3)), ceil=True)
    return [Save(name), pool, Conv(draw(st.integers(1, 8)), 3), Upsample(pool.size, like=name)]


def _is_modest(network: Network) -> bool:
    try:
        return max(network.output_shape) <= MAX_SIZE
    except InvalidNetwork:
        return False


strengths = st.floats(0, 10)
recipes = st.builds(
    Recipe,
    optimizer=st.sampled_from(["adam", "adamw", "nadam", "rmsprop", "sgd", "adadelta"]),
    learning_rate=st.floats(1e-6, 10),
    weight_decay=st.floats(0, 1),
    schedule=st.sampled_from(["constant", "cosine", "one_cycle"]),
    batch_size=st.integers(1, 1024),
    augmentation=st.builds(Augmentation, rotation_degrees=strengths, shift_pixels=strengths, zoom=st.floats(0, 0.5)),
    label_smoothing=st.floats(0, 0.5),
    ema_decay=st.none() | st.floats(0.5, 0.9999),
    patience=st.none() | st.integers(1, 100),
)
candidates = st.builds(Candidate, networks(), recipes)


def draws(space: Space, num: int, seed: int = 0) -> list[Params]:
    """Draws from a space, every parameter uniform, or uniform in its logarithm."""
    rng = np.random.default_rng(seed)

    def suggest(name: str, distribution: BaseDistribution) -> Any:
        return _value(distribution, rng)

    return [space.draw(suggest) for _ in range(num)]


def _value(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return choices[rng.integers(len(choices))]
        case IntDistribution(low=low, high=high, log=True):
            return min(round(math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))), high)
        case IntDistribution(low=low, high=high, step=step):
            return int(rng.choice(np.arange(low, high + 1, step)))
        case FloatDistribution(low=low, high=high, log=True):
            return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
        case FloatDistribution(low=low, high=high):
            return float(rng.uniform(low, high))
    raise TypeError(f"unknown distribution {distribution!r}")
