"""Documents read, refused, drawn, and split so that no page is in two parts."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.documents import DOCUMENTS, load_made, load_original, split_by_page
from data.page_files import read_pages
from data.splits import DataError, DataUnavailable, Split, Splits

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"
PARTS = ("train", "val", "test")


def page(value: int, height: int = 64, width: int = 64) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def store(path: Path, image: np.ndarray | Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path)


def store_pairs(data_dir: Path, num: int = 6) -> Path:
    """Pairs 1.png and so on, two noises a page; the noisy image is full of its number, the clean one of its page's."""
    folder = data_dir / "documents"
    for number in range(1, num + 1):
        store(folder / "train" / f"{number}.png", page(number))
        store(folder / "train_cleaned" / f"{number}.png", page(200 + number // 2))
    return folder


def parts(splits: Splits) -> list[Split]:
    return [getattr(splits, name) for name in PARTS]


def pages(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.y}


def rmse(*several: Split) -> float:
    """Of doing nothing, over all pixels, white being 1."""
    pairs = [(x, y) for split in several for x, y in zip(split.x, split.y, strict=True)]
    return float(np.sqrt(np.mean(np.concatenate([(np.float64(x) - y).ravel() / 255 for x, y in pairs]) ** 2)))


def test_pairs_are_read_in_natural_order_and_split_by_page(tmp_path: Path):
    store_pairs(tmp_path, 12)
    splits = DOCUMENTS.load("original", tmp_path, print)

    assert (splits.name, splits.origin) == ("documents", "original")
    assert sum(len(split) for split in parts(splits)) == 12
    for split in parts(splits):
        numbers = [int(image[0, 0]) for image in split.x]
        assert numbers == sorted(numbers)
        assert [int(image[0, 0]) for image in split.y] == [200 + number // 2 for number in numbers]
        assert all(image.dtype == np.uint8 and image.shape == (64, 64) and image.flags.writeable for image in split.x)
    assert load_original(tmp_path, print).fingerprint == splits.fingerprint
    assert sum(len(split) for split in parts(splits.limited(3, 1))) == 3 + 1 + len(splits.test)


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([(2, 3), (4, 3)])), min_size=3, max_size=60))
def test_no_page_is_in_two_parts_and_none_is_lost(copies_and_shapes: list[tuple[int, tuple[int, int]]]):
    y = [np.full(shape, n, np.uint8) for n, (copies, shape) in enumerate(copies_and_shapes) for _ in range(copies)]
    x = [image + np.uint8(100) for image in y]
    splits = split_by_page("toy", "made", x, y)

    found = [pages(split) for split in parts(splits)]
    assert all(found)
    assert sum(map(len, found)) == len(set.union(*found)) == len(copies_and_shapes)
    assert sum(len(split) for split in parts(splits)) == len(y)
    assert len(found[1]) == len(found[2]) == max(1, round(0.15 * len(copies_and_shapes)))
    for split in parts(splits):
        assert all(np.array_equal(a, b + 100) for a, b in zip(split.x, split.y, strict=True))


def test_each_size_is_in_each_part_in_proportion():
    y = [np.full((2, 3) if n < 12 else (4, 3), n, np.uint8) for n in range(36)]
    sizes = [Counter(image.shape for image in split.y) for split in parts(split_by_page("toy", "made", y, y))]
    assert sizes == [{(2, 3): 8, (4, 3): 18}, {(2, 3): 2, (4, 3): 3}, {(2, 3): 2, (4, 3): 3}]


def test_without_the_folder_auto_draws_pages_and_original_says_what_to_copy(tmp_path: Path):
    said: list[str] = []
    assert DOCUMENTS.load("auto", tmp_path, said.append).name == "documents-made"
    assert "NOT results on documents" in said[0]
    with pytest.raises(DataUnavailable, match=r"(?s)documents for train/ and train_cleaned/.*Ways out: .*data=made"):
        DOCUMENTS.load("original", tmp_path, print)


@pytest.mark.parametrize("choice", ["auto", "original"])
@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["documents/train/1.png"], r"documents/train_cleaned: expected a folder that can be read, found"),
        (["documents/train_cleaned/1.png"], r"documents/train: expected a folder that can be read"),
        (
            ["documents/train/1.jpg", "documents/train_cleaned/1.png"],
            r"train: expected a folder of PNGs, found none in",
        ),
        (["documents"], r"documents: expected a folder, found none that can be read"),
    ],
)
def test_half_a_dataset_is_an_error(choice: str, files: list[str], message: str, tmp_path: Path):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(page(1)).save(tmp_path / name, format="PNG")
    with pytest.raises(DataError, match=message):
        DOCUMENTS.load(choice, tmp_path, print)


