"""Intervals over seeds and images contain the true score as often as they claim, within the metric's bounds."""

import math

import numpy as np
import pytest

from benchmarks.interval_coverage import (
    accuracy,
    accuracy_difference,
    coverage,
    error,
    error_difference,
    seeds_alone,
)
from results.analysis.intervals import (
    difference_interval,
    error_interval,
    score_difference_interval,
    score_interval,
    share_difference_interval,
    share_interval,
    spread,
)

KINDS = {
    "accuracy": (accuracy(0.98, 0.1), share_interval, 270),
    "difference of accuracies": (accuracy_difference(0.9, 0.01, 0.1), share_difference_interval, 600),
    "error": (error(0.8, 0.02), error_interval, 100),
    "difference of errors": (error_difference(0.8, 0.02), difference_interval, 100),
}
"""Simulation, interval, and images; benchmarks/RESULTS.md has many more, those included where too many are held."""


@pytest.mark.parametrize("num_seeds", [1, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_of_simulated_finalists_92_to_97_in_100_intervals_hold_the_true_score(kind: str, num_seeds: int):
    draw, interval, num_images = KINDS[kind]
    (held,) = coverage(np.random.default_rng(0), draw, [interval], (num_seeds, num_images), 600)
    assert 0.92 <= held <= 0.97


def test_an_interval_over_seeds_alone_leaves_the_images_out():
    (held,) = coverage(np.random.default_rng(1), accuracy(0.98, 0.0), [seeds_alone], (5, 270), 500)
    assert held < 0.85


@pytest.mark.parametrize("num_seeds", [1, 2, 3, 10])
@pytest.mark.parametrize("num_images", [2, 36, 270])
def test_no_accuracy_is_certain_and_none_lies_beyond_0_and_1(num_seeds: int, num_images: int):
    shape = (num_seeds, num_images)
    one_wrong = np.ones(shape)
    one_wrong[0, 0] = 0
    for scores in (np.ones(shape), one_wrong, 1 - one_wrong, np.zeros(shape)):
        low, high = share_interval(scores)
        assert 0 <= low < high <= 1
        assert low - 1e-12 <= scores.mean() <= high + 1e-12
        for differences in (scores, -scores, scores - one_wrong):
            low, high = share_difference_interval(differences)
            assert -1 <= low < high <= 1
    assert share_interval(np.zeros(shape)) == pytest.approx([1 - end for end in share_interval(np.ones(shape))[::-1]])


def test_networks_that_agree_on_all_images_are_not_said_to_be_equal_for_certain():
    low, high = share_difference_interval(np.zeros((3, 270)))
    assert low == pytest.approx(-high)
    assert 0.001 < high < 0.02


def test_an_error_s_interval_stays_above_0_and_reaches_further_up():
    errors = np.random.default_rng(0).lognormal(0, 2, (3, 12))
    low, high = error_interval(errors)
    assert 0 < low < errors.mean() < high
    assert high - errors.mean() > errors.mean() - low


def test_seeds_alike_leave_the_images_variance_and_images_alike_that_of_the_seeds():
    rng = np.random.default_rng(3)
    images, seeds = rng.normal(size=(1, 50)), rng.normal(size=(4, 1))
    assert spread(np.repeat(images, 4, axis=0)).variance == pytest.approx(images.var(ddof=1) / 50)
    assert spread(np.repeat(seeds, 50, axis=1)).variance == pytest.approx(seeds.var(ddof=1) / 4)
    both = spread(seeds + images)
    assert both.variance == pytest.approx(images.var(ddof=1) / 50 + seeds.var(ddof=1) / 4)
    assert 3 <= both.degrees < 49


@pytest.mark.parametrize(
    ("bounds", "middle"), [((0.0, 1.0), 0.8), ((-math.inf, math.inf), -3.0), ((-math.inf, 1.0), 0.4), ((0.0, 9.0), 8.0)]
)
def test_intervals_of_other_scores_hold_the_true_one_within_their_bounds(bounds, middle):
    rng, held = np.random.default_rng(0), []
    for _ in range(600):
        scores = (
            middle + 0.02 * rng.normal(size=(3, 1)) + 0.5 * rng.normal(size=(1, 200)) + rng.normal(size=(3, 200)) / 9
        )
        low, high = score_interval(scores, bounds)
        assert bounds[0] <= low < high <= bounds[1]
        held.append(low <= middle <= high)
    assert 0.92 <= np.mean(held) <= 0.97


def test_differences_of_scores_that_are_no_shares_get_no_examples_added():
    differences = np.random.default_rng(0).normal(0.02, 0.01, (1, 50))
    assert score_difference_interval(differences, (0, 1)) == difference_interval(differences)
    shares = np.round(np.clip(differences * 20, -1, 1))
    assert score_difference_interval(shares, (0, 1)) == share_difference_interval(shares)
