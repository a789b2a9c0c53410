"""Draws max-digit's images: three digits of MNIST on a texture."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from data.made.textures import KINDS, texture
from data.splits import Split

FORMAT = 1  # of the images: raise it with every change to a pixel, so that kept images are made again

SIZE = 128
MAX_DEGREES = 25
SCALES = (0.9, 1.05)  # with these, the longer side of 83% of MNIST's digits is 20 to 24 pixels
MAX_OVERLAP = 0.1  # of the smaller digit's box: digits may touch, and none hides another
SHEET_SIZE = 256  # pixels: a background is a piece of a sheet
SHEETS_PER_KIND = (32, 8, 8)  # for training, validation and test

Piece = tuple[np.ndarray, np.ndarray]
"""Some images, uint8 [n, 128, 128], and their labels, int64 [n]."""


@dataclass(frozen=True)
class Maker:
    """Makes images from the digits of three splits: training, validation, test."""

    seed: int
    digits: Sequence[Split]

    def piece(self, split: int, start: int, stop: int) -> Piece:
        """Returns images `start` to `stop` of a split."""
        x = np.empty((stop - start, SIZE, SIZE), np.uint8)
        y = np.empty(stop - start, np.int64)
        for index in range(stop - start):
            x[index], y[index] = self.image(split, start + index)
        return x, y

    def image(self, split: int, number: int) -> tuple[np.ndarray, int]:
        """Returns one image uint8 [128, 128] and its label."""
        rng = np.random.default_rng((self.seed, split, number))
        # Draws examples, not classes: the published counts of labels show MNIST's own shares of its classes.
        chosen = rng.integers(len(self.digits[split]), size=3)
        image = _background(self.seed, split, rng)
        inks = [_turn(self.digits[split].x[place], rng) for place in chosen]
        for (top, left), ink in zip(_place_boxes([ink.shape for ink in inks], rng), inks, strict=True):
            region = image[top : top + ink.shape[0], left : left + ink.shape[1]]
            region += np.minimum(ink, 255 - region)
        labels = self.digits[split].labels
        assert labels is not None, "digits have labels"
        return image, int(labels[chosen].max())


def _background(seed: int, split: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a piece of one of the split's sheets, uint8 [128, 128], turned and mirrored at random."""
    sheet = _sheet(seed, split, int(rng.integers(SHEETS_PER_KIND[split] * len(KINDS))))
    top, left = rng.integers(SHEET_SIZE - SIZE + 1, size=2)
    piece = sheet[top : top + SIZE, left : left + SIZE]
    turns = int(rng.integers(8))
    return np.rot90(piece if turns < 4 else piece.T, turns % 4).copy()


@lru_cache(maxsize=2 * sum(SHEETS_PER_KIND) * len(KINDS))
def _sheet(seed: int, split: int, number: int) -> np.ndarray:
    return texture(list(KINDS)[number % len(KINDS)], (seed, split, number), SHEET_SIZE)


def _turn(digit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotates and scales a digit [28, 28] at random, and cuts it to the box of its ink."""
    angle, scale = np.radians(rng.uniform(-MAX_DEGREES, MAX_DEGREES)), rng.uniform(*SCALES)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    target, middle = 48, 14  # pixels: room for the diagonal of the largest
    offset = middle - target / 2 * (cos + sin), middle - target / 2 * (cos - sin)
    inverse = (cos, sin, offset[0], -sin, cos, offset[1])
    turned = Image.fromarray(digit).transform(
        (target, target), Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC
    )
    return np.asarray(turned.crop(turned.getbbox()))


def _place_boxes(shapes: Sequence[tuple[int, ...]], rng: np.random.Generator) -> list[tuple[int, int]]:
    """Returns top and left of each box (height, width), so that boxes are within the image and hardly overlap."""
    boxes: list[tuple[int, int, int, int]] = []
    for height, width in shapes:
        while True:
            top, left = int(rng.integers(SIZE - height + 1)), int(rng.integers(SIZE - width + 1))
            box = (top, left, top + height, left + width)
            if all(_overlap(box, other) <= MAX_OVERLAP for other in boxes):
                break
        boxes.append(box)
    return [(top, left) for top, left, _, _ in boxes]


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Returns the common area of two boxes (top, left, bottom, right) as a share of the smaller one's."""
    height, width = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    return height * width / min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
