"""Draws from the space of classifiers are typed and conditional, become candidates, and often fit their budget."""

import re

import pytest

from search import tasks
from spaces.classifier import classifier_space
from spaces.layers import Conv, Dense, Flatten, GlobalPool, InvalidNetwork, Layer, Norm, Pool, Standardize
from spaces.recipe import Augmentation, Candidate
from spaces.space import Params, Space
from tests.spaces.strategies import draws

PIXELS = Standardize(0.5, 0.25)
SPACE = classifier_space(
    input_shape=(1, 28, 28), num_classes=10, widths=((4, 8), (6, 12), (8, 16)), max_convs=2, pixels=PIXELS
)
COLOURED = classifier_space(input_shape=(3, 32, 24), num_classes=7, widths=((4, 64),), max_convs=3, pixels=PIXELS)


def layers_of(params: Params, kind: type[Layer], space: Space = SPACE) -> list:
    return [layer for layer in space.build(params).network.layers if isinstance(layer, kind)]


def test_conditional_parameters_are_there_just_where_they_apply():
    for params in draws(SPACE, 300):
        stages = range(1, params["stages"] + 1)
        convs = {stage: params[f"convs_{stage}"] for stage in stages}
        assert numbers(params, r"convs_(\d)") == numbers(params, r"kernel_(\d)") == {(stage,) for stage in stages}
        assert numbers(params, r"width_(\d)_(\d)") == {(s, conv) for s in stages for conv in range(1, convs[s] + 1)}
        assert ("hidden_units" in params) == params["hidden"]
        assert ("ema_decay" in params) == params["ema"]
        rates = {name for name in params if name.endswith("learning_rate")}
        assert rates == {{"sgd": "sgd_", "adadelta": "adadelta_"}.get(params["optimizer"], "") + "learning_rate"}
        for name in ("rotation_degrees", "shift_pixels", "zoom"):
            assert (name in params) == (params["augmentation"] == "affine")


def numbers(params: Params, pattern: str) -> set[tuple[int, ...]]:
    """Returns the numbers in the names of the parameters that match a pattern."""
    fits = (re.fullmatch(pattern, name) for name in params)
    return {tuple(map(int, fit.groups())) for fit in fits if fit}


@pytest.mark.parametrize(("space", "num_classes"), [(SPACE, 10), (COLOURED, 7)])
def test_every_draw_is_a_candidate_that_round_trips_or_shrinks_to_nothing(space: Space, num_classes: int):
    valid = 0
    for params in draws(space, 300):
        candidate = space.build(params)
        assert Candidate.from_json(candidate.to_json()) == candidate
        assert space.build(dict(params)) == candidate
        try:
            candidate.network.trace()
        except InvalidNetwork as error:
            reason = str(error)
            assert re.match(r"layer \d+: (Conv|Pool)\(.*leaves nothing of the image", reason), reason
        else:
            valid += 1
            assert candidate.network.output_shape == (num_classes,)
    assert valid > 150


def test_the_network_has_what_its_parameters_say():
    for params in draws(SPACE, 200):
        widths = [value for name, value in params.items() if name.startswith("width_")]
        convs = [conv for conv in layers_of(params, Conv) if conv.stride == 1]
        halvings = params["stages"] - (params["head"] == "global")
        assert [conv.filters for conv in convs] == widths
        assert {conv.padding for conv in layers_of(params, Conv)} == {params["padding"]}
        strided = params["pooling"] == "strided"
        assert len(layers_of(params, Conv)) - len(convs) == (halvings if strided else 0)
        assert [pool.kind for pool in layers_of(params, Pool)] == ([] if strided else [params["pooling"]] * halvings)
        assert len(layers_of(params, Norm)) == (len(layers_of(params, Conv)) if params["batch_norm"] else 0)
        assert all(conv.bias != params["batch_norm"] for conv in layers_of(params, Conv))
        assert len(layers_of(params, GlobalPool if params["head"] == "global" else Flatten)) == 1
        hidden = [params["hidden_units"]] if params["hidden"] else []
        assert [dense.units for dense in layers_of(params, Dense)] == [*hidden, 10]


def test_the_recipe_has_what_its_parameters_say():
    for params in draws(SPACE, 100):
        recipe = SPACE.build(params).recipe
        for name in ("optimizer", "schedule", "batch_size", "weight_decay", "label_smoothing"):
            assert getattr(recipe, name) == params[name]
        assert recipe.learning_rate == next(params[name] for name in params if name.endswith("learning_rate"))
        assert recipe.ema_decay == params.get("ema_decay")
        assert bool(recipe.augmentation) == (params["augmentation"] == "affine")
        if params["augmentation"] == "none":
            assert recipe.augmentation == Augmentation()


def test_pinned_draws_are_candidates_too():
    pinned = SPACE.pinned({"optimizer": "sgd", "stages": 2, "head": "global", "width_2_1": 9, "dropout": 0})
    for params in draws(pinned, 50):
        assert (params["optimizer"], params["stages"], params["width_2_1"], params["dropout"]) == ("sgd", 2, 9, 0.0)
        assert pinned.build(params).recipe.optimizer == "sgd"


def test_a_fifth_of_random_draws_fit_the_tasks_budget():
    task = tasks.find("tiny10k")
    assert (task.max_params, task.laptop.max_macs) == (9_999, 3_000_000)

    def fits(params: Params) -> bool:
        network = task.space.build(params).network
        try:
            return network.num_params <= 9_999 and network.num_macs <= 3_000_000
        except InvalidNetwork:
            return False

    assert sum(map(fits, draws(task.space, 1000))) >= 200
