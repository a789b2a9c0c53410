"""Random valid networks, recipes and draws from a space, for Hypothesis and for plain loops."""

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

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
    Rescale,
    Reshape,
    Save,
    Standardize,
    Upsample,
)
from spaces.network import Network
from spaces.own import Own
from spaces.recipe import Augmentation, Candidate, Recipe
from spaces.space import Params, Space

MAX_SIZE = 64
"""The longest side and the maximum number of channels of the random networks' images."""

SINGLE: dict[type[Layer], st.SearchStrategy[Layer]] = {
    Conv: st.builds(
        Conv,
        filters=st.integers(1, 8),
        kernel=st.integers(1, 5),
        stride=st.integers(1, 3),
        padding=st.sampled_from(["same", "valid", 0, 1, 2]),
        dilation=st.integers(1, 2),
        bias=st.booleans(),
    ),
    Pool: st.builds(
        Pool,
        kind=st.sampled_from(["max", "average"]),
        size=st.integers(1, 3),
        stride=st.sampled_from([None, 1, 2, 3]),
        padding=st.integers(0, 1),
        ceil=st.booleans(),
    ),
    Standardize: st.builds(Standardize, st.floats(0, 1), st.floats(0.1, 1)),
    Rescale: st.builds(Rescale, st.floats(-9, 9), st.floats(0.1, 9)),
    Norm: st.just(Norm()),
    Activation: st.builds(Activation, st.sampled_from(["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid"])),
    Dropout: st.builds(Dropout, st.floats(0, 0.9)),
    Upsample: st.builds(Upsample, st.integers(1, 3)),
    Repeat: st.builds(Repeat, st.integers(1, 3)),
}
"""The kinds of layers that may stand anywhere between images, each with its strategy."""
GROUPED = {Flatten, GlobalPool, Dense, Reshape, Save, Join}
"""The kinds of layers that `networks` draws together with others."""
LEFT_OUT = {Backbone, Own}
"""The kinds that are not drawn: too large, or made by a user's code."""


def single_layers() -> st.SearchStrategy[Layer]:
    """Draws a layer of any kind that is not in GROUPED or LEFT_OUT. Raises KeyError for a kind without a strategy."""
    kinds = set(Layer.kinds.values()) - GROUPED - LEFT_OUT
    if missing := [kind.__name__ for kind in kinds if kind not in SINGLE]:
        raise KeyError(f"{', '.join(missing)}: add a strategy to SINGLE in tests/spaces/strategies.py")
    return st.one_of(*(SINGLE[kind] for kind in sorted(kinds, key=lambda kind: kind.__name__)))


denses = st.builds(Dense, st.integers(1, 12), bias=st.booleans())


@st.composite
def networks(draw: st.DrawFn, num_sides: int = 2) -> Network:
    """Draws valid networks without a Backbone, from images [1 to 3, 8 to 32, 8 to 32] to images or 10 features.

    With `num_sides=1`, images are signals [1 to 3, 8 to 32].
    """
    sides = st.lists(st.integers(8, 32), min_size=num_sides, max_size=num_sides)
    input_shape = (draw(st.integers(1, 3)), *draw(sides))
    layers: list[Layer] = []
    for place in range(draw(st.integers(1, 6))):
        channels = Network(input_shape, tuple(layers)).output_shape[0]
        plain = st.one_of(single_layers(), by_channel(channels)).map(lambda layer: [layer])
        more = [*layers, *draw(st.one_of(plain, skips(f"skip {place}"), hourglasses(f"size {place}")))]
        layers = more if _is_modest(Network(input_shape, tuple(more))) else layers
    if draw(st.booleans()):
        hidden = draw(st.lists(st.one_of(denses, SINGLE[Activation], SINGLE[Dropout], SINGLE[Norm]), max_size=3))
        shape = draw(st.tuples(st.integers(1, 3), *[st.integers(1, 6)] * num_sides))
        image = [Dense(math.prod(shape)), Reshape(shape), draw(SINGLE[Activation])]
        layers += [
            draw(st.sampled_from([Flatten(), GlobalPool()])),
            *hidden,
            *draw(st.sampled_from([[Dense(10), draw(by_channel(10))], image])),
        ]
    return Network(input_shape, tuple(layers))


def by_channel(channels: int) -> st.SearchStrategy[Layer]:
    """Draws a layer that shifts and scales each channel by numbers of its own."""
    means = st.tuples(*[st.floats(-9, 9)] * channels)
    deviations = st.tuples(*[st.floats(0.1, 9)] * channels)
    return st.one_of(st.builds(kind, means, st.floats(0.1, 9) | deviations) for kind in (Standardize, Rescale))


@st.composite
def skips(draw: st.DrawFn, name: str) -> list[Layer]:
    """Draws a convolution with a skip: added after a projection, which may have a skip of its own, or concatenated."""
    conv = Conv(draw(st.integers(1, 8)), draw(st.integers(1, 5)), stride=draw(st.integers(1, 3)))
    if draw(st.booleans()):
        fits: tuple[Layer, ...] = (Conv(conv.filters, 1, stride=conv.stride, bias=False), Norm())
        nested = (Save(name), Conv(2, 3), Dropout(0.5), Join(name, "concat")) if draw(st.booleans()) else ()
        return [Save(name), conv, Norm(), Join(name, "add", projection=(*nested, *fits)), Activation()]
    projection = (Pool("max", conv.stride, ceil=True),) if conv.stride > 1 else ()
    return [Save(name), conv, Join(name, "concat", projection=projection)]


@st.composite
def hourglasses(draw: st.DrawFn, name: str) -> list[Layer]:
    """Draws a pooling with `ceil`, a convolution, and an upsampling back to the size before."""
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
    """Returns `num` draws from a space; each parameter is uniform, or uniform in its logarithm."""
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