def test_all_bad_files_are_listed_at_once(tmp_path: Path):
    folder = store_pairs(tmp_path, 12)
    (folder / "train_cleaned" / "2.png").unlink()
    (folder / "train" / "3.png").unlink()
    store(folder / "train" / "4.png", page(4, 70, 80))
    (folder / "train" / "5.png").write_bytes((folder / "train" / "5.png").read_bytes()[:60])
    (folder / "train_cleaned" / "6.png").write_bytes(b"no image")
    store(folder / "train" / "7.png", Image.new("RGB", (64, 64), (1, 2, 3)))
    store(folder / "train" / "8.png", page(8, 64, 63))
    with pytest.raises(DataError) as caught:
        load_original(tmp_path, print)

    header, *lines = str(caught.value).splitlines()
    assert header == f"{folder}: 7 bad files:"
    expected = [
        r"train/5.png: expected a PNG, found a file that cannot be read: .+",
        r"train/7.png: expected 8-bit grey \(mode L\), found colours or transparency \(mode RGB\)",
        r"train/8.png: expected at least 64x64 pixels, found 63x64 \(width x height\)",
        r"train_cleaned/6.png: expected a PNG, found a file that cannot be read: .+",
        r"train/2.png: expected a clean partner train_cleaned/2.png, found none",
        r"train_cleaned/3.png: expected a noisy partner train/3.png, found none",
        r"train/4.png: expected the size of train_cleaned/4.png, 64x64 \(width x height\), found 80x70 .*",
    ]
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(f"  {pattern}", line)


def test_of_many_bad_files_the_first_20_are_listed(tmp_path: Path):
    folder = store_pairs(tmp_path, 25)
    for clean in sorted((folder / "train_cleaned").iterdir())[:23]:
        clean.unlink()
    with pytest.raises(DataError) as caught:
        load_original(tmp_path, print)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[1][:14], lines[-1]) == (22, "  train/1.png:", "  and 3 more")


def test_too_few_pages_to_split_are_refused(tmp_path: Path):
    store_pairs(tmp_path, 3)  # pages 200, 201, 201
    with pytest.raises(
        DataError, match=r"train_cleaned: expected at least 3 different pages, one for each .*, found 2"
    ):
        load_original(tmp_path, print)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_grey_page_in_any_8_bit_mode_is_read_without_loss(mode: str, tmp_path: Path):
    grey = np.where(np.eye(64), 255, 0).astype(np.uint8)
    if mode not in ("1", "P"):
        grey = (np.arange(64 * 64) % 256).astype(np.uint8).reshape(64, 64)
    image = Image.fromarray(grey).convert(mode)
    store(tmp_path / "1.png", image)
    with Image.open(tmp_path / "1.png") as stored:
        assert stored.mode == mode

    (read,), names = read_pages(tmp_path)

    assert names == ["1.png"]
    assert np.array_equal(read, grey)
    assert read.flags.writeable


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (Image.new("RGB", (64, 64), (5, 5, 6)), r"colours or transparency \(mode RGB\)"),
        (Image.new("RGBA", (64, 64), (5, 5, 5, 254)), r"colours or transparency \(mode RGBA\)"),
        (Image.new("LA", (64, 64), (5, 0)), r"colours or transparency \(mode LA\)"),
        (Image.new("P", (64, 64), 1), r"colours or transparency \(mode P\)"),
        (Image.fromarray(np.full((64, 64), 500, np.uint16)), r"16 bits \(mode I;16\)"),
    ],
)
def test_a_lossy_conversion_is_refused_with_the_images_mode(image: Image.Image, found: str, tmp_path: Path):
    if image.mode == "P":
        image.putpalette([0, 0, 0, 200, 30, 30])
    store(tmp_path / "1.png", image)
    with pytest.raises(DataError, match=rf"1\.png: expected 8-bit grey \(mode L\), found {found}"):
        read_pages(tmp_path)


