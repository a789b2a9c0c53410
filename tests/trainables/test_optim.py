"""Tests learning rates over a training, and the optimizers' settings."""

import pytest
import torch
from torch import nn

from spaces.recipe import Recipe
from trainables.optim import OPTIMIZERS, learning_rate, make_optimizer

PLACES = [place / 100 for place in range(101)]


def rates(schedule: str) -> list[float]:
    return [learning_rate(Recipe(learning_rate=0.5, schedule=schedule), place) for place in PLACES]


def test_constant_stays():
    assert set(rates("constant")) == {0.5}


def test_cosine_falls_from_the_peak_to_nothing():
    cosine = rates("cosine")
    assert (cosine[0], cosine[50], cosine[100]) == pytest.approx((0.5, 0.25, 0))
    assert cosine == sorted(cosine, reverse=True)


def test_one_cycle_rises_from_a_25th_to_the_peak_and_falls_to_nothing():
    cycle = rates("one_cycle")
    assert (cycle[0], cycle[15], cycle[30], cycle[65], cycle[100]) == pytest.approx((0.02, 0.26, 0.5, 0.25, 0))
    assert cycle[:31] == sorted(cycle[:31])
    assert cycle[30:] == sorted(cycle[30:], reverse=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_has_the_recipes_numbers_and_trains_what_is_to_be_trained(name: str):
    trained, frozen = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3), requires_grad=False)
    optimizer = make_optimizer(Recipe(optimizer=name, learning_rate=0.25, weight_decay=0.125), [trained, frozen])
    (group,) = optimizer.param_groups
    assert group["params"] == [trained]
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.125)
    if name == "sgd":
        assert (group["momentum"], group["nesterov"]) == (0.9, True)
