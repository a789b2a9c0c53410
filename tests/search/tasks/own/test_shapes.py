"""The goal, the scaling of values and the size of a search follow from the data."""

import numpy as np
import pytest

from data import Splits
from search.tasks.own.shapes import (
    default_goal,
    default_scale,
    input_shape,
    number_of_classes,
    rescaling,
    standardizing,
    stretched,
)
from spaces.goal import Classify, MultiLabel, Reconstruct, Regress, Restore, Segment

N = 40
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 8, 9), dtype=np.uint8)
ROWS = RNG.normal(3, 2, (N, 5)).astype(np.float32)
LABELS = np.arange(N) % 4
PAGES = [IMAGES[k, : 4 + k % 3] for k in range(N)]


@pytest.mark.parametrize(
    ("x", "y", "goal"),
    [
        (IMAGES, LABELS, Classify()),
        (ROWS, np.array(["a", "b"])[LABELS % 2], Classify()),
        (ROWS, LABELS % 2 == 0, Classify()),
        (ROWS, ROWS[:, 0], Regress()),
        (ROWS, ROWS[:, :2], Regress()),
        (IMAGES, ROWS[:, :1], Regress()),
        (ROWS, ROWS[:, :3] > 0, MultiLabel()),
        (IMAGES, (IMAGES > 99).astype(np.int64), Segment()),
        (IMAGES, IMAGES[::-1], Restore()),
        (PAGES, [255 - page for page in PAGES], Restore()),
        (PAGES, [(page > 99).astype(np.int64) for page in PAGES], Segment()),
        (IMAGES, None, Reconstruct()),
    ],
)
def test_the_goal_follows_from_the_targets(x, y, goal):
    assert default_goal(Splits.of(x, y)) == goal


def test_the_shape_of_an_input_has_channels():
    assert input_shape(Splits.of(IMAGES, LABELS).train) == (1, 8, 9)
    assert input_shape(Splits.of(ROWS, LABELS).train) == (5,)
    assert input_shape(Splits.of(RNG.normal(size=(N, 2, 30)), LABELS).train) == (2, 30)
    assert input_shape(Splits.of(PAGES, [255 - page for page in PAGES]).train) == (1, 6, 9)


def test_classes_are_counted_in_labels_and_maps():
    assert number_of_classes(Splits.of(IMAGES, LABELS)) == 4
    assert number_of_classes(Splits.of(IMAGES, (IMAGES > 99).astype(np.int64))) == 2
    assert number_of_classes(Splits.of(ROWS, ROWS[:, 0])) is None


def test_features_are_standardized_one_by_one_and_pixels_together():
    splits = Splits.of(ROWS * [1, 10, 100, 0, 1], LABELS)
    layer = standardizing(splits.train)
    assert np.allclose(layer.mean, splits.train.x.mean(0), rtol=1e-4)
    assert np.allclose(np.delete(layer.std, 3), np.delete(splits.train.x.std(0), 3), rtol=1e-4)
    assert layer.std[3] == 1, "a constant feature stays as it is"
    pixels = standardizing(Splits.of(IMAGES, LABELS).train)
    assert (pixels.mean, pixels.std) == pytest.approx((0.5, 0.29), abs=0.02)


def test_outputs_are_scaled_to_the_targets_unit():
    splits = Splits.of(ROWS, 50 + 7 * ROWS[:, 0])
    layer = rescaling(splits.train)
    assert layer.mean[0] == pytest.approx(splits.train.y.mean(), rel=1e-4)
    assert layer.std[0] == pytest.approx(splits.train.y.std(), rel=1e-4)


def test_few_examples_are_trained_for_more_epochs_and_many_are_limited():
    few, many = default_scale((5,), 400), default_scale((5,), 60_000)
    assert (few.max_epochs, few.train_examples) == (100, None)
    assert (many.max_epochs, many.train_examples) == (10, 10_000)
    assert many.max_macs == 10_000_000


def test_networks_that_are_cheap_get_more_examples_then_epochs_then_trials():
    base = default_scale((1, 28, 28), 60_000)
    assert stretched(base, 60_000, macs=1e9).max_epochs == base.max_epochs == 10
    assert stretched(default_scale((5,), 400), 400, macs=1e9).max_epochs < 100
    some, more, most = (stretched(base, 60_000, macs=macs) for macs in (200_000, 10_000, 100))
    assert base.train_examples < some.train_examples < 60_000
    assert (some.max_epochs, some.num_trials) == (base.max_epochs, base.num_trials)
    assert (more.train_examples, more.num_trials) == (None, base.num_trials)
    assert more.max_epochs > base.max_epochs
    table = stretched(default_scale((30,), 400), 400, macs=200)
    assert (table.max_epochs, table.grace_epochs) == (400, 44)
    assert table.num_trials > 24
    assert most.num_trials >= 24


def test_images_of_ones_own_are_trained_for_as_many_epochs_however_few_they_are():
    assert {default_scale((1, 28, 28), number, epochs=10).max_epochs for number in (100, 1_000, 50_000)} == {10}
