"""The digits of Kaggle's CSV file or of MNIST as a dataset."""

from pathlib import Path

import numpy as np
import pytest

from data.digit_recognizer import DIGITS, load_original
from data.splits import DataError, Dataset, DataUnavailable, Split, Splits
from tests.data.digit_rows import rows, store, text


def load(data_dir: Path, mnist: Dataset | None = None, say=lambda line: None) -> Splits:
    return load_original(data_dir, say, mnist=mnist or no_mnist())


def no_mnist() -> Dataset:
    def original(data_dir, say):
        raise DataUnavailable(f"no MNIST in {data_dir}")

    return Dataset(name="mnist", original=original, made=DIGITS.made)


def small_mnist() -> Dataset:
    """100 training images in two splits of 85 and 15, and 10 test images; each is full of its number."""
    x = np.arange(110, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    parts = [Split(x[part], np.arange(110)[part] % 10) for part in np.split(np.arange(110), [85, 100])]
    splits = Splits(name="mnist", origin="original", train=parts[0], val=parts[1], test=parts[2])
    return Dataset(name="mnist", original=lambda data_dir, say: splits, made=DIGITS.made)


def test_the_labelled_rows_are_split_80_to_20_and_there_is_no_test_split(tmp_path: Path):
    store(tmp_path / "digit-recognizer", text(rows(200)))
    store(tmp_path / "digit-recognizer", b"not read at all", "test.csv")
    lines: list[str] = []
    splits = load(tmp_path, say=lines.append)

    assert lines == []
    assert (splits.name, splits.origin, splits.num_classes) == ("digit-recognizer", "original", 10)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [160, 40, 0]
    assert splits.test.x.shape == (0, 28, 28)
    assert np.bincount(splits.val.y).tolist() == [4] * 10
    both = np.concatenate([splits.train.x, splits.val.x])
    assert np.unique(both[:, 0, 0]).tolist() == list(range(200))  # the first pixel is the row's number
    assert np.array_equal(splits.val.x[:, 0, 0] % 10, splits.val.y)
    assert load(tmp_path).fingerprint == splits.fingerprint


def test_too_few_rows_of_a_label_are_named(tmp_path: Path):
    path = store(tmp_path / "digit-recognizer", text([row for row in rows(200) if row[0] != "4"]))
    with pytest.raises(DataError, match=r"at least 10 rows of each label from 0 to 9, found 0 of label 4") as failure:
        load(tmp_path)
    assert str(path) in str(failure.value)


def test_a_folder_without_the_file_is_an_error_that_no_fallback_hides(tmp_path: Path):
    store(tmp_path / "digit-recognizer", b"", "test.csv")
    for choice in ("auto", "original"):
        with pytest.raises(
            DataError, match=r"digit-recognizer: expected a folder with Kaggle's train\.csv, found none"
        ):
            DIGITS.load(choice, tmp_path, print)


def test_a_file_instead_of_the_folder_is_an_error(tmp_path: Path):
    (tmp_path / "digit-recognizer").write_text("")
    with pytest.raises(DataError, match="digit-recognizer: expected a folder"):
        load(tmp_path, small_mnist())


def test_without_the_files_mnist_is_split_in_the_same_way_with_a_notice(tmp_path: Path):
    lines: list[str] = []
    splits = load(tmp_path, small_mnist(), lines.append)

    assert (splits.name, splits.origin) == ("mnist", "original")
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [80, 20, 10]
    both = np.concatenate([splits.train.x, splits.val.x])
    assert np.unique(both[:, 0, 0]).tolist() == list(range(100))
    assert splits.test.x[:, 0, 0].tolist() == list(range(100, 110))
    (line,) = lines
    assert line == f"{tmp_path / 'digit-recognizer' / 'train.csv'} does not exist: using mnist instead"
    assert splits.fingerprint != small_mnist().original(tmp_path, print).fingerprint


def test_without_both_the_message_names_both_paths(tmp_path: Path):
    with pytest.raises(DataUnavailable) as failure:
        load(tmp_path)
    for part in (tmp_path / "digit-recognizer" / "train.csv", f"no MNIST in {tmp_path}"):
        assert str(part) in str(failure.value)


def test_the_published_mnist_takes_the_place_of_the_files(mnist_dir: Path):
    splits = DIGITS.load("original", mnist_dir, lambda line: None)
    assert (splits.name, splits.num_classes) == ("mnist", 10)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [48_000, 12_000, 10_000]
    shares = [np.bincount(split.y) / len(split) for split in (splits.train, splits.val)]
    assert np.allclose(*shares, atol=1e-3)


def test_the_made_choice_needs_no_files(tmp_path: Path):
    assert DIGITS.load("made", tmp_path / "absent", print).name == "sklearn-digits"
