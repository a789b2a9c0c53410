"""A user's own images, from folders and .npz files: read, split, and refused with every bad file named."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.embedded import load_made
from data.images import IMAGES, MAX_LISTED, class_names, own, read_images
from data.splits import DataError, DataUnavailable, Split, Splits

README_EXAMPLE = """
from pathlib import Path
from PIL import Image
from data.embedded import load_made

splits = load_made()
for split, name in (splits.train, "train"), (splits.val, "val"), (splits.test, "test"):
    for place, (image, label) in enumerate(zip(split.x, split.y)):
        folder = Path("my-digits", str(label))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{name}-{place}.png")
"""

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


def test_the_example_of_the_readme_gives_the_embedded_digits_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    exec(README_EXAMPLE, {})
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
        "cat/empty.png": "no image of the formats PNG, JPEG",
        "cat/float.tif": "more than 8 bits a channel (mode F)",
        "cat/long.png": "257x4 pixels; expected at most 256x256",
        "cat/truncated.png": "cannot be read: ",
        "cat/turned.png": "6x4 pixels; expected 4x6, as 20 of 21 images have",
        "dog/notes.txt": "no image of the formats",
        "dog/page.eps": "no image of the formats",
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


@pytest.mark.parametrize("given", [["train"], ["train", "test"], ["val", "test"]])
def test_given_splits_without_training_or_validation_are_refused(tmp_path: Path, given: list[str]):
    for part in given:
        fill(tmp_path / part)
    with pytest.raises(DataError, match="expected train/ and val/ where splits are given, found"):
        own(tmp_path)


def test_classes_may_be_called_like_a_split(tmp_path: Path):
    assert own(fill(tmp_path, classes=("bus", "train"))).num_classes == 2


def test_a_split_of_another_name_is_explained(tmp_path: Path):
    for part in ("train", "valid"):
        fill(tmp_path / part)
    assert "train/cat/: a folder in the folder of a class; expected images alone (given splits" in refusal(tmp_path)


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
        ({"x": X}, "expected the arrays x, y or .*; found x$"),
        ({"x": X, "y": Y, "classes": Y}, "found classes, x, y$"),
        ({"x_train": X, "y_train": Y}, "found x_train, y_train$"),
        ({**GIVEN, "x_test": X}, "found x_test, x_train, x_val"),
        ({"x": X.astype(float), "y": Y}, r"array x: expected uint8 .*, found float64 \[8, 6, 5\]"),
        ({"x": X[0], "y": Y}, r"array x: .* found uint8 \[6, 5\]"),
        ({"x": X[:0], "y": Y}, r"array x: .* found uint8 \[0, 6, 5\]"),
        ({"x": np.zeros((8, 6, 5, 4), np.uint8), "y": Y}, r"array x: .* found uint8 \[8, 6, 5, 4\]"),
        ({"x": np.zeros((8, 257, 5), np.uint8), "y": Y}, r"array x: .* found uint8 \[8, 257, 5\]"),
        ({"x": X, "y": Y.astype(float)}, r"array y: expected integers or strings \[N\], found float64 \[8\]"),
        ({"x": X, "y": np.eye(8, dtype=int)}, r"array y: .* found int64 \[8, 8\]"),
        ({"x": X, "y": np.array(["a", None] * 4)}, "Object arrays cannot be loaded"),
        ({"x": X, "y": Y[:7]}, "expected a label in y for each image in x, found 7 for 8"),
        ({"x": X, "y": 0 * Y}, "expected at least 2 classes, found 1: 0"),
        ({"x": X, "y": Y * (np.arange(8) < 4)}, r"expected at least 3 images of each class, .* found fewer of 1 \(2\)"),
        ({**GIVEN, "y_val": Y + 1}, "array y_val: expected the classes of y_train, found also 2"),
        ({**GIVEN, "y_val": Y + 0.5}, "array y_val: expected integers or strings"),
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
    assert "expected the arrays x, y or" in refusal(tmp_path / "file.npy")


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
