"""Drawn images of three digits are what they are lines to be."""

from pathlib import Path

import numpy as np
import pytest

from data.made import max_digits as maker_module
from data.made.max_digits import Maker
from data.mnist import MNIST
from data.splits import Splits
from tests.data.toy_digits import quietly, squares


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
