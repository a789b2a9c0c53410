"""A task that names no space gets one that fits its shapes and its goal."""

from typing import Any

import pytest
import torch

from search import tasks
from spaces.classifier import classifier_space
from spaces.defaults import MAP_WIDTHS, STAGE_WIDTHS, default_space
from spaces.goal import Classify, Denoise, Goal, Metric, Reconstruct, Restore
from spaces.layers import Activation, Conv, Dense, InvalidNetwork, Rescale, Shape, Standardize
from spaces.recipe import Candidate
from spaces.space import Space
from tests.spaces.strategies import draws
from trainables.build import build


@pytest.fixture(scope="module")
def other() -> Goal:
    """Returns a goal that this package does not know, such as a regression."""
    kinds = dict(Goal.kinds)
    goal = type("Other", (Goal,), {"metric": Metric("score", "minimize")})()
    Goal.kinds.clear()
    Goal.kinds.update(kinds)
    return goal


def space_of(input_shape: Shape, output_shape: Shape, goal: Goal, **changes: Any) -> Space:
    options = {"standardize": Standardize(0.5, 0.25), "rescale": None, "augmentation": True, **changes}
    return default_space(input_shape, output_shape, goal, **options)


def candidates(space: Space, num: int = 60) -> list[Candidate]:
    """Returns the candidates of draws whose image does not shrink to nothing."""
    found = []
    for params in draws(space, num):
        candidate = space.build(params)
        try:
            candidate.network.trace()
        except InvalidNetwork:
            continue
        found.append(candidate)
    return found


@pytest.mark.parametrize(
    ("input_shape", "output_shape"),
    [
        ((30,), (2,)),
        ((1,), (1,)),
        ((4,), (3, 8)),
        ((2, 128), (5,)),
        ((1, 4000), (1,)),
        ((3, 12), (2,)),
        ((3, 64), (4, 32)),
        ((1, 28, 28), (10,)),
        ((3, 9, 13), (1,)),
        ((3, 200, 160), (3,)),
        ((1, 16, 16), (1, 8, 8)),
        ((2, 3, 4, 5), (2,)),
    ],
    ids=str,
)
def test_networks_to_features_have_the_outputs_asked_for(input_shape: Shape, output_shape: Shape, other: Goal):
    rescale = Rescale((5.0,) * output_shape[0], 2.0)
    for goal, last in ((Classify(), None), (other, rescale)):
        found = candidates(space_of(input_shape, output_shape, goal, rescale=last))
        assert len(found) > 30
        for candidate in found:
            assert candidate.network.output_shape == output_shape
            assert candidate.network.layers[0] == Standardize(0.5, 0.25)
            assert (candidate.network.layers[-1] == rescale) == (last is not None)
        module = build(found[0].network).eval()
        assert module(torch.rand(2, *input_shape)).shape == (2, *output_shape)


