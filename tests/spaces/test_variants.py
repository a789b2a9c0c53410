"""A variant changes one choice of a candidate and nothing else."""

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import tasks
from spaces.layers import Activation, Conv, Dense, Dropout, GlobalPool, InvalidNetwork, Norm, Pool
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.variants import names, variant

BERTOLDI = tasks.find("tiny10k").references["bertoldi"].candidate


def of_kind(candidate: Candidate, kind: type[Any]) -> list[Any]:
    return [layer for layer in candidate.network.layers if isinstance(layer, kind)]


def test_a_choice_of_the_network_is_made_in_all_its_layers_and_the_recipe_stays():
    assert [layer.rate for layer in of_kind(variant(BERTOLDI, "dropout", 0.4), Dropout)] == [0.4]
    assert [layer.kind for layer in of_kind(variant(BERTOLDI, "pooling", "average"), Pool)] == ["average"] * 2
    assert [layer.padding for layer in of_kind(variant(BERTOLDI, "padding", "valid"), Conv)] == ["valid"] * 3
    assert [layer.filters for layer in of_kind(variant(BERTOLDI, "widths", [4, 8]), Conv)] == [4, 4, 8]
    assert [layer.kernel for layer in of_kind(variant(BERTOLDI, "kernel", 5), Conv)] == [5] * 3
    assert {layer.name for layer in of_kind(variant(BERTOLDI, "activation", "silu"), Activation)} == {"silu"}
    normed = variant(BERTOLDI, "batch_norm", True)
    assert len(of_kind(normed, Norm)) == 3
    assert variant(normed, "batch_norm", False) == BERTOLDI
    assert normed.recipe == BERTOLDI.recipe


def test_the_published_study_s_variants_have_their_sizes():
    """With 4 and 8 filters: 4 * 10 + 4 * 37 + 8 * 37 + 10 * 393. Without padding, each convolution loses 2 pixels."""
    assert variant(BERTOLDI, "widths", [4, 8]).network.num_params == 40 + 148 + 296 + 3_930
    assert variant(BERTOLDI, "widths", [8, 16]) == BERTOLDI
    assert variant(BERTOLDI, "padding", "valid").network.num_params == 80 + 584 + 1_168 + 10 * (5 * 5 * 16 + 1)
    assert variant(BERTOLDI, "pooling", "average").network.num_params == 9_682


@pytest.mark.parametrize(
    ("name", "value"),
    [("optimizer", "rmsprop"), ("learning_rate", 0.01), ("batch_size", 256), ("ema_decay", 0.99), ("patience", 3)],
)
def test_a_choice_of_the_recipe_leaves_the_network(name: str, value: Any):
    changed = variant(BERTOLDI, name, value)
    assert getattr(changed.recipe, name) == value
    assert dataclasses.replace(changed, recipe=BERTOLDI.recipe) == BERTOLDI


def test_a_strength_of_augmentation_leaves_the_others():
    changed = variant(variant(BERTOLDI, "zoom", 0.1), "shift_pixels", 2)
    assert dataclasses.asdict(changed.recipe.augmentation) == {"rotation_degrees": 0, "shift_pixels": 2, "zoom": 0.1}


@given(st.floats(0, 0.99))
def test_changed_back_it_is_what_it_was_and_it_goes_through_json(rate: float):
    changed = variant(BERTOLDI, "dropout", rate)
    assert Candidate.from_json(changed.to_json()) == changed
    assert variant(changed, "dropout", 0.1) == BERTOLDI


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("dropout", 1.0, "dropout=1.0: expected a number from 0 to 0.99"),
        ("dropout", True, "expected a number"),
        ("dropout", "much", "expected a number"),
        ("pooling", "median", "pooling=median: expected one of max, average"),
        ("widths", [4], "widths=[4]: expected a list of 2 numbers, one for each stage"),
        ("widths", 8, "expected a list of 2 numbers"),
        ("optimizer", "lion", "optimizer=lion: expected one of adam, "),
        ("batch_size", 0, "batch_size=0: expected a number from 1 up"),
        ("batch_norm", "yes", "batch_norm=yes: expected true or false"),
        ("learning_rate", None, "learning_rate=None: expected a number"),
        ("depth", 3, "depth: not a choice that can be varied here; expected one of dropout, pooling"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(name: str, value: Any, told: str):
    with pytest.raises(ValueError, match=re.escape(told)):
        variant(BERTOLDI, name, value)


def test_a_choice_that_the_network_does_not_have_cannot_be_varied():
    bare = Candidate(Network((1, 8, 8), (Conv(4, 3), GlobalPool(), Dense(10))), Recipe())
    with pytest.raises(ValueError, match="dropout: the network has no such layer"):
        variant(bare, "dropout", 0.5)
    with pytest.raises(InvalidNetwork):
        variant(bare, "kernel", 99) and variant(variant(bare, "padding", "valid"), "kernel", 99)


def test_names_are_those_that_can_be_varied():
    assert {"dropout", "pooling", "padding", "widths", "optimizer", "zoom"} <= set(names())
    assert "augmentation" not in names()
