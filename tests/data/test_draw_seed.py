"""Splits that are drawn do not follow the numbers of a user's own generator."""

import numpy as np
import pytest

from data import Splits


@pytest.mark.parametrize("seed", range(4))
def test_validation_and_test_have_the_same_mean_as_training(seed):
    y = np.random.default_rng(seed).uniform(size=2000).astype(np.float32)
    splits = Splits.of(np.ones((2000, 1)), y)
    for split in (splits.val, splits.test, splits.limited(200).train):
        assert float(np.mean(split.y)) == pytest.approx(0.5, abs=0.08)
