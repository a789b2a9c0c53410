"""Arrays of images and labels in an .npz file: names, types, layouts and splits."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.images import class_names, own
from data.splits import DataError, Split
from tests.data.pictures import contents, parts, picture, refusal


def npz(tmp_path: Path, **arrays) -> Path:
    np.savez(tmp_path / "file.npz", **arrays)
    return tmp_path / "file.npz"


Y = np.arange(8) % 2


@pytest.mark.parametrize(
    ("shape", "read_as"),
    [
        ((8, 6, 5), (6, 5)),
        ((8, 1, 6, 5), (6, 5)),
        ((8, 6, 5, 1), (6, 5)),
        ((8, 3, 6, 5), (3, 6, 5)),
        ((8, 6, 5, 3), (3, 6, 5)),
        ((8, 3, 6, 3), (3, 6, 3)),  # could be both: channels first
        ((8, 1, 6, 3), (6, 3)),
        ((8, 256, 256), (256, 256)),
    ],
)
def test_arrays_are_read_with_channels_at_either_end(tmp_path: Path, shape: tuple[int, ...], read_as: tuple[int, ...]):
    x = picture(1, shape)
    splits = own(npz(tmp_path, x=x, y=Y))
    assert splits.name == "images:file.npz"
    assert splits.train.x.shape[1:] == read_as
    if len(read_as) == 3 and shape[1] != 3:
        x = x.transpose(0, 3, 1, 2)
    assert contents(*parts(splits)) == contents(Split(x, Y))


@pytest.mark.parametrize(
    ("y", "names", "labels"),
    [
        (np.array([7, -2, 10] * 3), ["-2", "7", "10"], [1, 0, 2] * 3),
        (np.array([7, 9, 10] * 3, np.uint8), ["7", "9", "10"], [0, 1, 2] * 3),
        (np.array(["dog", "cat", "10"] * 3), ["10", "cat", "dog"], [2, 1, 0] * 3),
    ],
)
def test_labels_are_numbers_or_names(tmp_path: Path, y: np.ndarray, names: list[str], labels: list[int]):
    x = np.arange(9, dtype=np.uint8).reshape(9, 1, 1)
    path = npz(tmp_path, x=x, y=y)
    assert class_names(path) == names
    assert contents(*parts(own(path))) == contents(Split(x, np.array(labels)))


@pytest.mark.parametrize("with_test", [False, True])
def test_given_splits_of_arrays_are_kept(tmp_path: Path, with_test: bool):
    given = [np.full((4 + i, 2, 2), i, np.uint8) for i in range(2 + with_test)]
    arrays = {f"x_{part}": x for part, x in zip(("train", "val", "test"), given, strict=False)}
    labels = {name.replace("x", "y"): np.array(["b", "a", "b", "b", "b", "b"])[: len(x)] for name, x in arrays.items()}
    path = npz(tmp_path, **arrays, **labels)
    splits = own(path)
    assert [len(split) for split in parts(splits)] == [4, 5, 6 * with_test]
    assert all((split.x == i).all() for i, split in enumerate(parts(splits)))
    assert splits.train.y.tolist() == [1, 0, 1, 1]
    assert splits.test.x.shape[1:] == (2, 2)
    assert class_names(path) == ["a", "b"]


X = np.zeros((8, 6, 5), np.uint8)

GIVEN = {"x_train": X, "y_train": Y, "x_val": X, "y_val": Y}


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"x": X}, "expected x and y, or x_train.*; found x$"),
        ({"x": X, "y": Y, "ids": Y}, "found ids, x, y$"),
        ({"x": X, "X": X, "y": Y}, "found both x and X, which mean the same"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "found x, x_train, y, y_train$"),
        ({"x_test": X, "y_test": Y}, "found x_test, y_test$"),
        ({"train_x_train": X, "y": Y}, "found train_x_train, y$"),
        ({**GIVEN, "x_test": X}, "found x_test, x_train, x_val"),
        (
            {"x": X + 0.25, "y": Y},
            r"array x: found float64 from 0 to 1 that are not multiples of 1/255; expected uint8, 0 to 255: \(x",
        ),
        ({"x": X + 9.5, "y": Y}, r"array x: found float64 with fractions; expected whole numbers from 0 to 255"),
        ({"x": X - 1.0, "y": Y}, r"from 0 to 255, found float64 from -1 to -1; convert -1 to 1 by \(\(x \+ 1\)"),
        ({"x": X + np.nan, "y": Y}, "array x: expected values from 0 to 255, found float64 from nan to nan; scale"),
        ({"x": X + np.uint16(4095), "y": Y}, r"found uint16 from 4095 to 4095; convert 16 bits by \(x // 257\)"),
        ({"x": X.astype(str), "y": Y}, "array x: expected numbers from 0 to 255, found <U"),
        ({"x": X[0], "y": Y}, r"array x: .* found \[6, 5\]"),
        (
            {"x": X.reshape(8, 30)[:, :25], "y": Y},
            r"found \[8, 25\]; rows of pixels become images by x.reshape\(-1, 5, 5\)",
        ),
        ({"x": X[:0], "y": Y}, r"array x: .* found \[0, 6, 5\]"),
        (
            {"x": np.zeros((8, 6, 5, 4), np.uint8), "y": Y},
            r"found \[8, 6, 5, 4\]; take three channels of RGBA: x\[..., :3\]",
        ),
        ({"x": np.zeros((8, 257, 5), np.uint8), "y": Y}, r"array x: .* found \[8, 257, 5\]"),
        ({"x": X, "y": Y + 0.5}, r"array y: expected whole numbers or text, found float64 \[8\] with fractions"),
        (
            {"x": X, "y": np.ones((8, 2), int)},
            r"array y: expected one label .* found int64 \[8, 2\] without exactly one 1",
        ),
        (
            {"x": X, "y": np.zeros((8, 2, 2), int)},
            r"array y: expected whole numbers or text, \[N\] or .* int64 \[8, 2, 2\]",
        ),
        (
            {"x": X, "y": np.array(["a", None] * 4)},
            r"array y, .* only text or only whole numbers; found nonetype, str; convert text",
        ),
        (
            {"x": X, "y": np.array([Path("a")] * 8)},
            r"array y, .* refused: it asks for pathlib.*; convert text by y.astype",
        ),
        ({"x": X, "y": np.array([b"\xff", b"a"] * 4)}, "array y: expected text in UTF-8, found other bytes"),
        ({"x": np.array(7), "y": Y}, "array x: expected an array of images, found a single value"),
        ({"x": X, "y": np.array(7)}, r"array y: expected whole numbers or text, .* found int64 \[\]"),
        ({"x": X, "y": np.array("a", object)}, "array y"),
        ({"x": X, "y": np.array([[1, 2], [3]], object).repeat(4)}, "array y, .*; found list; convert text by"),
        ({"x": X, "y": np.zeros(8, "i4,i4")}, "array y: expected whole numbers or text"),
        ({"x": X, "y": Y.astype("M8[s]")}, "array y: expected whole numbers or text"),
        ({"x": X, "y": Y * 1j}, "array y: expected whole numbers or text"),
        ({"x": X, "y": np.array(["a", "\ud800"] * 4)}, "array y: expected text in UTF-8"),
        ({"x": X, "y": Y[:7]}, "expected a label in y for each image in x, found 7 for 8"),
        ({"x": X, "y": 0 * Y}, "expected at least 2 classes, found 1: 0"),
        ({"x": X, "y": Y * (np.arange(8) < 4)}, r"expected at least 3 images of each class, .* found fewer of 1 \(2\)"),
        ({**GIVEN, "y_val": Y + 1}, "array y_val: expected the classes of y_train, found also 2"),
        ({**GIVEN, "y_val": Y + 0.5}, "array y_val: expected whole numbers or text"),
        ({**GIVEN, "x_val": X[:, 1:]}, r"array x_val: expected images of shape \(6, 5\), as before, found \(5, 5\)"),
        ({**GIVEN, "x_val": X[1:]}, "in y_val for each image in x_val, found 8 for 7"),
    ],
)
def test_other_arrays_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], found: str):
    with pytest.raises(DataError, match=found) as failure:
        own(npz(tmp_path, **arrays))
    assert str(tmp_path / "file.npz") in str(failure.value)


def test_a_single_array_is_refused(tmp_path: Path):
    np.save(tmp_path / "file.npy", X)
    assert "expected x and y, or x_train" in refusal(tmp_path / "file.npy")


NAMES = np.array(["bee", "ant"])[Y]


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (Y[:, None], ("0", "1")),
        (Y.astype(float), ("0", "1")),
        (Y.astype(">i2"), ("0", "1")),
        (Y - 1, ("-1", "0")),
        (Y.astype(np.uint64) + 2**63, (str(2**63), str(2**63 + 1))),
        (Y == 1, ("False", "True")),
        (np.eye(2, dtype=np.uint8)[Y], ("0", "1")),
        (np.eye(3)[Y * 2], ("0", "2")),
        (np.eye(2, dtype=bool)[Y], ("0", "1")),
        (Y.astype(object), ("0", "1")),
        (NAMES, ("ant", "bee")),
        (NAMES[:, None], ("ant", "bee")),
        (NAMES.astype("S"), ("ant", "bee")),
        (NAMES.astype(object), ("ant", "bee")),
        (NAMES.astype(object)[:, None], ("ant", "bee")),
        (np.char.encode(NAMES).astype(object), ("ant", "bee")),
        (np.array(["f\u00fcnf", "\u4e2d"])[Y], ("f\u00fcnf", "\u4e2d")),
    ],
)
def test_labels_are_read_in_every_form_with_one_for_each_image(tmp_path: Path, y: np.ndarray, names: tuple[str, ...]):
    splits = own(npz(tmp_path, x=np.arange(8, dtype=np.uint8).reshape(8, 1, 1), y=y))
    assert splits.classes == names
    flipped = names[0] == "ant"
    assert contents(*parts(splits)) == [(bytes([i]), int(Y[i] != flipped)) for i in range(8)]


PIXELS = picture(3, (8, 6, 5)) // 2

PIXELS[0, 0, 0] = 255


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (PIXELS.astype(np.int64), PIXELS),
        (PIXELS.astype(">u2"), PIXELS),
        (PIXELS.astype(np.float32), PIXELS),
        ((PIXELS / 255).astype(np.float32), PIXELS),
        ((PIXELS / 255).astype(np.float16), PIXELS),
        (PIXELS.astype(np.float32) / 255.0, PIXELS),
        (PIXELS * (1 / 255), PIXELS),
        ((PIXELS.astype(np.float32) / 255).astype(np.float64), PIXELS),
        (PIXELS > 60, np.where(PIXELS > 60, 255, 0)),
        ((PIXELS > 60).astype(np.float32), np.where(PIXELS > 60, 255, 0)),
        (np.asfortranarray(PIXELS), PIXELS),
    ],
)
def test_pixels_are_read_in_every_type_that_loses_nothing(tmp_path: Path, x: np.ndarray, expected: np.ndarray):
    splits = own(npz(tmp_path, x=x, y=Y))
    assert splits.train.x.dtype == np.uint8
    assert contents(*parts(splits)) == contents(Split(expected.astype(np.uint8), Y))


def test_all_splits_of_floats_have_one_scale(tmp_path: Path):
    dark = np.ones((8, 6, 5), np.float32)
    splits = own(npz(tmp_path, x_train=PIXELS.astype(np.float32), y_train=Y, x_val=dark, y_val=Y))
    assert (splits.val.x == 1).all()


@pytest.mark.parametrize(
    "naming", ["x_train y_train x_test y_test", "train_images train_labels test_images test_labels"]
)
def test_validation_is_split_off_the_training_arrays_where_only_a_test_is_given(tmp_path: Path, naming: str):
    x = np.arange(40, dtype=np.uint8).reshape(40, 1, 1)
    y = np.arange(40) % 2
    names = naming.split()
    splits = own(npz(tmp_path, **dict(zip(names, (x[:30], y[:30], x[30:], y[30:]), strict=True))))
    assert [len(split) for split in parts(splits)] == [26, 4, 10]
    assert contents(splits.test) == contents(Split(x[30:], y[30:]))


@pytest.mark.parametrize(
    "naming",
    [
        *("x y", "X Y", "images labels", "image label", "data target", "Images targets", "X_train Y_train"),
        *("train_images train_labels", "xTrain yTrain", "trainX trainY", "x_training y_training", "TRAIN-X TRAIN-Y"),
    ],
)
def test_arrays_may_have_any_common_name(tmp_path: Path, naming: str):
    x_name, y_name = naming.split()
    path = tmp_path / "FILE.NPZ"
    with path.open("wb") as file:
        np.savez_compressed(file, **{y_name: Y, x_name: PIXELS})
    assert contents(*parts(own(path))) == contents(Split(PIXELS, Y))


@given(st.integers(0, 700), st.integers(0, 255), st.integers(0, 700))
def test_a_damaged_file_of_arrays_is_read_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, length: int
):
    path = npz(tmp_path_factory.getbasetemp(), x=X, y=Y)
    damaged = bytearray(path.read_bytes())
    damaged[position % len(damaged)] = byte
    path.write_bytes(damaged[: len(damaged) - max(0, length - 350)])
    try:
        splits = own(path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert sum(len(split) for split in parts(splits)) == 8
