"""Means over seeds, their intervals, and paired differences."""

import math

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from results.analysis.statistics import mean, paired_difference
from results.wording import capitalize, number


def test_a_mean_has_students_interval():
    values = [0.991, 0.993, 0.9925, 0.9902]
    found = mean(values)
    low, high = t.interval(0.95, 3, loc=np.mean(values), scale=np.std(values, ddof=1) / 2)
    assert (found.value, found.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (found.low, found.high, found.n) == pytest.approx((low, high, 4))


def test_one_value_has_no_interval_and_none_no_mean():
    assert mean([0.5]).value == 0.5
    assert math.isnan(mean([0.5]).low)
    assert not mean([0.5]).is_apart_from_zero
    with pytest.raises(ValueError, match="at least one"):
        mean([])


def test_the_interval_holds_the_true_mean_in_95_of_100_samples():
    rng = np.random.default_rng(0)
    held = [(m := mean(list(rng.normal(2.0, 0.3, 3)))).low <= 2.0 <= m.high for _ in range(2000)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_pairs_of_equal_seeds_take_out_what_a_seed_does_to_both():
    rng = np.random.default_rng(1)
    of_seed = rng.normal(0, 1, 5)
    first = {seed: 0.9 + of_seed[seed] + rng.normal(0, 0.01) for seed in range(5)}
    second = {seed: 0.8 + of_seed[seed] + rng.normal(0, 0.01) for seed in (4, 2, 0, 1)}
    gap = paired_difference(first, second)
    assert gap is not None
    assert gap.n == 4
    assert gap.is_apart_from_zero
    shared = sorted(second)
    p = ttest_rel([first[s] for s in shared], [second[s] for s in shared]).pvalue
    assert p < 0.05
    assert not mean([first[s] - second[s] for s in (0,)]).is_apart_from_zero
    assert paired_difference(first, {9: 0.5}) is None


@pytest.mark.parametrize("spread", [0.02, 0.2])
def test_apart_from_zero_is_what_the_paired_t_test_says(spread: float):
    rng = np.random.default_rng(2)
    for _ in range(50):
        first, second = rng.normal(0.1, spread, 4), rng.normal(0, spread, 4)
        gap = paired_difference(dict(enumerate(first)), dict(enumerate(second)))
        assert gap is not None
        assert gap.is_apart_from_zero == (ttest_rel(first, second).pvalue < 0.05)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.99321, "0.9932"), (1.0, "1.0000"), (0.012345, "0.01235"), (56.8027, "56.80"), (-166.71, "-166.7")),
        *((1234.5, "1,234"), (123456.7, "123,457"), (1.5e7, "1.5e+07"), (0.0, "0"), (-0.5, "-0.5000")),
    ],
)
def test_a_score_has_four_digits(value: float, text: str):
    assert number(value) == text


def test_the_name_of_a_score_keeps_its_capitals():
    assert capitalize("validation RMSE") == "Validation RMSE"
