"""Draws noisy pages of text: words in Pillow's built-in font on paper with rings, folds, stains and watermarks."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

SIZES = ((420, 540), (420, 540), (258, 540))  # height and width in turns, as in the published pages
WORDS = (
    "the a of to and in is that for with as on by from at it this which are be or an light form paper page line word "
    "letter field image filter method space table window garden river mountain morning evening number measure simple "
    "several common large small early written printed reading between above below under through usually however "
    "therefore sometimes carefully surface pattern colour network example question answer process result general"
)

Noise = Callable[[Generator, tuple[int, int]], np.ndarray]
"""Returns the grey levels [H, W] that a kind of noise adds to the paper."""


def draw_pages(num_pages: int, num_noises: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns num_pages * num_noises pairs of noisy and clean pages: two lists of uint8 [H, W], ordered by page.

    The draw depends only on the arguments; to the last bit, it depends on the version of Pillow too.
    """
    noisy: list[np.ndarray] = []
    clean: list[np.ndarray] = []
    for page in range(num_pages):
        text = _text(np.random.default_rng([seed, page]), SIZES[page % len(SIZES)])
        for place in range(num_noises):
            rng = np.random.default_rng([seed, page, place])
            paper = _paper(rng, text.shape) + NOISES[(page + place) % len(NOISES)](rng, text.shape)
            noisy.append(_print(rng, text, paper))
            clean.append(text)
    return noisy, clean


def _text(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns a white page [H, W] of dark lines that run over its right and lower edge, in a random size and slant."""
    from PIL import Image, ImageDraw, ImageFont  # here, since pages that are read from files do not need it

    height, width = shape
    font_size = int(rng.integers(15, 23))
    page = Image.new("L", (width, height), 255)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(font_size)
    for top in range(int(rng.integers(0, 8)), height, round(1.4 * font_size)):
        words = rng.choice(WORDS.split(), size=width // (2 * font_size) + 8)
        draw.text((6, top), " ".join(words), fill=0, font=font)
    slant = 0.2 * rng.integers(2)
    shear = (1, slant, -slant * height / 2, 0, 1, 0)
    return np.array(page.transform(page.size, Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR, fillcolor=255))


def _print(rng: Generator, text: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """Prints the text on the paper in blurred, not quite black ink; returns uint8 [H, W]."""
    from PIL import Image, ImageFilter

    blurred = np.asarray(Image.fromarray(text).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.6))), np.float64)
    ink = rng.uniform(0.8, 0.95) * (1 - blurred / 255)
    return np.clip(np.round(paper * (1 - ink)), 0, 255).astype(np.uint8)


def _paper(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.uniform(218, 236) + 10 * _smooth(rng, shape, 60) + 3 * _smooth(rng, shape, 6) + rng.normal(0, 2, shape)


def _rings(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns two rings of a coffee cup, darker at their edges, open on one side."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    added = np.zeros(shape)
    for _ in range(2):
        dy, dx = y - rng.uniform(0, shape[0]), x - rng.uniform(0, shape[1])
        inside = 1 - np.abs(np.hypot(dy, dx) - rng.uniform(60, 130) + 6 * _smooth(rng, shape, 40)) / rng.uniform(10, 22)
        open_side = 0.6 + 0.4 * np.cos(np.arctan2(dy, dx) - rng.uniform(0, 2 * np.pi))
        added -= rng.uniform(60, 110) * open_side * (inside > 0) * (1 - 0.5 * np.clip(inside, 0, 1))
    return added


def _folds(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns creases of crumpled paper across the page, each with a light and a dark side."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    added = np.zeros(shape)
    for _ in range(14):
        angle = rng.uniform(0, np.pi)
        across = (y - rng.uniform(0, shape[0])) * np.cos(angle) + (x - rng.uniform(0, shape[1])) * np.sin(angle)
        across += 12 * _smooth(rng, shape, 70)
        added += rng.uniform(10, 40) * np.sign(across) * np.exp(-np.abs(across) / rng.uniform(4, 30))
    return added


def _stains(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns blots with darker rims, and dirt of a few pixels."""
    depth = _smooth(rng, shape, 80) - 0.4
    rim = np.exp(-((depth / 0.08) ** 2))
    dirt = _smooth(rng, shape, 5) > 2.2
    return -rng.uniform(20, 45) * (depth > 0) - rng.uniform(15, 35) * rim - 50 * dirt


def _watermark(rng: Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns large pale words from edge to edge, at an angle."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = shape
    page = Image.new("L", (width, height), 0)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(int(rng.integers(60, 110)))
    for top in range(-40, height, 120):
        draw.text((int(rng.integers(-80, 40)), top), " ".join(rng.choice(WORDS.split(), size=6)), fill=255, font=font)
    turned = page.rotate(rng.uniform(-35, 35), Image.Resampling.BILINEAR)
    return np.asarray(turned) / -255 * rng.uniform(25, 50)


NOISES: tuple[Noise, ...] = (_rings, _folds, _stains, _watermark)


def _smooth(rng: Generator, shape: tuple[int, int], pixels: int) -> np.ndarray:
    """Returns random hills [H, W], about `pixels` apart, with a mean of about 0 and a standard deviation of about 1."""
    from PIL import Image

    height, width = shape
    hills = rng.normal(size=(height // pixels + 3, width // pixels + 3)).astype(np.float32)
    values = np.asarray(Image.fromarray(hills).resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return values / values.std()
