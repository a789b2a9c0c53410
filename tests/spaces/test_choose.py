"""A function of choices is a space: it draws, pins and checks as a list of the same parameters does."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from search import tasks
from search.study.sampling.draws import draws_from
from spaces.choose import MAX_CALLS, Choose, Given, chosen_space
from spaces.layers import Conv, Dense, Flatten, InvalidNetwork, Layer
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.recipes import choose_recipe, recipe_of, recipe_parameters
from spaces.space import Parameter, Params, Space, draw
from tests.spaces.strategies import draws


def candidate(*layers: Layer, batch_size: int = 64) -> Candidate:
    return Candidate(Network((1, 8, 8), (*layers, Flatten(), Dense(2))), Recipe(batch_size=batch_size))


def staged(choose: Choose) -> Candidate:
    layers: list[Layer] = []
    for stage in range(1, choose.int("stages", 1, 3) + 1):
        kernel = choose.of(f"kernel_{stage}", [1, 3, 5])
        if kernel > 1 and choose.of(f"valid_{stage}", [False, True]):
            layers.append(Conv(choose.int(f"width_{stage}", 4, 32, log=True), kernel, padding="valid"))
        else:
            layers.append(Conv(4, kernel))
    if choose.float("rate", 0, 0.5) == 0.5:
        choose.int("most", 2, 11, step=3)
    return candidate(*layers)


NAMES = ["stages", *(f"{name}_{stage}" for stage in (1, 2, 3) for name in ("kernel", "valid", "width")), "rate", "most"]
SPACE = chosen_space(staged)


def test_all_choices_are_found_in_order_however_deep_their_conditions():
    found = {parameter.name: parameter.distribution for parameter in SPACE.parameters}
    assert list(found) == NAMES
    assert found["stages"] == IntDistribution(1, 3)
    assert found["kernel_3"] == CategoricalDistribution([1, 3, 5])
    assert found["width_3"] == IntDistribution(4, 32, log=True)
    assert found["rate"] == FloatDistribution(0, 0.5)
    assert found["most"] == IntDistribution(2, 11, step=3)
    assert chosen_space(staged).parameters == SPACE.parameters


@pytest.mark.parametrize("name", tasks.names())
def test_a_tasks_space_is_found_by_a_function_that_draws_it(name: str):
    listed = tasks.find(name).space
    chosen = chosen_space(lambda choose: listed.build(draw(listed.parameters, choose.suggest)))
    assert {p.name: p.distribution for p in chosen.parameters} == {p.name: p.distribution for p in listed.parameters}
    for one, other in zip(draws(chosen, 20), draws(listed, 20), strict=True):
        assert list(one.items()) == list(other.items())
        assert chosen.distributions(one) == listed.distributions(other)
        chosen.check_drawn(other)
        assert outcome(chosen, one) == outcome(listed, other)


def outcome(space: Space, params: Params) -> Candidate | str:
    try:
        return space.build(params)
    except InvalidNetwork as error:
        return str(error)


# ---- The same choices as a list and as a function ----

floats = st.floats(1e-3, 1e3)
distributions = st.one_of(
    st.lists(st.integers(-5, 5), min_size=1, max_size=4, unique=True).map(CategoricalDistribution),
    st.lists(st.booleans(), min_size=1, unique=True).map(CategoricalDistribution),
    st.lists(st.text(max_size=3), min_size=1, max_size=4, unique=True).map(CategoricalDistribution),
    st.builds(lambda low, num, step: IntDistribution(low, low + num * step, step=step), *[st.integers(1, 9)] * 3),
    st.builds(lambda low, more: IntDistribution(low, low + more, log=True), st.integers(1, 9), st.integers(0, 9)),
    st.builds(lambda low, more, log: FloatDistribution(low, low + more, log=log), floats, floats, st.booleans()),
)


@st.composite
def lists(draw: st.DrawFn) -> Space:
    """Draws a space as a list. A parameter may depend on an earlier one's having its first option or its low end."""
    parameters: list[Parameter] = []
    for place in range(draw(st.integers(1, 6))):
        when = None
        if parameters and draw(st.booleans()):
            on = draw(st.sampled_from(parameters))
            when = is_lowest(on)
        parameters.append(Parameter(f"p{place}", draw(distributions), when))
    return Space(tuple(parameters), lambda params: candidate(batch_size=1 + len(params)))


