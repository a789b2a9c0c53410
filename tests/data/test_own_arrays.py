"""Splits of a user's own arrays: what they become, and what is refused."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from data.splits import DataError, Splits
from tests.data.pictures import parts

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = np.arange(40) % 2
MAPS = RNG.integers(0, 3, (40, 4, 4))


class Tensor:
    """What PyTorch's tensors have, which refuse .numpy() before .detach()."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.ndim, self.is_detached = array, array.ndim, False

    def __len__(self) -> int:
        return len(self.array)

    def detach(self) -> "Tensor":
        self.is_detached = True
        return self

    def cpu(self) -> "Tensor":
        return self

    def numpy(self) -> np.ndarray:
        assert self.is_detached
        return self.array


def all_x(splits: Splits) -> np.ndarray:
    return np.concatenate([split.x for split in parts(splits)])


def refusal(*args: object, **kwargs: object) -> str:
    with pytest.raises(DataError) as failure:
        Splits.of(*args, **kwargs)
    return str(failure.value)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, list, Tensor, lambda x: [Tensor(row) for row in x]])
def test_arrays_lists_and_tensors_are_the_same_data(kind: Callable[[np.ndarray], object]):
    assert Splits.of(kind(X), kind(Y)).fingerprint == Splits.of(X, Y).fingerprint


def test_frames_and_series_are_the_same_data_with_names():
    splits = Splits.of(pd.DataFrame(X, columns=list("abc")), pd.Series(Y).map({0: "no", 1: "yes"}).astype("category"))
    assert splits.fingerprint == Splits.of(X, Y).fingerprint
    assert (splits.features, splits.classes) == (("a", "b", "c"), ("no", "yes"))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ">f4", np.int64, np.uint16, np.bool_])
def test_numbers_become_float32(dtype: str):
    x = np.arange(40).reshape(40, 1).astype(dtype)
    splits = Splits.of(x, Y)
    assert splits.train.x.dtype == np.dtype("float32")
    assert np.array_equal(np.sort(all_x(splits), axis=0), x.astype(np.float32))


def test_uint8_stays_pixels():
    assert Splits.of(np.zeros((40, 2, 2), np.uint8), Y).train.x.dtype == np.uint8


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y, None),
        (Y.astype(np.uint8), None),
        (Y[:, None], None),
        (Y * 2 - 1, ("-1", "1")),
        (Y + 3, ("3", "4")),
        (Y == 1, ("False", "True")),
        (np.array(["b", "c"])[Y], ("b", "c")),
        (np.array([b"b", b"c"])[Y], ("b", "c")),
        (np.array(["b", "c"], object)[Y], ("b", "c")),
        (pd.Series(Y, dtype="Int64"), None),
        (pd.Series(Y == 1, dtype="boolean"), ("False", "True")),
    ],
)
def test_labels_are_numbered_in_ascending_order_and_named_unless_they_are_numbers_from_0(
    y: object, classes: tuple[str, ...] | None
):
    splits = Splits.of(X, y)
    assert splits.classes == classes
    assert splits.num_classes == 2
    assert splits.fingerprint == Splits.of(X, Y).fingerprint


def test_classes_name_numbers_and_order_text():
    assert Splits.of(X, Y, classes=["cat", "dog"]).classes == ("cat", "dog")
    reversed_ = Splits.of(X, np.array(["cat", "dog"])[Y], classes=["dog", "cat"])
    assert reversed_.classes == ("dog", "cat")
    assert reversed_.fingerprint == Splits.of(X, 1 - Y).fingerprint


@pytest.mark.parametrize(
    ("y", "dtype", "shape", "num_classes"),
    [
        (X, np.float32, (3,), None),
        (X[:, 0], np.float32, (), None),
        (X > 0, np.uint8, (3,), 3),
        ((X > 0).astype(int), np.uint8, (3,), 3),
        (MAPS, np.int64, (4, 4), 3),
        (MAPS > 0, np.int64, (4, 4), 2),
        (MAPS.astype(np.uint8), np.uint8, (4, 4), 3),
    ],
)
def test_other_targets_keep_their_shape(y: np.ndarray, dtype: type, shape: tuple[int, ...], num_classes: int | None):
    splits = Splits.of(X, y)
    assert (splits.train.y.dtype, splits.train.y.shape[1:]) == (dtype, shape)
    assert splits.train.labels is None
    assert [len(split) for split in parts(splits)] == [28, 6, 6]
    if num_classes is None:
        with pytest.raises(ValueError, match="targets of float32, and no labels"):
            _ = splits.num_classes
    else:
        assert splits.num_classes == num_classes


