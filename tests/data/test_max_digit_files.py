"""The competition's files are read, or refused with the place of the fault."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.max_digit import load_original
from data.max_digit_files import read_images
from data.splits import DataError, DataUnavailable, Split, Splits
from data.stratified import stratified_split
from tests.data.toy_digits import quietly

NUM_IMAGES = 20

PIXELS = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 128, 128), np.uint8)

DIGITS = np.arange(NUM_IMAGES) % 10


def labels_csv(labels=DIGITS, order=range(NUM_IMAGES)) -> str:
    return "Id,Label\n" + "".join(f"{number},{labels[number]}\n" for number in order)


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """store(images=array or bytes or None, labels=text or bytes or None) writes the files and returns data_dir."""

    def write(images: object = PIXELS, labels: str | bytes | None = labels_csv()) -> Path:
        folder = tmp_path / "modified-mnist"
        folder.mkdir()
        if images is not None:
            content = images if isinstance(images, bytes) else pickle.dumps(images)
            (folder / "train_max_x").write_bytes(content)
        if labels is not None:
            (folder / "train_max_y.csv").write_bytes(labels if isinstance(labels, bytes) else labels.encode())
        return tmp_path

    return write


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "int64", "float32", ">f8"], ids=["bytes", "short", "long", "float", "big-endian"]
)
def test_the_original_files_are_read_whatever_their_numbers(store, dtype: str):
    splits = load_original(store(PIXELS.astype(dtype)), quietly)

    train, val = stratified_split(DIGITS, 0.1, 0)
    assert (splits.name, splits.origin, splits.num_classes) == ("max-digit", "original", 10)
    np.testing.assert_array_equal(splits.train.x, PIXELS[train])
    np.testing.assert_array_equal(splits.val.x, PIXELS[val])
    assert splits.train.y.dtype == np.int64
    assert splits.val.labels.tolist() == DIGITS[val].tolist()
    assert splits.test.x.shape == (0, 128, 128)
    assert splits.test.y.shape == (0,)


def test_fractions_are_rounded(store):
    fractions = np.clip(PIXELS + np.linspace(-0.4, 0.4, 128), 0, 255)
    assert load_original(store(fractions), quietly).fingerprint == _splits_of(PIXELS).fingerprint


def test_an_array_of_numpy_1_is_read(store):  # for Python 2's own, see test_array_pickle.py
    content = pickle.dumps(PIXELS, 0).replace(b"numpy._core", b"numpy.core")
    assert load_original(store(content), quietly).fingerprint == _splits_of(PIXELS).fingerprint


def test_labels_are_matched_by_id(store):
    data_dir = store(labels="\ufeff" + labels_csv(order=np.random.default_rng(0).permutation(NUM_IMAGES)))
    assert load_original(data_dir, quietly).fingerprint == _splits_of(PIXELS).fingerprint


def _splits_of(x: np.ndarray) -> Splits:
    train, val = stratified_split(DIGITS, 0.1, 0)
    y = DIGITS.astype(np.int64)
    parts = (Split(x[part], y[part]) for part in (train, val, np.arange(0)))
    return Splits(name="max-digit", origin="original", **dict(zip(("train", "val", "test"), parts, strict=True)))


def test_no_files_are_unavailable_and_say_where_they_belong(tmp_path: Path):
    (tmp_path / "modified-mnist").mkdir()
    with pytest.raises(DataUnavailable) as failure:
        load_original(tmp_path, quietly)
    for part in (str(tmp_path / "modified-mnist"), "train_max_x", "train_max_y.csv", "data=made"):
        assert part in str(failure.value)


@pytest.mark.parametrize(("missing", "name"), [("images", "train_max_x"), ("labels", r"train_max_y\.csv")])
def test_one_file_without_the_other_is_an_error(store, missing: str, name: str):
    with pytest.raises(DataError, match=f"modified-mnist: expected train_max_x and .*, found no {name}"):
        load_original(store(**{missing: None}), quietly)


def with_pixel(value: float) -> np.ndarray:
    images = PIXELS.astype(np.float64)
    images[13, 5, 7] = value
    images[14, 0, 0] = -3
    return images


@pytest.mark.parametrize(
    ("images", "fault"),
    [
        (with_pixel(256), r"image 13, row 5, column 7 \(from 0\): expected a value from 0 to 255, found 256"),
        (with_pixel(-0.2), r"image 13, row 5, column 7 \(from 0\): expected a value from 0 to 255, found -0\.2"),
        (with_pixel(np.nan), "image 13, row 5, column 7 .* found nan"),
        (with_pixel(np.inf), "image 13, row 5, column 7 .* found inf"),
        (with_pixel(300).astype(np.int32), "image 13, row 5, column 7 .* found 300"),
        (PIXELS / 255, r"expected values from 0 to 255, found none above 1: multiply them by 255"),
        (PIXELS[:, :64], r"expected an array of shape \(N, 128, 128\), found \(20, 64, 128\)"),
        (PIXELS.reshape(20, -1), r"found \(20, 16384\)"),
        (["no", "array"], "found a list"),
        (b"\x80\x04\x95", "truncated or something else"),
        (b"cos\nsystem\n(S'touch harm'\ntR.", r"refused: it asks for os\.system"),
    ],
)
def test_other_arrays_of_images_are_refused(store, images, fault: str):
    with pytest.raises(DataError, match=fault) as failure:
        load_original(store(images), quietly)
    assert str(failure.value).split(": ")[0].endswith("train_max_x")


def test_the_competitions_test_images_are_read_alone(tmp_path: Path):
    (tmp_path / "test_max_x").write_bytes(pickle.dumps(PIXELS.astype(np.float32)))
    images = read_images(tmp_path / "test_max_x")
    np.testing.assert_array_equal(images, PIXELS)
    assert images.dtype == np.uint8
    assert images.flags.writeable


LINES = labels_csv().splitlines()


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ("", "line 1: expected the columns Id, Label, found ''"),
        (labels_csv().replace("Id", "id", 1), "line 1: expected the columns Id, Label, found 'id, Label'"),
        (labels_csv().replace("3,3\n", "3,ten\n", 1), "line 5, column Label: expected a whole number, found 'ten'"),
        (labels_csv().replace("3,3\n", "3,\n", 1), "line 5, column Label: expected a whole number, found ''"),
        (labels_csv().replace("3,3\n", "3,10\n", 1), "line 5, column Label: expected a digit from 0 to 9, found 10"),
        (labels_csv().replace("3,3\n", "3,-1\n", 1), "line 5, column Label: expected a whole number, found '-1'"),
        (labels_csv().replace("3,3\n", "2.5,3\n", 1), r"line 5, column Id: expected a whole number, found '2\.5'"),
        (labels_csv().replace("3,3\n", "2,3\n", 1), "line 5, column Id: expected each Id once, found 2 again"),
        (labels_csv().replace("3,3\n", "3,3,3\n", 1), "line 5: expected two values, Id and Label, found 3"),
        (labels_csv().replace("3,3\n", "99,3\n", 1), "of the 20 images .* found 20, and none with Id 3"),
        ("\n".join(LINES[:-1]), "from 0 to 19, found 19, and none with Id 19"),
        ("\n".join([*LINES, "20,1"]), "from 0 to 19, found 21 labels"),
        (b"Id,Label\n0,\xff\n", "expected a CSV file of Id, Label, found one that cannot be read"),
    ],
)
def test_labels_that_do_not_fit_are_refused_by_line_and_column(store, labels, fault: str):
    with pytest.raises(DataError, match=fault) as failure:
        load_original(store(labels=labels), quietly)
    assert str(failure.value).split(": ")[0].endswith("train_max_y.csv")
