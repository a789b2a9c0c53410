"""max-digit's made images: splits, names, and the files that keep them."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from data import max_digit as module
from data.made.max_digits import Maker
from data.max_digit import max_digit
from data.mnist import MNIST
from data.splits import Dataset, DataUnavailable, Splits
from tests.data.toy_digits import make


def test_made_images_come_in_three_splits_always_the_same(stand_in: Splits, tmp_path: Path):
    splits = make(tmp_path / "a")
    assert (splits.name, splits.origin) == ("max-digit-made", "made")
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [27, 3, 5]
    for split in (splits.train, splits.val, splits.test):
        assert (split.x.dtype, split.x.shape[1:]) == (np.uint8, (128, 128))
        assert split.labels.dtype == np.int64
    assert make(tmp_path / "b").fingerprint == splits.fingerprint
    assert make(tmp_path / "a", seed=1).fingerprint != splits.fingerprint


def test_an_image_does_not_depend_on_how_many_there_are(stand_in: Splits, tmp_path: Path):
    few, many = make(tmp_path), make(tmp_path, num_train=50, num_test=9)
    for name in ("train", "val", "test"):
        part, whole = getattr(few, name), getattr(many, name)
        np.testing.assert_array_equal(part.x, whole.x[: len(part)])
        np.testing.assert_array_equal(part.y, whole.y[: len(part)])


def test_without_mnist_the_name_says_which_digits_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unavailable(data_dir: Path, say: object) -> Splits:
        raise DataUnavailable("no network")

    monkeypatch.setattr(module, "MNIST", Dataset(name="mnist", original=unavailable, made=MNIST.made))
    lines: list[str] = []
    splits = make(tmp_path, lines.append)
    assert splits.name == "max-digit-made-sklearn"
    assert "no network" in lines[0]


def test_images_are_kept_and_read_again_without_copying(stand_in: Splits, tmp_path: Path, monkeypatch):
    first = make(tmp_path)
    monkeypatch.setattr(Maker, "image", None)  # nothing is made again
    lines: list[str] = []
    again = make(tmp_path, lines.append)

    assert again.fingerprint == first.fingerprint
    assert lines == []
    assert type(again.train.x) is np.ndarray
    base = again.train.x
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    assert sorted(path.suffix for path in (tmp_path / "made").iterdir()) == [".npy", ".npy"]


@pytest.mark.parametrize("which", ["images", "labels"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:40]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"descr", b"d'scr")),
        lambda path: path.write_bytes(b"something else"),
        lambda path: path.write_bytes(pickle.dumps([1])),
        lambda path: np.save(path, np.zeros(3)),
    ],
    ids=["gone", "empty", "short", "cut in its header", "bad header", "foreign", "pickle", "another array"],
)
def test_damaged_kept_images_are_made_again(stand_in: Splits, tmp_path: Path, which: str, damage):
    fingerprint = make(tmp_path).fingerprint
    (path,) = (tmp_path / "made").glob(f"*-{which}.npy")
    damage(path)
    assert make(tmp_path).fingerprint == fingerprint
    assert np.load(path).dtype == (np.uint8 if which == "images" else np.int64)


def test_with_an_unwritable_folder_images_are_made_but_not_kept(stand_in: Splits, tmp_path: Path):
    (tmp_path / "made").write_text("in the way")
    lines: list[str] = []
    splits = make(tmp_path, lines.append)
    assert splits.fingerprint == make(tmp_path / "elsewhere").fingerprint
    assert any("cannot be written" in line for line in lines)


def test_the_dataset_is_named_and_its_sizes_are_checked(stand_in: Splits, tmp_path: Path):
    dataset = max_digit(30, 5)
    assert dataset.name == "max-digit"
    lines: list[str] = []
    splits = dataset.load("auto", tmp_path, lines.append)
    assert splits.fingerprint == make(tmp_path).fingerprint
    assert "Results of this run are NOT results on max-digit" in lines[-1]
    for sizes in ((9, 5), (30, 0)):
        with pytest.raises(ValueError, match="expected at least 10 and 1"):
            max_digit(*sizes)