@pytest.mark.parametrize("sides", [(28, 28), (40, 61), (256, 256), (5, 7), (100,), (2000,)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_to_images_keep_the_size_and_take_any_other(sides: tuple[int, ...], channels: int, other: Goal):
    shape = (channels, *sides)
    goals: list[tuple[Goal, int]] = [(Denoise(), channels), (Reconstruct(), channels), (Restore(), channels)]
    for goal, out_channels in [*goals, (other, channels), (other, 5)]:
        found = candidates(space_of(shape, (out_channels, *sides), goal))
        assert len(found) == 60
        assert {candidate.network.output_shape for candidate in found} == {(out_channels, *sides)}
        if not isinstance(goal, Reconstruct | Denoise):
            assert all(candidate.network.takes_any_size for candidate in found)
        smallest = min(found, key=lambda candidate: candidate.network.num_macs)
        assert build(smallest.network).eval()(torch.rand(1, *shape)).shape == (1, out_channels, *sides)


def test_outputs_are_from_0_to_1_only_where_pixels_are_the_targets(other: Goal):
    def last(goal: Goal, channels: int = 1, rescale: Rescale | None = None) -> set[str]:
        found = candidates(space_of((1, 28, 28), (channels, 28, 28), goal, rescale=rescale))
        return {type(candidate.network.layers[-1]).__name__ for candidate in found}

    assert last(Reconstruct()) == {"Activation"}
    assert last(Restore()) == last(Denoise()) == {"Activation", "Join"}
    assert last(Restore(), channels=3) == {"Activation"}
    assert last(Restore(), rescale=Rescale(0.0, 9.0)) == {"Rescale"}
    assert last(other) == last(other, channels=4) == {"Conv"}
    (end,) = {candidate.network.layers[-2:] for candidate in candidates(space_of((9,), (9,), Reconstruct()))}
    assert end == (Dense(9), Activation("sigmoid"))


def test_networks_begin_as_asked_before_their_input_is_added_to_the_output():
    found = candidates(space_of((1, 28, 28), (1, 28, 28), Denoise(), standardize=None))
    assert not any(isinstance(layer, Standardize) for candidate in found for layer in candidate.network.layers)
    residual = [c for c in candidates(space_of((1, 28, 28), (1, 28, 28), Denoise())) if len(c.network.layers) > 2]
    firsts = {
        tuple(type(layer).__name__ for layer in c.network.layers[:2] if type(layer) is not Conv) for c in residual
    }
    assert ("Save", "Standardize") in firsts


def test_a_reconstruction_has_a_narrow_code():
    found = candidates(space_of((1, 28, 28), (1, 28, 28), Reconstruct()))
    assert max(candidate.network.code_size for candidate in found) < 784
    assert {candidate.network.code_size <= 128 for candidate in found} == {True, False}


def test_patches_decide_how_deep_and_in_which_batches_large_images_are_trained():
    whole, patches = (space_of((1, 500, 500), (1, 500, 500), Restore(patch=patch)) for patch in (500, 32))
    for space, num_stages, batch_sizes in ((whole, 4, {2, 4, 8}), (patches, 3, {32, 64, 128})):
        params = draws(space, 200)
        assert {p["batch_size"] for p in params} == batch_sizes
        assert max(int(p.get("stages", 0)) for p in params) == num_stages
    assert len(MAP_WIDTHS) == 4


@pytest.mark.parametrize(
    ("input_shape", "goal", "augmented", "smoothed"),
    [
        ((1, 28, 28), "classify", True, True),
        ((1, 28, 28), "other", False, False),
        ((2, 64), "classify", False, True),
        ((9,), "classify", False, True),
        ((9,), "other", False, False),
    ],
)
def test_only_classified_images_are_augmented(
    input_shape: Shape, goal: str, augmented: bool, smoothed: bool, other: Goal
):
    space = space_of(input_shape, (3,), Classify() if goal == "classify" else other)
    names = {parameter.name for parameter in space.parameters}
    assert ("augmentation" in names, "label_smoothing" in names) == (augmented, smoothed)
    assert "augmentation" not in {
        p.name for p in space_of(input_shape, (3,), Classify(), augmentation=False).parameters
    }


@pytest.mark.parametrize(
    ("shape", "num_stages", "stems"),
    [
        ((1, 8, 8), 2, ()),
        ((1, 28, 28), 3, ()),
        ((3, 64, 80), 4, ("none", "pooled", "strided")),
        ((3, 224, 224), 5, ("none", "pooled", "strided", "strided_4")),
    ],
)
def test_images_are_classified_in_the_space_of_the_task_images(shape: Shape, num_stages: int, stems: tuple[str, ...]):
    expected = classifier_space(
        input_shape=shape,
        num_classes=10,
        widths=STAGE_WIDTHS[:num_stages],
        max_convs=2,
        min_stages=num_stages - 1,
        pixels=Standardize(0.5, 0.25),
        stems=stems,
        residual=True,
    )
    found = space_of(shape, (10,), Classify())
    assert [(p.name, p.distribution) for p in found.parameters] == [
        (p.name, p.distribution) for p in expected.parameters
    ]
    for params in draws(expected, 20):
        assert found.build(params) == expected.build(params)
    if shape == (1, 28, 28):
        task = tasks.find("images").space
        assert [(p.name, p.distribution) for p in task.parameters] == [
            (p.name, p.distribution) for p in found.parameters
        ]


@pytest.mark.parametrize(
    ("input_shape", "output_shape", "goal", "max_params"),
    [
        ((1, 28, 28), (10,), Classify(), 600),
        ((1, 28, 28), (10,), Classify(), 8_000),
        ((3, 64, 64), (5,), Classify(), 3_000),
        ((30,), (2,), Classify(), 200),
        ((1, 256), (3,), Classify(), 400),
        ((1, 64, 64), (1, 64, 64), Restore(), 500),
        ((1, 28, 28), (1, 28, 28), Reconstruct(), 3_000),
    ],
)
def test_widths_suit_the_budget(input_shape: Shape, output_shape: Shape, goal: Goal, max_params: int):
    space = space_of(input_shape, output_shape, goal, max_params=max_params)
    found = candidates(space, 200)
    assert sum(each.network.num_params <= max_params for each in found) > 0.1 * 200
    cheap = space_of(input_shape, output_shape, goal, max_macs=2_000_000)
    assert sum(each.network.num_macs <= 2_000_000 for each in candidates(cheap, 200)) > 0.1 * 200


def test_a_large_budget_changes_nothing():
    parameters = space_of((1, 28, 28), (10,), Classify()).parameters
    assert [(p.name, p.distribution) for p in parameters] == [
        (p.name, p.distribution)
        for p in space_of((1, 28, 28), (10,), Classify(), max_params=10**7, max_macs=10**9).parameters
    ]
