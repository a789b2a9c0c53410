"""Draws have exactly the parameters that apply; pinned parameters are checked and have their value in every draw."""

import math
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from spaces.layers import Flatten
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.space import Parameter, Params, Space, describe
from tests.spaces.strategies import draws


def build(params: Params) -> Candidate:
    return Candidate(Network((1, 8, 8), (Flatten(),)), Recipe(batch_size=int(params["size"])))


SPACE = Space(
    (
        Parameter("optimizer", CategoricalDistribution(["adam", "sgd"])),
        Parameter("momentum", FloatDistribution(0.5, 1), lambda p: p["optimizer"] == "sgd"),
        Parameter("nesterov", CategoricalDistribution([True, False]), lambda p: p.get("momentum", 0) > 0.75),
        Parameter("size", IntDistribution(4, 64, log=True)),
        Parameter("even", IntDistribution(2, 10, step=2)),
        Parameter("rate", FloatDistribution(1e-4, 1e-1, log=True)),
        Parameter("kernel", CategoricalDistribution([3, 5])),
        Parameter("count", IntDistribution(0, 3)),
    ),
    build,
)


def test_a_draw_has_the_parameters_that_apply_in_order_and_typed():
    for params in draws(SPACE, 200):
        assert ("momentum" in params) == (params["optimizer"] == "sgd")
        assert ("nesterov" in params) == (params.get("momentum", 0) > 0.75)
        assert list(params) == [parameter.name for parameter in SPACE.parameters if parameter.name in params]
        types = {"momentum": float, "nesterov": bool, "size": int, "even": int, "rate": float, "kernel": int}
        assert all(type(params[name]) is kind for name, kind in types.items() if name in params)
        assert SPACE.distributions(params).keys() == params.keys()
        assert all(dist._contains(dist.to_internal_repr(params[n])) for n, dist in SPACE.distributions(params).items())


@pytest.mark.parametrize(
    ("name", "value", "drawn"),
    [
        ("optimizer", "sgd", "sgd"),
        ("nesterov", False, False),
        ("size", 64, 64),
        ("size", 5.0, 5),
        ("even", 6, 6),
        ("rate", 0.1, 0.1),
        ("momentum", 1, 1.0),
        ("kernel", 5, 5),
    ],
)
def test_a_pinned_parameter_has_its_value_wherever_it_applies(name: str, value: Any, drawn: Any):
    params = [params[name] for params in draws(SPACE.pinned({name: value}), 100) if name in params]
    assert params
    assert set(params) == {drawn}
    assert {type(value) for value in params} == {type(drawn)}


def test_a_pinned_condition_decides_what_applies():
    for params in draws(SPACE.pinned({"optimizer": "sgd", "momentum": 0.9, "kernel": 3}), 20):
        assert (params["optimizer"], params["momentum"], params["kernel"]) == ("sgd", 0.9, 3)
        assert "nesterov" in params
    assert not any("momentum" in params for params in draws(SPACE.pinned({"optimizer": "adam", "momentum": 0.9}), 20))


def test_pinning_leaves_the_space_itself_and_its_other_parameters_as_they_are():
    before = SPACE.parameters
    pinned = SPACE.pinned({"size": 8})
    assert SPACE.parameters == before
    assert [one.name for one, other in zip(before, pinned.parameters, strict=True) if one != other] == ["size"]
    assert SPACE.pinned({}) == SPACE.pinned({"size": None}) == SPACE
    assert pinned.build(draws(pinned, 1)[0]).recipe.batch_size == 8


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("optimizer", "adam ", "adam, sgd"),
        ("optimizer", "Adam", "adam, sgd"),
        ("optimizer", ["adam"], "adam, sgd"),
        ("nesterov", 1, "True, False"),
        ("nesterov", "true", "True, False"),
        ("kernel", 4, "3, 5"),
        ("kernel", 3.0, "3, 5"),
        ("kernel", True, "3, 5"),
        ("size", 3, "4 to 64 (log)"),
        ("size", 65, "4 to 64 (log)"),
        ("size", 4.5, "4 to 64 (log)"),
        ("size", True, "4 to 64 (log)"),
        ("size", "8", "4 to 64 (log)"),
        ("size", [8], "4 to 64 (log)"),
        ("size", math.inf, "4 to 64 (log)"),
        ("size", math.nan, "4 to 64 (log)"),
        ("even", 5, "2 to 10"),
        ("count", True, "0 to 3"),
        ("count", 3.5, "0 to 3"),
        ("rate", 0.2, "0.0001 to 0.1 (log)"),
        ("rate", 0, "0.0001 to 0.1 (log)"),
        ("rate", math.nan, "0.0001 to 0.1 (log)"),
        ("rate", "0.01", "0.0001 to 0.1 (log)"),
        ("momentum", True, "0.5 to 1"),
        ("momentum", 10**400, "0.5 to 1"),
    ],
)
def test_a_value_outside_is_refused_with_what_would_be_right(name: str, value: Any, right: str):
    with pytest.raises(ValueError, match="outside the space") as error:
        SPACE.pinned({name: value})
    assert str(error.value).startswith(f"fix.{name}=")
    assert str(error.value).endswith(f"which has {right}")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"fix\.sizes: .*no parameter 'sizes'; it has optimizer, momentum, nesterov, size"
    ):
        SPACE.pinned({"size": 8, "sizes": 8})


def test_distributions_in_a_few_words():
    words = {parameter.name: describe(parameter.distribution) for parameter in SPACE.parameters}
    assert words["optimizer"] == "adam, sgd"
    assert words["size"] == "4 to 64 (log)"
    assert words["rate"] == "0.0001 to 0.1 (log)"
    pinned = SPACE.pinned({"rate": 0.01, "optimizer": "sgd"})
    assert [describe(parameter.distribution) for parameter in pinned.parameters[::5]] == ["sgd", "0.01"]
