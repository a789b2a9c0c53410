"""A user's own images, from folders and .npz files: read, split, and refused with every bad file named."""

import io
import os
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.image_files import MAX_LISTED, read_images
from data.images import IMAGES, class_names, own
from data.made.digits import load_made
from data.splits import DataError, DataUnavailable, Split, Splits

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_images.py"

GREY, COLOUR = (6, 4), (6, 4, 3)  # height, width, channels


def picture(number: int, shape: tuple[int, ...] = GREY) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, image: np.ndarray | Image.Image, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)


def fill(folder: Path, num: int = 10, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """num grey PNGs in the folder of each class, of which the c-th has the pictures 100 * c and on."""
    for label, name in enumerate(classes):
        for i in range(num):
            save(folder / name / f"{i}.png", picture(100 * label + i))
    return folder


def parts(splits: Splits) -> list[Split]:
    return [splits.train, splits.val, splits.test]


def contents(*splits: Split) -> list[tuple[bytes, int]]:
    """What the splits hold, in an order that does not depend on theirs."""
    return sorted((x.tobytes(), int(y)) for split in splits for x, y in zip(split.x, split.y, strict=True))


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as failure:
        own(path)
    assert str(path) in str(failure.value)
    return str(failure.value)


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


def test_the_example_of_own_images_gives_the_embedded_digits_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    splits = IMAGES.load("my-digits", Path("unused"), print)

    assert contents(*parts(splits)) == contents(*parts(load_made()))
    assert class_names(Path("my-digits")) == [str(digit) for digit in range(10)]
    assert all(np.bincount(split.y).min() > 0 for split in parts(splits))


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


FORMATS = {
    "a.png": {},
    "b.PNG": {},
    "c.bmp": {},
    "d.tif": {},
    "e.TIFF": {"compression": "tiff_lzw"},
    "f.webp": {"lossless": True},
    "g.gif": {},
    "h.ppm": {},
    "i.jp2": {},
    "no-suffix": {"format": "PNG"},
    "wrong.jpg": {"format": "PNG"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_grey_images_of_every_lossless_format_are_read_as_they_are(tmp_path: Path, name: str):
    save(tmp_path / name, picture(1, (20, 30)), **FORMATS[name])
    assert np.array_equal(read_images(tmp_path, [name])[0], picture(1, (20, 30)))


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"g.gif"}))  # its 256 colours are too few
def test_coloured_images_of_every_lossless_format_are_read_channels_first(tmp_path: Path, name: str):
    save(tmp_path / name, picture(1, (20, 30, 3)), **FORMATS[name])
    assert np.array_equal(read_images(tmp_path, [name])[0], picture(1, (20, 30, 3)).transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_photographs_are_read_nearly_as_they_are(tmp_path: Path, name: str, mode: str):
    ramp = np.linspace(0, 255, 16 * 16).astype(np.uint8).reshape(16, 16)
    save(tmp_path / name, Image.fromarray(ramp).convert("RGB").convert(mode), quality=95)
    x = read_images(tmp_path, [name])
    assert np.abs(x.astype(int) - ramp).max() < 8
    if mode != "CMYK":
        assert x.shape == (1, 16, 16)


def test_grey_images_in_all_modes_are_grey(tmp_path: Path):
    image = Image.fromarray(picture(1))
    modes = ["L", "LA", "RGB", "RGBA", "P"]
    for mode in modes:
        save(tmp_path / f"{mode}.png", image.convert(mode))
    save(tmp_path / "1.png", image.convert("1"))
    x = read_images(tmp_path, [f"{mode}.png" for mode in [*modes, "1"]])
    assert x.shape == (6, *GREY)
    assert np.array_equal(x[:5], [picture(1)] * 5)
    assert set(np.unique(x[5])) == {0, 255}


def test_one_coloured_pixel_gives_all_images_three_channels(tmp_path: Path):
    coloured = picture(1)[:, :, None].repeat(3, 2)
    coloured[2, 1] = 10, 20, 30
    save(tmp_path / "a.png", picture(0))
    save(tmp_path / "b.png", coloured)
    x = read_images(tmp_path, ["a.png", "b.png"])
    assert np.array_equal(x[0], [picture(0)] * 3)
    assert np.array_equal(x[1], coloured.transpose(2, 0, 1))


def test_what_is_transparent_lies_on_white(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 100, 200]], np.uint8))
    image.putalpha(Image.fromarray(np.array([[255, 0, 255]], np.uint8)))
    save(tmp_path / "grey.png", image)
    save(tmp_path / "colour.png", image.convert("RGBA"))
    save(tmp_path / "L.png", np.array([[0, 100, 200]], np.uint8), transparency=100)
    save(tmp_path / "P.png", Image.fromarray(np.array([[0, 100, 200]], np.uint8)).convert("P"), transparency=100)
    files = ["grey.png", "colour.png", "L.png", "P.png"]
    assert read_images(tmp_path, files).tolist() == [[[0, 255, 200]]] * 4


