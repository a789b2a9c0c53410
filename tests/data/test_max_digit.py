"""max-digit: the competition's files read and refused, and images made that are what they are said to be."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data import max_digit as module
from data.made import max_digits as maker_module
from data.made import workers
from data.made.max_digits import Maker
from data.max_digit import load_made, load_original, max_digit
from data.max_digit_files import read_images
from data.mnist import MNIST
from data.splits import DataError, Dataset, DataUnavailable, Split, Splits
from data.stratified import stratified_split
from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]
NUM_IMAGES = 20
PIXELS = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 128, 128), np.uint8)
DIGITS = np.arange(NUM_IMAGES) % 10


def quietly(line: str) -> None:
    pass


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


# --- The competition's files ---


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


def test_an_array_of_numpys_youth_is_read(store):  # for Python 2's own, see test_array_pickle.py
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
def test_images_that_are_no_such_array_are_refused(store, images, fault: str):
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


# --- Images made from digits ---


def squares(*labels: int) -> Split:
    """Digits that are squares of ink, each as bright as its label says, of 20x20 pixels in 28x28."""
    x = np.zeros((len(labels), 28, 28), np.uint8)
    x[:, 4:-4, 4:-4] = 20 * (np.array(labels)[:, None, None] + 1)
    return Split(x, np.array(labels, np.int64))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Splits:
    """Few digits in the place of MNIST, so that nothing is downloaded."""
    digits = Splits(name="mnist", origin="original", train=squares(*range(10)), val=squares(3, 4), test=squares(5, 6))
    loaded = Dataset(name="mnist", original=lambda data_dir, say: digits, made=lambda data_dir, say: digits)
    monkeypatch.setattr(module, "MNIST", loaded)
    return digits


def make(data_dir: Path, say=quietly, **changes) -> Splits:
    return load_made(data_dir, say, **({"num_train": 30, "num_test": 5} | changes))


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


def test_an_image_does_not_depend_on_who_makes_it(stand_in: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "PIECE", 7)
    together, alone = make(tmp_path / "a", num_workers=2), make(tmp_path / "b", num_workers=1)
    assert together.fingerprint == alone.fingerprint


def test_the_label_is_the_largest_of_three_and_digits_come_from_their_own_split(stand_in: Splits, monkeypatch):
    used: list[np.ndarray] = []
    original = maker_module._turn
    monkeypatch.setattr(maker_module, "_turn", lambda digit, rng: used.append(digit) or original(digit, rng))
    for split, digits in enumerate((stand_in.train, stand_in.val, stand_in.test)):
        for number in range(20):
            used.clear()
            _, label = Maker(0, (stand_in.train, stand_in.val, stand_in.test)).image(split, number)
            labels = [int(digit.max()) // 20 - 1 for digit in used]
            assert len(labels) == 3
            assert label == max(labels)
            assert set(labels) <= set(digits.labels.tolist())


def test_splits_share_no_texture(stand_in: Splits, monkeypatch: pytest.MonkeyPatch):
    seeds: list[set] = []

    def recorded(kind: str, seed: tuple[int, ...], size: int) -> np.ndarray:
        seeds[-1].add((kind, seed))
        return np.zeros((size, size), np.uint8)

    monkeypatch.setattr(maker_module, "texture", recorded)
    maker_module._sheet.cache_clear()
    maker = Maker(0, (stand_in.train, stand_in.val, stand_in.test))
    for split in range(3):
        seeds.append(set())
        maker.piece(split, 0, 400)
    maker_module._sheet.cache_clear()
    assert not seeds[0] & seeds[1] | seeds[0] & seeds[2] | seeds[1] & seeds[2]
    assert [len(part) for part in seeds] == pytest.approx([192, 48, 48], rel=0.2)
    assert {kind for kind, _ in seeds[2]} == {"metal", "pebbles", "stars", "grain", "swirls", "ramps"}


@pytest.fixture
def black(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker_module, "_background", lambda *args: np.zeros((128, 128), np.uint8))


def test_all_ink_is_in_the_frame_and_hides_no_other(stand_in: Splits, black):
    maker = Maker(0, (squares(4), stand_in.val, stand_in.test))
    for number in range(60):
        rng = np.random.default_rng(number)
        inks = [maker_module._turn(maker.digits[0].x[0], rng) for _ in range(3)]
        shapes = [ink.shape for ink in inks]
        places = maker_module._place_boxes(shapes, rng)
        boxes = [
            (top, left, top + ink.shape[0], left + ink.shape[1]) for (top, left), ink in zip(places, inks, strict=True)
        ]
        assert all(0 <= box[0] < box[2] <= 128 and 0 <= box[1] < box[3] <= 128 for box in boxes)
        assert max(maker_module._overlap(boxes[i], boxes[j]) for i, j in ((0, 1), (0, 2), (1, 2))) <= 0.1
        # No ink is lost at the edge of what is drawn, nor when it is cut out: 400 pixels, scaled by 0.9 to 1.05.
        for ink in inks:
            assert 0.8 * 400 < ink.sum() / 100 < 1.13 * 400
            assert all(side.any() for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))


def test_digits_are_added_and_clipped(stand_in: Splits, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(maker_module, "_background", lambda *args: np.full((128, 128), 130, np.uint8))
    maker = Maker(0, (squares(4), squares(9), stand_in.test))
    faint, strong = (maker.image(split, 0)[0].astype(int) for split in (0, 1))
    assert np.bincount(faint.ravel()).argmax() == 130
    assert np.median(faint[faint > 160]) == 130 + 100  # ink of 5 x 20
    assert np.median(strong[strong > 160]) == 255  # ink of 10 x 20
    assert min(faint.min(), strong.min()) == 130


def test_digits_of_mnist_are_mostly_20_to_24_pixels_long(mnist_dir: Path):
    digits = MNIST.load("original", mnist_dir, quietly).train.x[:800]
    rng = np.random.default_rng(0)
    longer = np.array([max(maker_module._turn(digit, rng).shape) for digit in digits])
    assert np.mean((longer >= 20) & (longer <= 24)) > 0.75
    assert longer.max() <= 32


def test_labels_are_distributed_as_published(mnist_dir: Path, monkeypatch: pytest.MonkeyPatch):
    published = np.array([42, 421, 1029, 1991, 3171, 4223, 6184, 8866, 10621, 13452])
    digits = MNIST.load("original", mnist_dir, quietly)
    shares = np.bincount(digits.train.labels) / len(digits.train)
    expected = np.diff(np.cumsum(shares) ** 3, prepend=0)
    assert chi_square(published, expected) < 21.67  # 9 degrees of freedom: exceeded by chance once in 100
    assert chi_square(published, np.diff((np.arange(11) / 10) ** 3)) > 21.67  # classes of equal shares

    monkeypatch.setattr(maker_module, "_background", lambda *args: np.zeros((128, 128), np.uint8))
    monkeypatch.setattr(maker_module, "_turn", lambda digit, rng: digit)
    labels = Maker(0, (digits.train, digits.val, digits.test)).piece(0, 0, 4000)[1]
    assert chi_square(np.bincount(labels, minlength=10), expected) < 21.67


def chi_square(counts: np.ndarray, shares: np.ndarray) -> float:
    expected = shares * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def test_without_mnist_the_name_says_which_digits_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unavailable(data_dir: Path, say: object) -> Splits:
        raise DataUnavailable("no network")

    monkeypatch.setattr(module, "MNIST", Dataset(name="mnist", original=unavailable, made=MNIST.made))
    said: list[str] = []
    splits = make(tmp_path, said.append)
    assert splits.name == "max-digit-made-sklearn"
    assert "no network" in said[0]


# --- Kept for the next run ---


def test_images_are_kept_and_read_again_without_copying(stand_in: Splits, tmp_path: Path, monkeypatch):
    first = make(tmp_path)
    monkeypatch.setattr(Maker, "image", None)  # nothing is made again
    said: list[str] = []
    again = make(tmp_path, said.append)

    assert again.fingerprint == first.fingerprint
    assert said == []
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
def test_what_was_kept_and_is_damaged_is_made_anew(stand_in: Splits, tmp_path: Path, which: str, damage):
    fingerprint = make(tmp_path).fingerprint
    (path,) = (tmp_path / "made").glob(f"*-{which}.npy")
    damage(path)
    assert make(tmp_path).fingerprint == fingerprint
    assert np.load(path).dtype == (np.uint8 if which == "images" else np.int64)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_ctrl_c_leaves_nothing_behind(stand_in: Splits, tmp_path: Path, monkeypatch, num_workers: int):
    monkeypatch.setattr(workers, "PIECE", 5)
    monkeypatch.setattr(workers, "PROGRESS_SECONDS", 0)

    def interrupt(line: str) -> None:
        if "15 of 35" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, interrupt, num_workers=num_workers)
    assert list((tmp_path / "made").iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_the_keeping_alone(stand_in: Splits, tmp_path: Path):
    (tmp_path / "made").write_text("in the way")
    said: list[str] = []
    splits = make(tmp_path, said.append)
    assert splits.fingerprint == make(tmp_path / "elsewhere").fingerprint
    assert any("cannot be written" in line for line in said)


def test_progress_is_said(stand_in: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "PIECE", 9)
    monkeypatch.setattr(workers, "PROGRESS_SECONDS", 0)
    said: list[str] = []
    make(tmp_path, said.append)
    assert said[:3] == [
        "max-digit: making 35 images",
        "max-digit: 9 of 35 images made",
        "max-digit: 18 of 35 images made",
    ]


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from data import max_digit
from data.made import workers
from data.splits import Dataset, Split, Splits

digits = Split(np.full((500, 28, 28), 200, np.uint8), np.arange(500) % 10)  # more than a pipe holds
splits = Splits(name="mnist", origin="original", train=digits, val=digits, test=digits)
max_digit.MNIST = Dataset(name="mnist", original=lambda *_: splits, made=lambda *_: splits)
workers.PROGRESS_SECONDS = 0
{guard}max_digit.load_made(
    Path(sys.argv[1]), lambda line: print(line, flush=True), num_train={num_train}, num_test=10, num_workers=2
)
"""