def is_lowest(on: Parameter) -> Callable[[Params], bool]:
    return lambda params: on.name in params and params[on.name] == lowest(on.distribution)


def lowest(distribution: BaseDistribution) -> Any:
    return distribution.choices[0] if isinstance(distribution, CategoricalDistribution) else distribution.low  # type: ignore[attr-defined]


def as_function(space: Space) -> Space:
    def function(choose: Choose) -> Candidate:
        params: Params = {}
        for parameter in space.parameters:
            if parameter.applies(params):
                params[parameter.name] = chosen(choose, parameter.name, parameter.distribution)
        return space.build(params)

    return chosen_space(function)


def chosen(choose: Choose, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return choose.of(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return choose.int(name, low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log):
            return choose.float(name, low, high, log=log)
    raise TypeError


@settings(max_examples=60, deadline=None)
@given(lists(), st.data())
def test_a_function_and_a_list_draw_the_same_from_the_same_sampler(listed: Space, data: st.DataObject):
    chosen = as_function(listed)
    assert {p.name: p.distribution for p in chosen.parameters} == {p.name: p.distribution for p in listed.parameters}
    pinned = data.draw(st.sampled_from(listed.parameters))
    fix = {pinned.name: lowest(pinned.distribution)}
    for one, other in ((listed, chosen), (listed.pinned(fix), chosen.pinned(fix))):
        samplers = [draws_from(space, RandomSampler(seed=1)) for space in (one, other)]
        for _, params, same in zip(range(5), *samplers, strict=False):
            assert list(params.items()) == list(same.items())
            assert one.distributions(params) == other.distributions(params)
            assert one.build(params) == other.build(params)
            for each in (one, other):
                each.check_drawn(params)
        for space in (one, other):
            incomplete = {name: value for name, value in params.items() if name != listed.parameters[0].name}
            with pytest.raises(ValueError, match=r"p0 is missing|not a parameter that applies"):
                space.check_drawn(incomplete)


# ---- Draws ----


def test_a_draw_and_its_build_call_the_function_once():
    calls = []

    def function(choose: Choose) -> Candidate:
        calls.append(dict(choose.made))
        return candidate(batch_size=choose.int("size", 1, 1000))

    space = chosen_space(function)
    assert len(calls) <= MAX_CALLS
    calls.clear()
    for params in draws(space, 1):
        assert space.build(params).recipe.batch_size == params["size"]
    assert len(calls) == 1
    assert space.build({"size": 7}).recipe.batch_size == 7
    assert len(calls) == 2


def test_choices_are_found_by_a_faster_function_if_there_is_one():
    calls = []

    def function(choose: Choose) -> Candidate:
        calls.append(choose)
        return candidate(batch_size=choose.int("size", 1, 9))

    space = chosen_space(function, explore=lambda choose: choose.int("size", 1, 9))
    assert not calls
    assert [parameter.name for parameter in space.parameters] == ["size"]
    assert draws(space, 3)
    assert len(calls) == 3


def test_the_calls_are_bounded_even_if_every_option_brings_new_choices():
    calls = []

    def function(choose: Choose) -> Candidate:
        calls.append(choose)
        name = "p"
        for _ in range(8):
            name += str(choose.of(name, [*range(10)]))
        return candidate()

    chosen_space(function)
    assert len(calls) == MAX_CALLS


def test_a_network_that_cannot_be_built_is_a_draw_that_is_rejected():
    def function(choose: Choose) -> Candidate:
        if choose.int("size", 1, 4) > 2:
            raise InvalidNetwork("too large")
        return candidate(batch_size=choose.int("batch_size", 1, 9))

    space = chosen_space(function)
    assert [parameter.name for parameter in space.parameters] == ["size", "batch_size"]
    for params in draws(space, 30):
        space.check_drawn(params)
        if "batch_size" in params:
            assert space.build(params).recipe.batch_size == params["batch_size"]
        else:
            with pytest.raises(InvalidNetwork, match="too large"):
                space.build(params)
    with pytest.raises(InvalidNetwork, match="too large"):
        space.build({"size": 3})


def test_a_pinned_choice_keeps_its_value_and_the_others_are_drawn_as_before():
    space = SPACE.pinned({"stages": 3, "kernel_2": 5, "rate": 0.5})
    for params in draws(space, 20):
        assert (params["stages"], params["kernel_2"], params["rate"]) == (3, 5, 0.5)
        assert params["most"] in (2, 5, 8, 11)
        space.check_drawn(params)
    with pytest.raises(ValueError, match=r"kernel_2=3: outside the space, which has 5"):
        space.check_drawn({**params, "kernel_2": 3})
    with pytest.raises(ValueError, match=r"fix\.stages=4: outside the space, which has 1 to 3"):
        SPACE.pinned({"stages": 4})
    assert SPACE.pinned({}) == SPACE
    assert replace(SPACE, allowed=lambda params, made: True).pinned({"stages": 1}).allowed is not None


def test_given_choices_are_repeated_and_typed():
    made: dict[str, object] = {}

    def function(choose: Choose) -> None:
        made.update(width=choose.int("width", 1, 9), rate=choose.float("rate", 0, 2), on=choose.of("on", [True]))

    function(Given({"width": 4, "rate": 1, "on": True, "surplus": 3}))
    assert made == {"width": 4, "rate": 1.0, "on": True}
    assert type(made["rate"]) is float
    with pytest.raises(ValueError, match="rate is missing"):
        function(Given({"width": 4}))


# ---- The user's mistakes ----


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda c: c.int("width", 8, 4), r"choose\.int\('width', 8, 4\): the low end 8 is above the high end 4; swap"),
        (
            lambda c: c.int("width", 0, 4, log=True),
            r"choose\.int\('width', 0, 4\): with log=True the low end must be abo",
        ),
        (lambda c: c.int("width", 4.0, 8), r"choose\.int\('width', 4\.0, 8\): 4\.0 is no whole number; choose\.float"),
        (lambda c: c.int("width", True, 8), r"choose\.int\('width', .*: True is no whole number"),
        (lambda c: c.int("width", 1, 8, step=0), r"choose\.int\('width', 1, 8\): the step must be at least 1"),
        (lambda c: c.int("width", 1, 8, log=True, step=2), r"choose\.int\('width', 1, 8\): .* and 1 with log=True"),
        (lambda c: c.float("rate", 0.1, math.inf), r"choose\.float\('rate', 0\.1, inf\): inf is no finite number"),
        (lambda c: c.float("rate", "0", 1), r"choose\.float\('rate', '0', 1\): '0' is no finite number"),
        (
            lambda c: c.float("rate", 0, 1, log=True),
            r"choose\.float\('rate', 0, 1\): with log=True .* above 0, but is 0",
        ),
        (lambda c: c.float("rate", 2, 1), r"choose\.float\('rate', 2, 1\): the low end 2 is above the high end 1"),
        (lambda c: c.of("pool", []), r"choose\.of\('pool', \[\]\): there are no options; list at least one"),
        (lambda c: c.of("pool", "max"), r"choose\.of\('pool', 'max'\): the options must be a list"),
        (lambda c: c.of("pool", {"max", "mean"}), r"choose\.of\('pool', .*: the options must be a list"),
        (
            lambda c: c.of("pool", [None, 2]),
            r"choose\.of\('pool', \[None, 2\]\): None is NoneType; options are bool, int",
        ),
        (lambda c: c.of("pool", [Flatten()]), r"choose\.of\('pool', .*: Flatten\(\) is Flatten; .* Choose among names"),
        (lambda c: c.of("pool", [1, 2.5]), r"choose\.of\('pool', \[1, 2\.5\]\): the options must have one type"),
        (lambda c: c.of("pool", [True, 2]), r"choose\.of\('pool', .*: the options must have one type"),
        (lambda c: c.of("pool", [3, 3]), r"choose\.of\('pool', \[3, 3\]\): each option must be listed once"),
        (lambda c: c.of("pool", [math.nan]), r"choose\.of\('pool', .*none be NaN"),
        (
            lambda c: c.of("my pool", [1]),
            r"'my pool' is no name of a choice; a name is letters, digits and underscores",
        ),
        (lambda c: c.of("2nd", [1]), r"'2nd' is no name"),
        (lambda c: c.of(3, [1]), r"3 is no name"),
        (lambda c: c.of("größe", [1]), r"'größe' is no name"),
        (
            lambda c: (c.of("a", [1]), c.of("a", [1])),
            r"'a' is chosen twice; .* such as 'a_2', or keep the first one's va",
        ),
        (
            lambda c: c.int("b", 1, 4 + c.of("a", [0, 1])),
            r"'b' is chosen from 1 to 5 here and from 1 to 4 elsewhere; alw",
        ),
        (
            lambda c: c.int("b", 1, 5, step=c.of("a", [1, 2])),
            r"from 1 to 5 in steps of 2 here and from 1 to 5 elsewhere",
        ),
        (
            lambda c: c.of("b", [1, 2] if c.of("a", [True, False]) else [1]),
            r"'b' is chosen from 1 here and from 1, 2 els",
        ),
        (
            lambda c: c.float("b", 0, 1) if c.of("a", [True, False]) else c.int("b", 0, 1),
            "'b' is chosen from 0 to 1 here",
        ),
    ],
)
def test_a_mistake_is_named_with_the_choice_and_what_would_be_right(function: Callable[[Any], object], message: str):
    def space(choose: Choose) -> Candidate:
        function(choose)
        return candidate()

    with pytest.raises(ValueError, match=message):
        chosen_space(space)


