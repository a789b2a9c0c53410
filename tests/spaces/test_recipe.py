"""A candidate round-trips through its JSON."""

import json

import pytest
from hypothesis import given, settings

from spaces.network import Network
from spaces.recipe import Augmentation, Candidate, Recipe
from tests.spaces.published import PUBLISHED
from tests.spaces.strategies import candidates

BERTOLDI = Candidate(PUBLISHED["bertoldi"][0], Recipe(learning_rate=1e-3))


@settings(max_examples=60, deadline=None)
@given(candidates)
def test_json_round_trip(candidate: Candidate):
    text = candidate.to_json()
    again = Candidate.from_json(text)
    assert again == candidate
    assert again.to_json() == text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@settings(max_examples=60, deadline=None)
@given(candidates, candidates)
def test_candidates_are_equal_where_their_text_is(one: Candidate, other: Candidate):
    assert (one == other) == (one.to_json() == other.to_json())


def test_the_order_of_keys_does_not_matter():
    text = BERTOLDI.to_json()
    value = json.loads(text)
    turned = {"recipe": dict(reversed(value["recipe"].items())), "network": value["network"]}
    assert Candidate.from_json(json.dumps(turned, indent=2)).to_json() == text


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("network"),
        lambda value: value.pop("recipe"),
        lambda value: value["recipe"].update(momentum=0.9),
        lambda value: value["recipe"].pop("augmentation"),
        lambda value: value["network"].pop("input_shape"),
        lambda value: value["network"]["layers"][0].update(filter=3),
        lambda value: value["network"]["layers"][0].pop("filters"),
    ],
)
def test_json_of_another_version_is_refused(change):
    value = json.loads(BERTOLDI.to_json())
    change(value)
    with pytest.raises(ValueError, match="not a candidate of this version of Frugal"):
        Candidate.from_json(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"adam"', "{}", "[" * 100_000, '{"recipe": 3}'])
def test_other_text_is_refused(text: str):
    with pytest.raises(ValueError, match="not a candidate of this version of Frugal"):
        Candidate.from_json(text)


def test_an_unknown_layer_is_refused_by_name():
    text = BERTOLDI.to_json().replace('"Pool"', '"Poll"')
    with pytest.raises(ValueError, match="no layer is called 'Poll'"):
        Candidate.from_json(text)


def test_augmentation_is_there_where_any_strength_is():
    assert not Augmentation()
    assert all(Augmentation(**{name: 0.1}) for name in ("rotation_degrees", "shift_pixels", "zoom"))


def test_candidates_can_be_told_apart_in_a_set():
    again = Candidate(Network.from_json(BERTOLDI.network.to_json()), Recipe(learning_rate=1e-3))
    assert len({BERTOLDI, again, Candidate(BERTOLDI.network, Recipe(learning_rate=2e-3))}) == 2