def script(folder: Path, guard: str, num_train: int) -> subprocess.Popen:
    path = folder / "script.py"
    path.write_text(SCRIPT.format(guard=guard, num_train=num_train))
    return subprocess.Popen(
        [sys.executable, str(path), str(folder / "data")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_script_that_cannot_have_workers_makes_the_images_alone(tmp_path: Path):
    process = script(tmp_path, "", 600)
    out, _ = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0
    assert "this process makes the others" in out
    assert len(list((tmp_path / "data" / "made").glob("*.npy"))) == 2


def test_kill_leaves_neither_workers_nor_what_would_be_taken_for_whole(tmp_path: Path):
    process = script(tmp_path, "if __name__ == '__main__': ", 100_000)
    assert process.stdout is not None
    for line in process.stdout:
        if "images made" in line:
            break
    process.kill()
    process.communicate(timeout=HANG_SECONDS)  # ends once no worker holds its output any more
    assert list((tmp_path / "data" / "made").glob("*.npy")) == []


def test_the_dataset_is_named_and_its_sizes_are_checked(stand_in: Splits, tmp_path: Path):
    dataset = max_digit(30, 5)
    assert dataset.name == "max-digit"
    said: list[str] = []
    splits = dataset.load("auto", tmp_path, said.append)
    assert splits.fingerprint == make(tmp_path).fingerprint
    assert "Results of this run are NOT results on max-digit" in said[-1]
    for sizes in ((9, 5), (30, 0)):
        with pytest.raises(ValueError, match="expected at least 10 and 1"):
            max_digit(*sizes)
