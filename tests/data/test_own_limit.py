"""The examples that `train_examples` keeps do not follow targets that were drawn with a seed that people take."""

import numpy as np
import pytest

from data import Splits


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_part_of_random_targets_has_the_mean_and_deviation_of_all(seed):
    y = np.random.default_rng(seed).uniform(-1, 1, 4_000).astype(np.float32)
    x = np.zeros((4_000, 2), np.float32)
    part = Splits.of(x, y, val=(x[:9], y[:9]), test=(x[:9], y[:9])).limited(400).train.y
    assert part.mean() == pytest.approx(0, abs=0.1)
    assert part.std() == pytest.approx(0.577, abs=0.05)