def test_a_choice_that_is_made_too_rarely_to_be_found_is_named_when_it_is_made():
    def function(choose: Choose) -> Candidate:
        if 0.5 < choose.float("rate", 0, 1) < 0.5001:
            choose.int("rare", 1, 2)
        return candidate()

    space = chosen_space(function)
    with pytest.raises(
        ValueError, match="'rare' is chosen so rarely that 40 random draws did not find it; choose it b"
    ):
        space.draw(lambda name, distribution: 0.50005)


def test_numbers_of_numpy_are_ends_of_a_range():
    def function(choose: Choose) -> Candidate:
        choose.float("rate", np.float32(0.5), np.float64(1))
        return candidate(batch_size=choose.int("size", np.int64(2), np.int64(8)))

    assert {type(value) for params in draws(chosen_space(function), 5) for value in params.values()} == {int, float}


def test_what_the_function_raises_is_passed_on():
    def function(choose: Choose) -> Candidate:
        raise KeyError(choose.int("size", 1, 2))

    with pytest.raises(KeyError):
        chosen_space(function)


# ---- The recipe ----


@pytest.mark.parametrize(
    "narrowed",
    [
        {},
        {"optimizers": ("adam", "sgd"), "learning_rates": (1e-4, 1e-3), "batch_sizes": (8, 16)},
        {"max_weight_decay": 1e-4, "augmentation": False, "label_smoothing": False},
    ],
)
def test_a_chosen_recipe_has_the_choices_of_a_listed_one(narrowed: dict[str, Any]):
    network = candidate().network
    listed = Space(tuple(recipe_parameters(**narrowed)), lambda params: Candidate(network, recipe_of(params)))
    chosen = chosen_space(lambda choose: Candidate(network, choose_recipe(choose, **narrowed)))
    assert chosen.parameters == tuple(
        replace(parameter, when=None) for parameter in listed.parameters if applies(listed, parameter)
    )
    for one, other in zip(draws(chosen, 50), draws(listed, 50), strict=True):
        assert list(one.items()) == list(other.items())
        assert chosen.build(one) == listed.build(other)


def applies(space: Space, parameter: Parameter) -> bool:
    return any(parameter.name in params for params in draws(space, 100))


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ValueError, match="optimizers: there is no 'adamx'; there are adam, adamw, nadam"):
        recipe_parameters(optimizers=("adam", "adamx"))
