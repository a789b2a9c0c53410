"""Goals round-trip through JSON, and a metric has a direction."""

import json
from collections.abc import Callable

import pytest

from spaces.goal import (
    Classify,
    Custom,
    Denoise,
    Goal,
    Metric,
    MultiLabel,
    Reconstruct,
    Regress,
    Restore,
    Segment,
)


@pytest.mark.parametrize(
    "goal",
    [
        *(kind() for kind in Goal.kinds.values()),
        Denoise(sigma=0.25),
        Restore(patch=96),
        Regress("absolute"),
        Segment(patch=32),
        Custom(name="dice", direction="minimize", bounds=(0, 1)),
    ],
)
def test_a_goal_round_trips_through_json(goal: Goal):
    assert Goal.from_json(json.loads(json.dumps(goal.to_json()))) == goal


def test_json_names_the_goal_and_what_it_is_made_with():
    assert Classify().to_json() == {"goal": "Classify"}
    assert Denoise(sigma=0.25).to_json() == {"goal": "Denoise", "sigma": 0.25}
    assert Restore(patch=96).to_json() == {"goal": "Restore", "patch": 96}


@pytest.mark.parametrize("value", [{"goal": "Colour"}, {"goal": None}, {"sigma": 0.5}, {}])
def test_an_unknown_goal_is_refused_with_the_known_ones(value: dict):
    with pytest.raises(ValueError, match=f"no goal is called {value.get('goal')!r}; there are ") as refused:
        Goal.from_json(value)
    assert all(name in str(refused.value) for name in Goal.kinds)


def test_reading_leaves_the_json_as_it_is():
    value = Denoise().to_json()
    Goal.from_json(value)
    assert value == {"goal": "Denoise", "sigma": 0.5}


def test_a_signed_score_is_the_larger_the_better():
    accuracy, error = Metric("accuracy", "maximize"), Metric("error", "minimize")
    assert (accuracy.signed(0.9), error.signed(0.9)) == (0.9, -0.9)
    assert accuracy.signed(0.9) > accuracy.signed(0.8)
    assert error.signed(0.8) > error.signed(0.9)


def test_accuracy_f1_and_iou_are_maximized_and_every_error_minimized():
    for kind in Goal.kinds.values():
        if kind is not Custom:
            metric = kind().metric
            is_share = any(word in metric.name for word in ("accuracy", "F1", "IoU"))
            assert metric.direction == ("maximize" if is_share else "minimize")


def dice(outputs: object, targets: object) -> float:
    return 0.5


def test_a_custom_goal_leaves_its_functions_out_of_json():
    goal = Custom(loss=print, score=dice, direction="minimize", bounds=(0, 1))
    assert goal.metric == Metric("validation dice", "minimize")
    value = json.loads(json.dumps(goal.to_json()))
    assert value == {"goal": "Custom", "name": "dice", "direction": "minimize", "bounds": [0, 1]}
    read = Goal.from_json(value)
    assert read == goal
    assert isinstance(read, Custom)
    assert (read.loss, read.score, read.bounds) == (None, None, (0, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Custom(bounds=(1, 0)), "expected the lowest score and a higher one"),
        (lambda: Custom(direction="up"), "expected 'maximize' or 'minimize'"),  # type: ignore[arg-type]
        (lambda: Regress("cubed"), "expected 'squared' or 'absolute'"),  # type: ignore[arg-type]
    ],
)
def test_what_a_goal_cannot_be_made_with_is_named(make: Callable[[], Goal], message: str):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("goal", "input_shape", "y_shape", "num_classes", "expected"),
    [
        (Classify(), (1, 28, 28), (), 10, (10,)),
        (Reconstruct(), (1, 28, 28), (1, 28, 28), None, (1, 28, 28)),
        (Restore(), (1, 90, 70), (90, 70), None, (1, 90, 70)),
        (Regress(), (30,), (), None, (1,)),
        (Regress(), (30,), (4,), None, (4,)),
        (Regress(), (3, 20, 30), (20, 30), None, (1, 20, 30)),
        (MultiLabel(), (30,), (5,), 5, (5,)),
        (Segment(), (3, 20, 30), (20, 30), 4, (4, 20, 30)),
        (Segment(), (2, 100), (100,), 4, (4, 100)),
        (Custom(), (30,), (), 3, (3,)),
        (Custom(), (30,), (), None, (1,)),
        (Custom(), (30,), (5,), 5, (5,)),
        (Custom(), (3, 20, 30), (20, 30), 4, (4, 20, 30)),
    ],
)
def test_a_network_s_output_has_the_shape_that_its_goal_needs(goal, input_shape, y_shape, num_classes, expected):
    assert goal.output_shape(input_shape, y_shape, num_classes) == expected


@pytest.mark.parametrize(
    ("goal", "y_shape", "num_classes"), [(Classify(), (), None), (MultiLabel(), (), 3), (Segment(), (), 3)]
)
def test_targets_that_a_goal_cannot_take_are_refused(goal: Goal, y_shape: tuple[int, ...], num_classes: int | None):
    with pytest.raises(ValueError, match=f"{type(goal).__name__} needs .*the target of an example is a single value"):
        goal.output_shape((1, 8, 8), y_shape, num_classes)


@pytest.mark.parametrize("goal", [Reconstruct(), Denoise(), Restore()])
def test_examples_that_are_no_images_are_refused_by_goals_of_images(goal: Goal):
    with pytest.raises(ValueError, match=r"needs images.*here an example is of shape \[30\]. For numbers take Regress"):
        goal.output_shape((30,), (30,))
    assert Regress().output_shape((30,), (30,)) == (30,)


def test_images_to_segment_are_taken_whole_if_they_have_one_size_and_otherwise_in_patches():
    assert Segment().num_examples([(1, 80, 80)] * 3) == 3
    assert Segment(patch=40).num_examples([(1, 80, 80)] * 3) == 12
    assert Segment().num_examples([(1, 80, 80), (1, 128, 64)]) == 2 + 2
