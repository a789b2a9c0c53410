"""ASHA's rule, as a property and on small cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.study.pruning.asha import Asha

SCORES = st.lists(st.floats(-1, 1) | st.sampled_from([0.0, 0.5]), min_size=1, max_size=60)


@given(scores=SCORES, reduction_factor=st.integers(2, 5))
def test_a_trial_goes_on_if_it_is_among_the_best_share_of_those_that_have_arrived(scores, reduction_factor):
    asha = Asha(1, reduction_factor, 100)
    for n, score in enumerate(scores, 1):
        best_first = sorted(range(n), key=lambda index: (-scores[index], index))
        kept = best_first[: max(1, n // reduction_factor)]
        assert asha.should_continue(1, score) == (n - 1 in kept)


def test_rungs_are_powers_of_the_factor_below_the_whole_length():
    assert list(Asha(1, 3, 18).rungs) == [1, 3, 9]
    assert list(Asha(2, 2, 16).rungs) == [2, 4, 8]
    assert list(Asha(1, 3, 9).rungs) == [1, 3]
    assert list(Asha(4, 3, 4).rungs) == []


def test_off_the_rungs_all_go_on_and_no_rung_is_filled():
    asha = Asha(1, 3, 18)
    assert all(asha.should_continue(step, -1.0) for step in (2, 4, 5, 8, 10, 18))
    assert not any(asha.rungs.values())


def test_a_late_value_fills_its_own_rung_only():
    """Stock ASHA counts a value that arrives at epoch 3 in rung 1 too."""
    asha = Asha(1, 3, 18)
    asha.should_continue(3, 0.9)
    assert asha.rungs == {1: [], 3: [0.9], 9: []}


def test_of_equal_values_only_the_earlier_go_on():
    """With stock ASHA, most of a stream of equal values pass."""
    asha = Asha(1, 3, 18)
    assert [asha.should_continue(1, 0.1) for _ in range(9)] == [True] + [False] * 8


def test_rising_values_all_go_on_and_falling_ones_hardly_any():
    rising, falling = Asha(1, 3, 18), Asha(1, 3, 18)
    assert sum(rising.should_continue(1, score) for score in range(30)) == 30
    assert sum(falling.should_continue(1, -score) for score in range(30)) == 1


def test_of_an_exchangeable_stream_about_one_in_the_factor_should_continue():
    asha = Asha(1, 3, 18)
    scores = np.random.default_rng(0).random(3_000)
    assert 0.30 < np.mean([asha.should_continue(1, score) for score in scores]) < 0.37


def test_a_nan_must_not_come_to_a_rung():
    with pytest.raises(AssertionError, match="NaN"):
        Asha(1, 3, 18).should_continue(1, float("nan"))


@pytest.mark.parametrize(("grace", "factor"), [(0, 3), (1, 1)])
def test_settings_that_stop_nothing_are_refused(grace, factor):
    with pytest.raises(ValueError, match="ASHA needs"):
        Asha(grace, factor, 10)