def test_without_y_the_examples_are_their_own_targets_and_are_kept_once():
    splits = Splits.of(X)
    part = splits.limited(10, 3).train
    assert part.y is part.x
    assert not part.joined(part).has_targets
    assert part.nbytes == 10 * 3 * 4
    assert Splits.of(X, X).train.has_targets


def test_examples_of_different_sizes_stay_lists_and_others_become_arrays():
    x = [np.full((2 + number % 3, 4), number) for number in range(40)]
    splits = Splits.of(x, [page > 3 for page in x])
    assert {len(page) for page in splits.train.x} == {2, 3, 4}
    assert {page.dtype for page in splits.train.x} == {np.dtype(np.float32)}
    assert splits.num_classes == 2
    assert splits.train.nbytes == sum(page.size for page in splits.train.x) * (4 + 8)
    assert len(splits.limited(5).at_most(3).train) == 3
    assert isinstance(Splits.of(x[::3], Y[::3]).train.x, np.ndarray)


@given(
    arrays(np.float32, array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=40), elements=st.integers(0, 100)),
    st.data(),
)
def test_the_draw_is_complete_the_same_and_has_each_class_in_each_split(x: np.ndarray, data: st.DataObject):
    y = np.arange(len(x)) % data.draw(st.integers(1, 5))
    if len(np.unique(y)) < 2 or np.bincount(y).min() < 3:
        assert refusal(x, y)
        return
    first, second = Splits.of(x, y), Splits.of(x, y)
    assert first.fingerprint == second.fingerprint
    assert sorted(row.tobytes() for row in all_x(first)) == sorted(row.tobytes() for row in x)
    counts = [np.bincount(split.y, minlength=first.num_classes) for split in parts(first)]
    for label, count in enumerate(np.bincount(y)):
        assert counts[1][label] == counts[2][label] == max(1, round(0.15 * count))


def test_given_splits_are_kept_and_only_missing_ones_are_drawn():
    pair = (X[:5], Y[:5])
    assert [len(split) for split in parts(Splits.of(X, Y, val=pair, test=pair))] == [40, 5, 5]
    assert [len(split) for split in parts(Splits.of(X, Y, test=pair))] == [34, 6, 5]
    assert [len(split) for split in parts(Splits.of(X, Y, val=pair))] == [34, 5, 6]
    assert [len(split) for split in parts(Splits.of(X, val=X[:5], test=(X[:7], None)))] == [40, 5, 7]


def test_a_memory_mapped_array_is_not_copied_if_all_splits_are_given(tmp_path: Path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    splits = Splits.of(x, Y, val=(x[:5], Y[:5]), test=(x[5:10], Y[5:10]))
    assert all(np.shares_memory(split.x, x) for split in parts(splits))
    assert type(splits.train.x) is np.ndarray  # pickled without a copy, which a np.memmap is not
    assert Splits.of(x, Y).fingerprint == Splits.of(X, Y).fingerprint


BAD = X.copy()
BAD[17, 1] = math.nan


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((X, Y[1:]), "data: x has 40 examples, and y 39; expected as many"),
        ((BAD, Y), "x: found NaN or infinity, the first in example 17 (nan); expected finite numbers"),
        ((list(BAD), Y), "x: found NaN or infinity, the first in example 17 (nan)"),
        ((X, BAD[:, 1]), "y: found NaN or infinity, the first in example 17"),
        ((X * 1e300, Y), "x: found a value too large for float32, the first in example 0"),
        ((X[:0], Y[:0]), "x: found no examples, an array of shape [0, 3]"),
        (([], []), "x: found no examples"),
        ((X[:, :0], Y), "x: found no values, shape [40, 0]"),
        ((X[:, 0], Y), "x: found one number an example, shape [40]; expected [N, 1]: x[:, None]"),
        ((X + 1j, Y), "x: found complex128; expected numbers: take x.real"),
        ((X.astype(object), Y), "x: found object; expected numbers: convert it by x.astype(np.float32)"),
        ((X.astype(str), Y), "x: found <U"),
        ((np.full(40, "2020-01-01", "M8[D]"), Y), "convert dates to numbers"),
        ((np.ma.masked_less(X, -2), Y), "x: found masked values, the first in example 4"),
        (((row for row in X), Y), "x: found a generator; expected an array: np.stack(list(...))"),
        ((X, iter(Y)), "expected an array: np.stack(list(...))"),
        (({"x": X}, Y), "x: found a dict; expected an array"),
        (("file.npy", Y), "x: found a str; expected an array"),
        ((3, Y), "x: found a single value"),
        (([[1, 2], [3]], [0, 1]), "x: found a list that is no array"),
        (([X[0], X], [0, 1]), "x: example 0 has shape [3], and example 1 has shape [40, 3]"),
        (([np.uint8([1]), np.float32([1, 2])], [0, 1]), "x, example 0, has uint8 examples of 1 axes"),
        ((X, ["a", None] * 20), "y: found 20 missing values, the first in example 1 (None)"),
        ((X, ["a", math.nan] * 20), "y: found 20 missing values, the first in example 1 (nan)"),
        ((X, pd.Series(["a", None] * 20)), "y: found 20 missing values, the first in example 1"),
        ((X, ["a", 1] * 20), "y: found objects of int, str; expected one of text, numbers or bool"),
        ((X, Y * 0), "y: found one class only, 0; expected at least two"),
        (
            (X, np.arange(40) // 38),
            "y: expected at least 3 examples of each class, one for each split, found fewer of 1 (2)",
        ),
        ((X, np.arange(40)), "a quantity is floats: y.astype(np.float32)"),
        (
            (X, np.stack([Y, Y + 1], 1)),
            "y: found int64 [40, 2] with 2 in example 1; expected 0 or 1 for several labels",
        ),
        ((X, MAPS.astype(str)), "y: found text of shape [40, 4, 4]; expected one label an example, [N]"),
        ((X, MAPS[:, :0]), "y: found targets without values"),
        ((X, MAPS * 0), "y: found one class only, 0"),
        ((X, MAPS - 1), "y: found class -1 in example"),
        ((X, (MAPS > 0) * 255), "y: found classes up to 255, and no 1, 2, 3"),
        ((X, X + 1j), "y: found complex128; expected labels"),
        ((X[:2],), "x: found 2 examples; expected at least 3, one for each split"),
    ],
)
def test_a_bad_array_is_named_with_what_is_right(args: Sequence[object], expected: str):
    assert expected in refusal(*args)


