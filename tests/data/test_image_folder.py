"""Folders of class folders: read, split, and refused with every bad file named."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.image_files import MAX_LISTED
from data.images import class_names, own
from data.splits import DataError
from tests.data.pictures import GREY, contents, fill, non_utf8, parts, picture, refusal, refusal_of, save


def test_a_folder_of_class_folders_is_read_and_split(tmp_path: Path):
    folder = fill(tmp_path / "pets", 20, ("Emu", "cat", "dog"))
    splits = own(folder)

    assert (splits.name, splits.origin, splits.num_classes) == ("images:pets", "original", 3)
    assert class_names(folder) == ["Emu", "cat", "dog"]
    assert [np.bincount(split.y).tolist() for split in parts(splits)] == [[14] * 3, [3] * 3, [3] * 3]
    assert splits.train.x.shape == (42, *GREY)
    assert (splits.train.x.dtype, splits.train.y.dtype) == (np.uint8, np.int64)
    assert contents(*parts(splits)) == sorted((picture(100 * c + i).tobytes(), c) for c in range(3) for i in range(20))
    assert own(folder).fingerprint == splits.fingerprint


@pytest.mark.parametrize("given", [["train", "val"], ["train", "val", "test"]])
def test_given_splits_are_kept(tmp_path: Path, given: list[str]):
    for start, part in enumerate(given):
        fill(tmp_path / part, 3 + start)
    (tmp_path / "val" / "cat" / "0.png").unlink()
    splits = own(tmp_path)
    assert [len(split) for split in parts(splits)] == [6, 7, 10 if "test" in given else 0]
    assert contents(splits.train) == sorted((picture(100 * c + i).tobytes(), c) for c in range(2) for i in range(3))
    assert splits.test.x.shape[1:] == GREY
    assert class_names(tmp_path) == ["cat", "dog"]


def test_hidden_files_and_litter_are_skipped(tmp_path: Path):
    fill(tmp_path)
    for path in (".DS_Store", "Thumbs.db", "cat/.DS_Store", "cat/Thumbs.db", "dog/desktop.ini", "dog/._1.png"):
        (tmp_path / path).write_bytes(b"no image")
    (tmp_path / ".git").mkdir()
    assert sum(len(split) for split in parts(own(tmp_path))) == 20


LITTER = (
    *(
        "__MACOSX",
        "@eaDir",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
        "#recycle",
        "@Recycle",
        "#snapshot",
    ),
    *(".ipynb_checkpoints", ".Trashes", "found.000", "Network Trash Folder", "__pycache__", "LOST+FOUND"),
)

LITTER_FILES = (
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "Icon\r",
    "._a.png",
    "~$a.docx",
    "a.png:Zone.Identifier",
    "Picasa.ini",
)


@pytest.mark.parametrize("root", ["", "train/"])
def test_files_of_other_programs_are_neither_classes_nor_images(tmp_path: Path, root: str):
    fill(tmp_path / "train")
    fill(tmp_path / "val")
    folder = tmp_path / ("" if root else "train")
    clean = own(folder)
    for name in LITTER:
        save(tmp_path / name / "cat" / "a.png", picture(0))
        save(tmp_path / "train" / name / "a.png", picture(0))
        save(tmp_path / "train" / "cat" / name / "a.png", picture(0))
    for name in LITTER_FILES:
        for place in ("", "train", "val/dog"):
            (tmp_path / place / name).write_bytes(b"no image")
    assert own(folder).fingerprint == clean.fingerprint
    assert own(folder).classes == ("cat", "dog")


def test_names_that_are_not_utf8_are_refused(tmp_path: Path):
    message = "its name is not UTF-8, as often happens in old archives; rename it"
    folder = fill(tmp_path / "pets")
    bad = [non_utf8(folder / "cat", b"gr\xfcn.png"), non_utf8(folder, b"stra\xdfe.png"), non_utf8(folder, b"h\xf6he")]
    for path in bad[:2]:
        save(tmp_path / "a.png", picture(0))
        (tmp_path / "a.png").rename(path)
    assert f"stra\\xdfe.png: {message}" in refusal_of(folder)
    bad[1].unlink()
    assert f"cat/gr\\xfcn.png: {message}" in refusal_of(folder)
    bad[0].unlink()
    bad[2].mkdir()
    assert f"{folder}: cannot be used:\n  h\\xf6he: {message}" in refusal_of(folder)
    bad[2].rmdir()
    assert own(folder).num_classes == 2
    renamed = non_utf8(tmp_path, b"st\xfcck")
    folder.rename(renamed)
    assert f"st\\xfcck: {message}" in refusal_of(renamed)
    assert f"st\\xfcck/x.npz: {message}" in refusal_of(renamed / "x.npz")


def test_all_bad_files_are_listed_at_once(tmp_path: Path):
    fill(tmp_path)
    png = io.BytesIO()
    Image.fromarray(picture(0, (50, 40))).save(png, "PNG")
    for path, content in {
        "cat/empty.png": b"",
        "cat/truncated.png": png.getvalue()[:-900],
        "dog/notes.txt": b"not an image",
        "dog/page.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n",
        "stray.png": png.getvalue(),
    }.items():
        (tmp_path / path).write_bytes(content)
    save(tmp_path / "cat" / "deep.png", np.full(GREY, 4095, np.uint16))
    save(tmp_path / "cat" / "float.tif", Image.fromarray(np.ones(GREY, np.float32)))
    save(tmp_path / "cat" / "long.png", np.zeros((4, 257), np.uint8))
    save(tmp_path / "cat" / "turned.png", picture(0).T.copy())
    save(tmp_path / "dog" / "puppies" / "a.png", picture(0))
    (tmp_path / "bird").mkdir()

    first, *lines = refusal(tmp_path).splitlines()

    assert "images of one size, at most 256x256 pixels, and nothing else, found 21 such images and 11 others" in first
    faults = dict(line.strip().split(": ", 1) for line in lines)
    assert list(faults) == sorted(faults)
    for path, reason in {
        "bird/": "a class without images",
        "cat/deep.png": "more than 8 bits a channel (mode I;16); expected 8",
        "cat/empty.png": "not an image of the formats PNG, JPEG",
        "cat/float.tif": "more than 8 bits a channel (mode F)",
        "cat/long.png": "257x4 pixels; expected at most 256x256",
        "cat/truncated.png": "cannot be read: ",
        "cat/turned.png": "6x4 pixels; expected 4x6, as 20 of 21 images have",
        "dog/notes.txt": "not an image of the formats",
        "dog/page.eps": "not an image of the formats",
        "dog/puppies/": "a folder in the folder of a class",
        "stray.png": "beside the folders of classes",
    }.items():
        assert faults.pop(path).startswith(reason)
    assert not faults


def test_a_long_list_is_cut_off_and_counted(tmp_path: Path):
    fill(tmp_path)
    for i in range(MAX_LISTED + 7):
        (tmp_path / "cat" / f"{i}.txt").write_text("")
    first, *lines = refusal(tmp_path).splitlines()
    assert "57 others" in first
    assert len(lines) == MAX_LISTED + 1
    assert lines[-1] == "  and 7 more"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_listed(tmp_path: Path):
    (fill(tmp_path) / "cat" / "1.png").chmod(0)
    assert "cat/1.png: cannot be read: Permission denied" in refusal(tmp_path)


def test_faults_in_given_splits_are_listed(tmp_path: Path):
    for part in ("train", "val", "test"):
        fill(tmp_path / part)
    (tmp_path / "notes.txt").write_text("")
    save(tmp_path / "val" / "stray.png", picture(0))
    save(tmp_path / "test" / "emu" / "a.png", picture(0))
    lines = refusal(tmp_path).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["notes.txt", "test/emu/", "val/stray.png"]
    assert "a class that train/ does not have" in lines[1]


def test_a_split_without_classes_is_listed(tmp_path: Path):
    fill(tmp_path / "train")
    (tmp_path / "val").mkdir()
    assert "  val/: no folders of classes" in refusal(tmp_path)


@pytest.mark.parametrize("given", [["train", "test"], ["Training", "Testing"], ["TRAIN", "test"]])
def test_validation_is_split_off_the_training_images_where_only_a_test_is_given(tmp_path: Path, given: list[str]):
    fill(tmp_path / given[0], 20)
    fill(tmp_path / given[1], 5)
    splits = own(tmp_path)
    assert [np.bincount(split.y).tolist() for split in parts(splits)] == [[17] * 2, [3] * 2, [5] * 2]
    assert contents(splits.train, splits.val) == sorted(
        (picture(100 * c + i).tobytes(), c) for c in range(2) for i in range(20)
    )


def test_a_train_folder_alone_is_split_like_a_folder_without_splits(tmp_path: Path):
    fill(tmp_path / "all" / "train", 20)
    assert own(tmp_path / "all").fingerprint == own(tmp_path / "all" / "train").fingerprint


@pytest.mark.parametrize("given", [["val", "test"], ["train", "val", "valid"], ["test"]])
def test_given_splits_without_training_or_twice_are_refused(tmp_path: Path, given: list[str]):
    for part in given:
        fill(tmp_path / part)
    with pytest.raises(DataError, match="expected train/ and optionally val/ and test/ as given splits, found"):
        own(tmp_path)


@pytest.mark.parametrize("name", ["valid", "validation", "Val"])
def test_splits_may_have_their_longer_names(tmp_path: Path, name: str):
    fill(tmp_path / "train", 4)
    fill(tmp_path / name, 3)
    assert [len(split) for split in parts(own(tmp_path))] == [8, 6, 0]


def test_classes_may_be_called_like_a_split(tmp_path: Path):
    assert own(fill(tmp_path, classes=("bus", "train"))).num_classes == 2


def test_a_split_of_another_name_is_explained(tmp_path: Path):
    for part in ("train", "holdout"):
        fill(tmp_path / part)
    assert "train/cat/: a folder in the folder of a class; expected only images (splits must" in refusal(tmp_path)


def test_images_without_folders_are_refused(tmp_path: Path):
    save(tmp_path / "a.png", picture(0))
    assert "expected a folder of images for each class, found 1 files and no folder" in refusal(tmp_path)


def test_one_class_is_refused(tmp_path: Path):
    assert "expected at least 2 classes, found 1: cat" in refusal(fill(tmp_path, classes=("cat",)))


def test_too_few_images_of_a_class_are_counted(tmp_path: Path):
    fill(tmp_path)
    save(tmp_path / "emu" / "a.png", picture(0))
    save(tmp_path / "fox" / "a.png", picture(0))
    save(tmp_path / "fox" / "b.png", picture(0))
    assert "expected at least 3 images of each class, one for each split, found fewer of emu (1), fox (2)" in refusal(
        tmp_path
    )
