"""The names that a user's task file imports from data, and the files that they read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import data
from data import DataError, Splits, load_folder, load_npz, load_pairs
from data.images import own
from tests.data.pictures import fill, parts, save

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(0).normal(size=(40, 2, 5))
Y = np.array(["b", "c"])[np.arange(40) % 2]


def test_every_public_name_can_be_imported_and_others_cannot():
    assert all(getattr(data, name) for name in data.__all__)
    with pytest.raises(AttributeError, match="module 'data' has no attribute 'load_csv'"):
        _ = data.load_csv


def test_importing_the_package_loads_nothing_and_its_readers_nothing_slow():
    program = (
        "import sys, data; print('numpy' in sys.modules)\n"
        "from data import Splits, load_folder, load_npz, load_pairs, load_rows\n"
        "print({'torch', 'torchvision', 'ray', 'sklearn', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split("\n") == ["False", "set()", ""]


def test_a_folder_is_read_as_the_task_of_own_images_reads_it(tmp_path: Path):
    folder = fill(tmp_path / "pets")
    assert load_folder(str(folder)).fingerprint == own(folder).fingerprint


def test_an_npz_file_holds_arrays_of_any_shape(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    splits = load_npz(str(tmp_path / "a.npz"))
    assert (splits.name, splits.classes) == ("npz:a.npz", ("b", "c"))
    assert splits.fingerprint == Splits.of(X, Y).fingerprint
    assert load_npz(tmp_path / "a.npz", classes=["c", "b"]).classes == ("c", "b")


def test_an_npz_file_may_hold_splits_and_objects(tmp_path: Path):
    y = Y.astype(object)
    np.savez(tmp_path / "a.npz", x_train=X, y_train=y, x_test=X[:7], y_test=y[:7])
    splits = load_npz(tmp_path / "a.npz")
    assert [len(split) for split in parts(splits)] == [34, 6, 7]
    assert splits.fingerprint == Splits.of(X, Y, test=(X[:7], Y[:7])).fingerprint


def test_an_npz_file_may_lack_y(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=X)
    assert not load_npz(tmp_path / "a.npz").train.has_targets


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"x_test": X, "y_test": Y}, "expected x or x_train, found x_test, y_test"),
        ({"x_train": X, "y_train": Y, "x_val": X}, "val: only one of val and train has y"),
        ({"a": X}, "found a"),
        ({"x": X + np.nan, "y": Y}, "npz:a.npz: x: found NaN or infinity, the first in example 0"),
    ],
)
def test_bad_arrays_of_an_npz_file_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], expected: str):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError) as failure:
        load_npz(tmp_path / "a.npz")
    assert expected in str(failure.value)


def test_a_missing_npz_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"absent.npz: found no such file; expected an .npz file with x and y"):
        load_npz(tmp_path / "absent.npz")


def test_pairs_of_pages_are_read_from_two_folders(tmp_path: Path):
    for number in range(4):
        save(tmp_path / "dirty" / f"{number}.png", np.full((70, 64 + number), number, np.uint8))
        save(tmp_path / "good" / f"{number}.png", np.full((70, 64 + number), 100 + number, np.uint8))
    splits = load_pairs(str(tmp_path / "dirty"), str(tmp_path / "good"))
    assert splits.name == "pairs:dirty"
    assert [len(split) for split in parts(splits)] == [2, 1, 1]
    assert all((y == x + 100).all() for split in parts(splits) for x, y in zip(split.x, split.y, strict=True))

    save(tmp_path / "dirty" / "7.png", np.zeros((70, 70), np.uint8))
    with pytest.raises(DataError, match=r"dirty/7.png: expected a clean partner good/7.png, found none"):
        load_pairs(tmp_path / "dirty", tmp_path / "good")