def test_the_orientation_of_exif_is_applied(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    save(tmp_path / "a.png", picture(1), exif=exif)
    assert np.array_equal(read_images(tmp_path, ["a.png"])[0], np.rot90(picture(1), -1))


@pytest.mark.parametrize("suffix", ["gif", "tif"])
def test_of_several_frames_the_first_counts(tmp_path: Path, suffix: str):
    frames = [Image.fromarray(picture(i)) for i in range(3)]
    save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    assert np.array_equal(read_images(tmp_path, [f"a.{suffix}"])[0], picture(0))


def test_colours_of_16_bits_lose_their_lower_8(tmp_path: Path):
    # Pillow cannot write these, so the file is made by hand: a PPM with a maximum of 65,535.
    values = np.array([[[0, 0x7FFF, 0xFFFF]]], ">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + values.tobytes())
    assert read_images(tmp_path, ["a.ppm"])[0].ravel().tolist() == [0, 127, 255]


def test_hidden_files_and_litter_are_passed_over(tmp_path: Path):
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
def test_what_other_programs_leave_is_neither_class_nor_image(tmp_path: Path, root: str):
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


def non_utf8(folder: Path, name: bytes) -> Path:
    """A path whose last name is not UTF-8. Skips the test if the file system takes no such name."""
    path = folder / os.fsdecode(name)
    try:
        path.mkdir()
    except OSError:
        pytest.skip("this file system takes no names but UTF-8")
    path.rmdir()
    return path


def test_names_that_are_no_utf8_are_refused_in_reading(tmp_path: Path):
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


def refusal_of(path: Path) -> str:
    """The message, which can be printed anywhere."""
    with pytest.raises(DataError) as failure:
        own(path)
    return str(failure.value).encode().decode()


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


def test_training_images_alone_are_split_as_if_they_lay_a_folder_higher(tmp_path: Path):
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


@pytest.mark.parametrize("name", ["absent", "absent.npz"])
def test_a_path_that_is_not_there_is_named_with_what_could_be(tmp_path: Path, name: str):
    for read in (own, class_names):
        with pytest.raises(DataError, match=rf"data=.*{name}: found no such folder or file; expected a folder with"):
            read(tmp_path / name)


@pytest.mark.parametrize("choice", ["auto", "original"])
def test_without_a_path_the_message_says_how_to_name_one(tmp_path: Path, choice: str):
    said: list[str] = []
    if choice == "auto":
        assert IMAGES.load(choice, tmp_path, said.append).name == "sklearn-digits"
    else:
        with pytest.raises(DataUnavailable) as failure:
            IMAGES.load(choice, tmp_path, said.append)
        said.append(str(failure.value))
    assert all(way in said[0] for way in ("data=FOLDER", "data=FILE.npz", "data=made"))


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


def test_a_single_array_is_told_apart(tmp_path: Path):
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
def test_labels_are_taken_in_every_form_that_says_one_for_each_image(
    tmp_path: Path, y: np.ndarray, names: tuple[str, ...]
):
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
def test_pixels_are_taken_in_every_type_that_loses_nothing(tmp_path: Path, x: np.ndarray, expected: np.ndarray):
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
def test_arrays_go_by_the_names_that_people_give_them(tmp_path: Path, naming: str):
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


@given(st.integers(0, 200), st.integers(0, 255), st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
def test_a_damaged_image_is_read_or_listed(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, form: str
):
    folder = tmp_path_factory.getbasetemp() / "damaged-image"  # one for all examples
    folder.mkdir(exist_ok=True)
    content = io.BytesIO()
    Image.fromarray(picture(1, COLOUR)).save(content, form)
    damaged = bytearray(content.getvalue())
    damaged[position % len(damaged)] = byte
    (folder / "damaged").write_bytes(damaged)
    try:
        assert read_images(folder, ["damaged"]).dtype == np.uint8
    except DataError as error:
        assert "  damaged: " in str(error)  # noqa: PT017 - either outcome is right
