"""Checks every kind of layer, goal and sampler: an incomplete new one fails here, by its name."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import Phase, find, settings

from search.planning.config import parse
from search.planning.keys import help_text
from search.study.budget import Budget
from search.study.pruning.pruner import PruningKeys
from search.study.pruning.registry import PRUNERS
from search.study.sampling.registry import SAMPLERS
from search.study.sampling.sampler import Problem
from spaces.backbones import Backbone
from spaces.goal import Goal
from spaces.layers import (
    DECLARATIONS,
    Activation,
    Conv,
    Cost,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
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
from spaces.variants import FIELDS, names, variant
from tests.search.toy import TOY
from tests.spaces.strategies import LEFT_OUT, networks, single_layers
from trainables.build import _BUILDERS, build
from trainables.goals import _WORKS, DeviceSplit, work_for
from trainables.task_code import TaskCode

SIDE = 8
RECIPE_FIELDS = {field.name for kind in (Recipe, Augmentation) for field in dataclasses.fields(kind)}
EXAMPLES: dict[str, tuple[Layer, ...]] = {
    "Conv": (Conv(4, 3),),
    "Pool": (Pool("max"),),
    "Standardize": (Standardize(0.1, 0.3),),
    "Rescale": (Rescale((0.0, 5.0, -5.0), 2.0),),
    "Norm": (Norm(),),
    "Activation": (Activation("gelu"),),
    "Dropout": (Dropout(0.3),),
    "Upsample": (Upsample(),),
    "Repeat": (Repeat(2),),
    "Flatten": (Flatten(),),
    "Reshape": (Flatten(), Reshape((3, SIDE, SIDE))),
    "GlobalPool": (GlobalPool(),),
    "Dense": (GlobalPool(), Dense(5)),
    "Save": (Save("a"), Conv(3, 3), Join("a")),
    "Join": (Save("a"), Conv(4, 3), Join("a", "concat", projection=(Conv(2, 1),))),
    "Backbone": (Backbone("resnet18", weights="random"),),
    "Own": (Own((("width", 4),), (4, SIDE, SIDE), num_params=112, num_macs=6912),),
}
"""Layers by kind: they include one of the kind, and take an image [3, SIDE, SIDE]."""
CODE = TaskCode(
    """
from torch import nn

def space(choose):
    return nn.Conv2d(3, choose.int("width", 1, 9), 3, padding=1)
