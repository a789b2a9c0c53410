"""Examples that are in more than one split are found."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.leaks import Leak, count_duplicates, find_leaks
from data.splits import Split, Splits


def splits_of(train: list[int], val: list[int], test: list[int]) -> Splits:
    """Splits whose examples are equal if their numbers are."""
    parts = {
        name: Split(np.array(numbers, np.float32).reshape(-1, 1).repeat(2, 1), np.zeros(len(numbers), np.int64))
        for name, numbers in (("train", train), ("val", val), ("test", test))
    }
    return Splits(name="toy", origin="made", **parts)


def test_leaks_are_named_with_their_first_indices():
    leaks = find_leaks(splits_of([1, 2, 2, 3], [4, 2, 5], [5, 3, 3]))
    assert leaks == [
        Leak("val", "train", 1, ((1, 1),)),
        Leak("test", "train", 2, ((1, 3), (2, 3))),
        Leak("test", "val", 1, ((0, 2),)),
    ]
    assert str(leaks[1]) == "2 examples of test are also in train: 1 (equals 3), 2 (equals 3)"


def test_only_the_first_five_are_named():
    (leak,) = find_leaks(splits_of([0], [0] * 9, []))
    assert (leak.num_examples, len(leak.indices)) == (9, 5)
    assert str(leak).endswith("4 (equals 0), ...")


def test_duplicates_within_a_split_are_no_leak():
    splits = splits_of([1, 1, 1], [2, 2], [3])
    assert find_leaks(splits) == []
    assert count_duplicates(splits) == {"train": 2, "val": 1, "test": 0}


@pytest.mark.parametrize("other", [np.zeros((1, 2, 1), np.uint8), np.zeros((1, 1, 2), np.float32)])
def test_another_shape_or_type_is_another_example(other: np.ndarray):
    zeros = Split(np.zeros((1, 1, 2), np.uint8), np.zeros(1))
    splits = Splits(name="toy", origin="made", train=zeros, val=Split(other, np.zeros(1)), test=zeros)
    assert [(leak.split, leak.other) for leak in find_leaks(splits)] == [("test", "train")]


def test_lists_of_different_sizes_are_compared():
    pages = [np.full((side, 2), 7, np.uint8) for side in (1, 2, 3)]
    train, rest = Split(pages, pages), Split(pages[2:], pages[2:])
    splits = Splits(name="toy", origin="made", train=train, val=rest, test=Split(pages[:0], pages[:0]))
    assert find_leaks(splits) == [Leak("val", "train", 1, ((0, 2),))]


NUMBERS = st.lists(st.integers(0, 20), max_size=12)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_every_leak_is_counted(train: list[int], val: list[int], test: list[int]):
    found = {(leak.split, leak.other): leak.num_examples for leak in find_leaks(splits_of(train, val, test))}
    expected = {
        ("val", "train"): sum(number in train for number in val),
        ("test", "train"): sum(number in train for number in test),
        ("test", "val"): sum(number in val for number in test),
    }
    assert found == {names: num for names, num in expected.items() if num}


def test_a_leak_is_found_whatever_its_label():
    splits = splits_of([1], [1], [])
    assert find_leaks(replace(splits, val=Split(splits.val.x, splits.val.y + 1)))
