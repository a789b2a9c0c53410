"""Goals round-trip through JSON, and a metric has a direction."""

import json

import pytest

from spaces.goal import Classify, Denoise, Goal, Metric, Reconstruct, Restore


@pytest.mark.parametrize(
    "goal", [Classify(), Reconstruct(), Denoise(), Denoise(sigma=0.25), Restore(), Restore(patch=96)]
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


def test_accuracy_is_maximized_and_every_error_minimized():
    for kind in Goal.kinds.values():
        assert kind.metric.direction == ("maximize" if "accuracy" in kind.metric.name else "minimize")
