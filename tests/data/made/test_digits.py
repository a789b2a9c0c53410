"""The digits that come with scikit-learn look like MNIST's."""

import numpy as np

from data.made.digits import load_made


def test_the_made_digits_have_mnists_form_and_are_always_the_same():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - the generator that must not be touched
    splits = load_made()

    assert (splits.name, splits.origin, splits.num_classes) == ("sklearn-digits", "made", 10)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [1257, 270, 270]
    for split in (splits.train, splits.val, splits.test):
        assert split.x.shape[1:] == (28, 28)
        assert split.x.dtype == np.uint8
        assert split.y.dtype == np.int64
        assert np.all(np.bincount(split.y) >= 0.09 * len(split))
    assert load_made().fingerprint == splits.fingerprint
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_the_made_digits_are_white_ink_on_black_within_a_margin():
    x = load_made().train.x
    margin = np.ones((28, 28), dtype=bool)
    margin[4:-4, 4:-4] = False
    assert x[:, margin].max() == 0
    assert x.max() == 255
    assert 20 < x.mean() < 60  # MNIST's own is 33
    assert x[:, 14, 14].mean() > x[:, 5, 5].mean()


def test_no_digit_is_in_two_splits_more_often_than_in_the_data():
    splits = load_made()
    images = [split.x.reshape(len(split), -1) for split in (splits.train, splits.val, splits.test)]
    assert len(np.unique(np.concatenate(images), axis=0)) == sum(len(x) for x in images)