def test_pages_are_read_in_natural_order_among_other_files(tmp_path: Path):
    for value, name in enumerate(["2.png", "10.png", "a.png", "b2.PNG", "b10.png"]):
        store(tmp_path / name, page(value, 64 + value, 80))
    (tmp_path / "notes.txt").write_text("no page")
    (tmp_path / "._2.png").write_bytes(b"what another system says of 2.png")

    images, names = read_pages(tmp_path)

    assert names == ["2.png", "10.png", "a.png", "b2.PNG", "b10.png"]
    assert [image.shape for image in images] == [(64 + value, 80) for value in range(5)]


def test_no_pages_at_all_are_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="expected a folder of PNGs, found none in it"):
        read_pages(tmp_path)
    with pytest.raises(DataError, match="absent: expected a folder that can be read, found"):
        read_pages(tmp_path / "absent")


@given(st.integers(0, 5000), st.integers(0, 255), st.booleans())
def test_a_damaged_file_gives_a_page_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, cut: bool
):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    store(folder / "1.png", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))
    content = bytearray((folder / "1.png").read_bytes())
    position %= len(content)
    content[position] = byte
    (folder / "1.png").write_bytes(content[:position] if cut else content)
    try:
        assert read_pages(folder)[0][0].shape == (64, 64)
    except DataError as error:
        assert "1.png: expected" in str(error)  # noqa: PT017 - either outcome is right


def test_made_pages_look_like_the_published_ones_and_are_always_the_same():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - the generator that must not be touched
    splits = load_made()

    assert (splits.name, splits.origin) == ("documents-made", "made")
    assert [(len(split), len(pages(split))) for split in parts(splits)] == [(36, 12), (6, 2), (6, 2)]
    for split in parts(splits):
        assert {image.shape for image in split.x} == {(420, 540), (258, 540)}
        clean = np.concatenate([image.ravel() for image in split.y])
        assert 0.65 < np.mean(clean == 255) < 0.9
        assert 0.05 < np.mean(clean < 128) < 0.2
        assert len(np.unique(clean)) > 100  # anti-aliased
        assert 0.13 < rmse(split) < 0.19
    assert len({image.tobytes() for split in parts(splits) for image in split.x}) == 48
    assert load_made().fingerprint == splits.fingerprint
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.skipif(not (REAL / "documents").is_dir(), reason="the scanned documents are not in ../shared/data")
def test_the_published_documents_are_36_pages_split_in_the_one_way():
    splits = DOCUMENTS.load("auto", REAL, print)

    assert (splits.name, splits.origin, splits.fingerprint) == ("documents", "original", "416846a7ddee695f")
    assert [len(split) for split in parts(splits)] == [80, 19, 16]
    found = [pages(split) for split in parts(splits)]
    assert [len(part) for part in found] == [26, 5, 5]
    assert len(set.union(*found)) == 36
    for split in parts(splits):
        assert {image.shape for image in split.x} == {(420, 540), (258, 540)}
        assert 0.15 < rmse(split) < 0.165
    assert rmse(*parts(splits)) == pytest.approx(0.1583, abs=1e-4)


@pytest.mark.skipif(not (REAL / "documents").is_dir(), reason="the scanned documents are not in ../shared/data")
def test_the_published_test_pages_are_read():
    images, names = read_pages(REAL / "documents" / "test")
    assert (len(images), names[:3], names[-1]) == (29, ["6.png", "8.png", "26.png"], "216.png")
    assert {image.shape for image in images} == {(420, 540), (258, 540)}


def test_importing_documents_brings_in_nothing_slow():
    program = (
        "import sys, data.documents\n"
        "print({'torch', 'torchvision', 'ray', 'sklearn', 'PIL', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


def test_litter_is_skipped_and_names_that_are_not_utf8_are_refused(tmp_path: Path):
    Image.fromarray(page(1)).save(tmp_path / "1.png")
    for name in ("._1.png", "~$1.png", "__MACOSX", "@eaDir"):
        (tmp_path / name).write_bytes(b"of another program")
    assert read_pages(tmp_path)[1] == ["1.png"]
    bad = tmp_path / os.fsdecode(b"gr\xfcn.png")
    try:
        (tmp_path / "1.png").rename(bad)
    except OSError:
        pytest.skip("this file system takes no names but UTF-8")
    with pytest.raises(DataError, match=r"gr\\xfcn.png: its name is not UTF-8") as refusal:
        read_pages(tmp_path)
    str(refusal.value).encode()