""",
    "task.py",
)
"""Makes the example of Own."""
VALUES = {"dropout": 0.5, "pooling": "average", "padding": "valid", "activation": "elu", "kernel": 5, "widths": [6]}
"""A value for each choice of a layer that no example has."""


@pytest.fixture(params=list(Layer.kinds))
def kind(request: pytest.FixtureRequest) -> type[Layer]:
    return Layer.kinds[request.param]


@pytest.fixture
def network(kind: type[Layer]) -> Network:
    assert kind.__name__ in EXAMPLES, f"tests/contracts/test_kinds.py has no example of {kind.__name__}"
    layers = EXAMPLES[kind.__name__]
    assert any(type(layer) is kind for layer in layers)
    return Network((3, SIDE, SIDE), layers)


def test_every_kind_of_layer_is_built_as_its_arithmetic_says(network: Network):
    module = build(network, seed=1, code=CODE).eval()
    assert module(torch.rand(2, 3, SIDE, SIDE)).shape == (2, *network.output_shape)
    assert sum(weights.numel() for weights in module.parameters()) == network.num_params


def test_every_kind_of_layer_round_trips_through_json(network: Network):
    assert Network.from_json(json.loads(json.dumps(network.to_json()))) == network


def test_every_kind_of_layer_takes_signals_as_its_arithmetic_says(network: Network, kind: type[Layer]):
    if kind.__name__ in ("Backbone", "Own"):
        pytest.skip("its example is made for images")
    layers = tuple(Reshape((3, SIDE * SIDE)) if isinstance(layer, Reshape) else layer for layer in network.layers)
    of_signals = Network((3, SIDE * SIDE), layers)
    module = build(of_signals, seed=1).eval()
    assert module(torch.rand(2, 3, SIDE * SIDE)).shape == (2, *of_signals.output_shape)
    assert sum(weights.numel() for weights in module.parameters()) == of_signals.num_params
    if of_signals.takes_any_size:
        assert module(torch.rand(1, 3, 37)).shape == (1, *of_signals.resized(37).output_shape)


def test_a_kind_of_layer_that_is_local_takes_images_of_any_size(network: Network):
    if not network.takes_any_size:
        pytest.skip("it is built for one size")
    module = build(network, seed=1, code=CODE).eval()
    for height, width in ((11, 6), (9, 13)):
        shape = network.resized(height, width).output_shape
        assert module(torch.rand(1, 3, height, width)).shape == (1, *shape)


def test_every_choice_of_every_kind_of_layer_is_one_that_a_variant_makes(kind: type[Layer], network: Network):
    """Puts an Activation before the last layer, which a variant leaves alone."""
    assert set(kind.choices) <= FIELDS.keys(), "add the choice to FIELDS and a function in spaces/variants.py"
    candidate = Candidate(Network(network.input_shape, (*network.layers, Dropout(0.1))), Recipe())
    for name in kind.choices:
        changed = variant(candidate, name, VALUES[name]).network
        pairs = zip(network.layers, changed.layers, strict=False)
        assert all(one != other for one, other in pairs if type(one) is kind), name


def test_every_choice_of_a_layer_is_varied_and_has_its_value_here():
    assert {"batch_norm", *FIELDS} == {name for name in names() if name not in RECIPE_FIELDS}
    assert FIELDS.keys() == VALUES.keys()


def test_batch_norm_is_varied_where_a_layer_is_a_convolution():
    candidate = Candidate(Network((3, SIDE, SIDE), (Conv(4, 3), Activation(), Flatten(), Dense(3))), Recipe())
    assert variant(candidate, "batch_norm", True) != candidate


def test_the_random_networks_have_every_kind_of_layer_but_the_large_ones(kind: type[Layer]):
    if kind in LEFT_OUT:
        pytest.skip("too large to be drawn")
    drawn = settings(max_examples=2_000, phases=[Phase.generate], database=None, derandomize=True)
    find(networks(), lambda network: any(type(layer) is kind for layer in network.layers), settings=drawn)


@pytest.fixture
def new_kind(monkeypatch: pytest.MonkeyPatch) -> type[Layer]:
    """Returns a kind of layer that nothing else knows."""
    monkeypatch.setattr(Layer, "kinds", dict(Layer.kinds))

    @dataclasses.dataclass(frozen=True)
    class Mixed(Layer):
        is_local = is_fixed = True
        ends_stage = False
        choices = ("kernel",)

        def cost(self, shape: tuple[int, ...]) -> Cost:
            return Cost(shape)

    return Mixed


def test_a_layer_without_a_builder_a_field_or_a_strategy_is_named_with_the_place_for_it(new_kind: type[Layer]):
    network = Network((3, SIDE, SIDE), (new_kind(), Conv(4, 3)))
    with pytest.raises(TypeError, match=r"layer Mixed: add its builder to _BUILDERS in trainables/build\.py"):
        build(network)
    with pytest.raises(
        TypeError, match=r"layer Mixed: .*'kernel' but no field 'kernel' \(FIELDS in spaces/variants\.py"
    ):
        variant(Candidate(network, Recipe()), "kernel", 5)
    with pytest.raises(KeyError, match=r"Mixed: add a strategy to SINGLE in tests/spaces/strategies\.py"):
        single_layers()


def test_weights_that_nothing_initializes_are_named_with_the_place_for_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(_BUILDERS, Norm, lambda layer, shape, generator: torch.nn.GroupNorm(1, shape[0]))
    with pytest.raises(TypeError, match=r"GroupNorm: add its weights to _initialize in trainables/build\.py"):
        build(Network((3, SIDE, SIDE), (Norm(),)))


DECLARED = {"is_local": True, "is_fixed": True, "ends_stage": False, "choices": ()}


@pytest.mark.parametrize("name", DECLARATIONS)
def test_a_layer_that_leaves_something_out_cannot_be_defined(name: str):
    declared = {each: value for each, value in DECLARED.items() if each != name}
    with pytest.raises(TypeError, match=rf"layer Mixed: declare `{name}`, which spaces/layers\.py explains"):
        type("Mixed", (Layer,), {**declared, "cost": Norm.cost})
    assert "Mixed" not in Layer.kinds


def test_a_layer_without_a_rule_cannot_be_defined():
    with pytest.raises(TypeError, match="layer Mixed: define its rule, `cost` or `cost_with`"):
        type("Mixed", (Layer,), DECLARED)
    assert "Mixed" not in Layer.kinds


@pytest.mark.parametrize("name", list(Goal.kinds))
def test_every_goal_has_its_work_and_round_trips_through_json(name: str):
    goal = Goal.kinds[name]()
    assert Goal.kinds[name] in _WORKS
    assert goal.metric.direction in ("maximize", "minimize")
    assert Goal.from_json(json.loads(json.dumps(goal.to_json()))) == goal


def test_a_goal_that_leaves_something_out_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Goal, "kinds", dict(Goal.kinds))
    with pytest.raises(TypeError, match="goal Guess: declare its `metric`"):
        type("Guess", (Goal,), {})
    guess = type("Guess", (Goal,), {"metric": Goal.kinds["Classify"].metric})
    split = DeviceSplit(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"goal Guess: has no work; add it to _WORKS in trainables/goals\.py"):
        work_for(guess(), split)


@pytest.mark.parametrize(("key", "registry"), [("sampler", SAMPLERS), ("pruner", PRUNERS)])
def test_help_lists_every_sampler_and_pruner_of_the_registries(key: str, registry):
    (line,) = (line for line in help_text().splitlines() if line.split()[:1] == [key])
    assert line.split()[1] == "|".join(registry)
    for name, entry in registry.items():
        assert f"{name} ({entry.help})" in line


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_points_of_the_space_by_the_seed_alone(sampler: str):
    metric = Goal.kinds["Classify"].metric
    problems = [Problem(space=TOY, budget=Budget(), objective=metric, last_step=9, seed=seed) for seed in (1, 1, 2)]
    draws = [next(SAMPLERS[sampler].make(problem).draws(0, TOY.build)) for problem in problems]
    assert draws[0] == draws[1]
    TOY.check(draws[2])


@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_decides_by_the_scores_alone(pruner: str):
    keys = PruningKeys(grace_epochs=1, reduction_factor=3, max_epochs=9)
    scores = np.random.default_rng(0).random((30, 8))
    pruners = [PRUNERS[pruner].make(keys) for _ in range(2)]
    decisions = [[each.should_continue(n, s) for row in scores for n, s in enumerate(row, 1)] for each in pruners]
    assert decisions[0] == decisions[1]
    assert all(0 < rung < 9 for rung in pruners[0].rungs)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("sampler=sobol", rf"sampler=sobol: expected one of \[{', '.join(SAMPLERS)}\]$"),
        ("sampler=rnadom", rf"sampler=rnadom: expected one of \[{', '.join(SAMPLERS)}\] \(did you mean random\?\)"),
        ("pruner=asah", rf"pruner=asah: expected one of \[{', '.join(PRUNERS)}\] \(did you mean asha\?\)"),
    ],
)
def test_a_sampler_or_pruner_that_is_not_there_is_no_other_one(typed: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse([typed])
