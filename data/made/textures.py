"""Computes backgrounds: six kinds of textures, each with endless variants."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

Rng = np.random.Generator

MIN_SIZE = 16  # a smaller texture has no room for a pattern


def texture(kind: str, seed: int | Sequence[int], size: int) -> np.ndarray:
    """Returns a texture uint8 [size, size] of one of KINDS, which depends only on kind, seed and size.

    The median of a large one's grey levels is 20 to 147. Metal's histogram peaks between 120 and 150; that of pebbles,
    and of half of the swirls, has another peak at 240. Raises ValueError for another kind, or a size below MIN_SIZE.
    """
    if kind not in KINDS:
        raise ValueError(f"texture: kind is {kind!r}; expected one of {', '.join(KINDS)}")
    if size < MIN_SIZE:
        raise ValueError(f"texture: size is {size}; expected at least {MIN_SIZE} pixels")
    return np.clip(KINDS[kind](np.random.default_rng(seed), size), 0, 255).astype(np.uint8)


def _metal(rng: Rng, size: int) -> np.ndarray:
    """Draws brushed metal: streaks along one direction under light that changes slowly."""
    length, fineness = rng.uniform(20, 120), rng.uniform(1, 2)
    streaks = _noise(rng, size, (fineness, length)) + 0.5 * _noise(rng, size, (1, length / 4))
    light = _noise(rng, size, (size / 2, size / 2))
    return _centre(streaks + rng.uniform(0.3, 1.2) * light, median=rng.uniform(120, 147), sd=rng.uniform(8, 22))


def _pebbles(rng: Rng, size: int) -> np.ndarray:
    """Draws stones of different greys, many of them bright and flat on top, with dark gaps between."""
    nearest, second, stone = _cells(rng, size, rng.uniform(9, 20))
    height = np.clip((second - nearest) / rng.uniform(0.15, 0.5), 0.1, 1)
    greys = rng.permutation(np.linspace(0, 1, stone.max() + 1)).astype(np.float32)[stone]
    share = rng.uniform(0.15, 0.4)  # of bright stones
    greys = np.where(greys < share, 240, rng.uniform(70, 120) + rng.uniform(30, 60) * (greys - share))
    return height * greys + 3 * _noise(rng, size, (1, 1))


def _stars(rng: Rng, size: int) -> np.ndarray:
    """Draws bright points, a few of them large, on a dark sky with clouds."""
    sky = rng.uniform(20, 34) + rng.uniform(2, 12) * _clouds(rng, size)
    stars = np.zeros((size, size), np.float32)
    for radius, share in ((0.6, 0.006), (1.2, 0.001), (2.5, 0.0002)):
        places = rng.integers(0, size, (2, max(1, int(share * size * size))))
        points = np.zeros((size, size), np.float32)
        points[*places] = rng.exponential(500 * radius, places.shape[1])
        stars += _blur(points, radius)
    return np.maximum(sky, 20) + stars


def _grain(rng: Rng, size: int) -> np.ndarray:
    """Draws noise of one or two scales, like sand, film or plaster."""
    fineness = rng.uniform(1, 3)
    grain = _noise(rng, size, (fineness, fineness)) + rng.uniform(0, 0.7) * _clouds(rng, size)
    return _centre(grain, median=rng.uniform(30, 147), sd=rng.uniform(10, 40))


def _swirls(rng: Rng, size: int) -> np.ndarray:
    """Draws the contours of a hilly landscape, as waves or as bands with hard edges."""
    hills = _noise(rng, size, (size / 5, size / 5)) + 0.25 * _noise(rng, size, (size / 12, size / 12))
    wave = np.sin(hills * rng.uniform(5, 14))
    if rng.random() < 0.5:
        return _centre(wave, median=rng.uniform(50, 140), sd=rng.uniform(20, 40))
    is_bright = np.clip(4 * (wave - rng.uniform(0.35, 0.7)), 0, 1)
    dark = rng.uniform(25, 100)
    return dark + (240 - dark) * is_bright + rng.uniform(1, 4) * _noise(rng, size, (1, 1))


def _ramps(rng: Rng, size: int) -> np.ndarray:
    """Draws rings around one centre, each rising slowly and falling at once, or rising and falling."""
    row, column = rng.uniform(-0.2, 1.2, 2) * size
    down, right = np.ogrid[:size, :size]
    radius = np.hypot((down - row) * rng.uniform(0.7, 1.4), right - column) / rng.uniform(16, 70)
    rise = radius % 1 if rng.random() < 0.5 else 2 * np.abs(radius % 1 - 0.5)
    low, high = rng.uniform(0, 60), rng.uniform(150, 230)
    return low + (high - low) * rise.astype(np.float32) + rng.uniform(1, 5) * _noise(rng, size, (1, 1))


KINDS: dict[str, Callable[[Rng, int], np.ndarray]] = {
    "metal": _metal,
    "pebbles": _pebbles,
    "stars": _stars,
    "grain": _grain,
    "swirls": _swirls,
    "ramps": _ramps,
}


def _noise(rng: Rng, size: int, scale: tuple[float, float]) -> np.ndarray:
    """Returns smooth noise [size, size] of mean 0 and deviation 1, with bumps of scale (down, right) pixels."""
    height, width = (max(2, int(size / step)) + 2 for step in scale)
    coarse = Image.fromarray(rng.standard_normal((height, width), np.float32))
    # A margin of one coarse cell on each side, since resizing is flatter at the edge.
    smooth = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC, box=(1, 1, width - 1, height - 1)))
    return (smooth - smooth.mean()) / smooth.std()


def _clouds(rng: Rng, size: int) -> np.ndarray:
    return sum((_noise(rng, size, (size / n, size / n)) / n for n in (2, 4, 8, 16)), np.zeros((size, size), np.float32))


def _cells(rng: Rng, size: int, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns distances, in steps, to the two nearest of points about `step` apart, and the nearest one's number.

    Source: S. Worley, "A Cellular Texture Basis Function", SIGGRAPH 1996; one point in each cell of a grid.
    """
    place = np.arange(size, dtype=np.float32) / np.float32(step) + 1
    num_cells = int(place[-1]) + 2
    points = rng.random((2, num_cells, num_cells), np.float32) + np.mgrid[:num_cells, :num_cells].astype(np.float32)
    cell = np.add.outer(place.astype(np.intp) * num_cells, place.astype(np.intp))  # its number, row by row
    nearest, second = np.full((2, size, size), np.inf, np.float32)
    number = np.zeros((size, size), np.intp)
    for down, right in np.ndindex(3, 3):
        candidate = cell + ((down - 1) * num_cells + right - 1)
        top, left = (coordinate.take(candidate) for coordinate in points)
        squared = (top - place[:, None]) ** 2 + (left - place) ** 2
        is_nearest = squared < nearest
        second = np.minimum(second, np.maximum(squared, nearest))
        number = np.where(is_nearest, candidate, number)
        nearest = np.minimum(squared, nearest)
    return np.sqrt(nearest), np.sqrt(second), number


def _blur(field: np.ndarray, radius: float) -> np.ndarray:
    """Convolves the field with a Gaussian of deviation `radius` pixels; the edges wrap around."""
    frequency = np.fft.fftfreq(len(field))
    gauss = np.exp(-2 * (np.pi * radius * frequency) ** 2)
    return np.fft.irfft2(np.fft.rfft2(field) * gauss[:, None] * gauss[: len(field) // 2 + 1], field.shape)


def _centre(field: np.ndarray, *, median: float, sd: float) -> np.ndarray:
    return median + sd * (field - np.median(field)) / field.std()