@pytest.mark.parametrize(
    ("y", "given_splits", "expected"),
    [
        (
            Y,
            {"val": (X, Y + 1)},
            "y of val: found class 2 in example 1; expected one of the classes of y, the training",
        ),
        (
            Y,
            {"test": (X[:, :2], Y)},
            "x has float32 examples of shape [3], and x of test float32 examples of shape [2]",
        ),
        (Y, {"val": (X.astype(np.uint8), Y)}, "x of val uint8 examples"),
        (Y, {"val": (X, Y.astype(str))}, "y of val holds text, and y integers"),
        (Y, {"val": (X, Y[:3])}, "x of val has 40 examples, and y of val 3"),
        (Y, {"val": X}, "val: found a ndarray; expected a pair: val=(x_val, y_val)"),
        (Y, {"val": (X, None)}, "val: only one of val and train has y"),
        (None, {"test": (X, Y)}, "test: only one of test and train has y"),
        (Y, {"test": (BAD, Y)}, "x of test: found NaN or infinity, the first in example 17"),
        (X, {"val": (X, X[:, 0])}, "y has float32 examples of shape [3], and y of val"),
        (MAPS, {"val": (X, MAPS + 1)}, "y of val: found class 3, which y lacks"),
        (Y, {"classes": ["a", "b", "c"]}, "y: found no example of class c"),
        (Y, {"classes": ["a"]}, "expected at least two different names"),
        (Y + 1, {"classes": ["a", "b"]}, "y: found class 2 in example 1; expected one of the classes: 0, 1"),
        (X, {"classes": ["a", "b"]}, "y holds floats, and classes= names labels"),
        (X > 0, {"classes": ["a", "b"]}, "y: 3 labels an example; classes= has 2 names"),
        (None, {"classes": ["a", "b"]}, "classes= names labels, and there is no y"),
        (MAPS.astype(np.uint8), {"classes": ["a", "b"]}, "y: found class 2 in example"),
    ],
)
def test_splits_and_names_that_do_not_fit_are_refused(y: object, given_splits: dict[str, object], expected: str):
    assert expected in refusal(X, y, name="mine", **given_splits)
    assert refusal(X, y, name="mine", **given_splits).startswith("mine: ")


def test_columns_of_other_splits_are_in_the_order_of_trainings_or_refused():
    frame = pd.DataFrame(X, columns=list("abc"))
    splits = Splits.of(frame, Y, val=(frame[list("cab")], Y), test=(frame, Y))
    assert np.array_equal(splits.val.x, splits.train.x)
    targets = pd.DataFrame({"u": X[:, 0], "v": X[:, 1]})
    splits = Splits.of(X, targets, val=(X, targets[["v", "u"]]), test=(X, targets))
    assert np.array_equal(splits.val.y, splits.train.y)
    other = frame.rename(columns={"b": "d"})
    with pytest.raises(DataError, match="x of val has other columns than x: b, d; expected the same names"):
        Splits.of(frame, Y, val=(other, Y), test=(frame, Y))
