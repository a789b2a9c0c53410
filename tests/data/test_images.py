"""A user's own images as a dataset: splits, names and messages."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from data.images import IMAGES, class_names, own
from data.made.digits import load_made
from data.splits import DataError, DataUnavailable
from tests.data.pictures import contents, parts

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_images.py"


def test_the_example_of_own_images_gives_the_embedded_digits_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    splits = IMAGES.load("my-digits", Path("unused"), print)

    assert contents(*parts(splits)) == contents(*parts(load_made()))
    assert class_names(Path("my-digits")) == [str(digit) for digit in range(10)]
    assert all(np.bincount(split.y).min() > 0 for split in parts(splits))


@pytest.mark.parametrize(("num", "sizes"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (10, [6, 2, 2]), (100, [70, 15, 15])])
def test_each_class_is_in_each_split(tmp_path: Path, num: int, sizes: list[int]):
    path = tmp_path / "file.npz"
    y = np.arange(2 * num) % 2
    np.savez(path, x=np.zeros((2 * num, 3, 3), np.uint8), y=y)
    assert [np.bincount(split.y).tolist() for split in parts(own(path))] == [[size] * 2 for size in sizes]


def test_the_split_is_pinned(tmp_path: Path):
    np.savez(tmp_path / "file.npz", x=np.arange(20, dtype=np.uint8).reshape(20, 1, 1), y=np.arange(20) % 2)
    assert [split.x.ravel().tolist() for split in parts(own(tmp_path / "file.npz"))[1:]] == [
        [2, 3, 11, 18],
        [6, 8, 13, 15],
    ]


@pytest.mark.parametrize("name", ["absent", "absent.npz"])
def test_a_missing_path_is_named_with_the_alternatives(tmp_path: Path, name: str):
    for read in (own, class_names):
        with pytest.raises(DataError, match=rf"data=.*{name}: found no such folder or file; expected a folder with"):
            read(tmp_path / name)


@pytest.mark.parametrize("choice", ["auto", "original"])
def test_without_a_path_the_message_says_how_to_name_one(tmp_path: Path, choice: str):
    lines: list[str] = []
    if choice == "auto":
        assert IMAGES.load(choice, tmp_path, lines.append).name == "sklearn-digits"
    else:
        with pytest.raises(DataUnavailable) as failure:
            IMAGES.load(choice, tmp_path, lines.append)
        lines.append(str(failure.value))
    assert all(way in lines[0] for way in ("data=FOLDER", "data=FILE.npz", "data=made"))
