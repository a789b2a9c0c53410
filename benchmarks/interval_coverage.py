"""Claim: 95% intervals contain the true score in 92 to 97% of cases, whether seeds or images vary.

    python -m benchmarks.interval_coverage

The peer is an interval over the seeds' means alone. Finalists are simulated, so that the truth is known. Images have
difficulties that all seeds share, seeds may differ in ability, and the result of a seed on an image is partly random. A
classifier is right if the sum of these is positive; an error is a product of lognormal factors, so errors are skewed.
The truth is the mean over all seeds and images; with one seed, where the interval covers images only, it is that seed's
mean over all images.

A cell is a number of images, a number of seeds, and one way in which seeds and images vary; a row prints the lowest and
the highest coverage of its cells. Cells in which fewer than FEW_ERRORS mistakes are expected are counted separately: if
there may be no mistake at all, an interval covers the truth more often than in 95% of cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from benchmarks.command_line import read_settings
from results.analysis import intervals
from results.keys import key

CLAIM = "Claim: 95% intervals contain the true score in 92 to 97% of cases, whether seeds or images vary."
ACCURACIES = (0.9, 0.98, 0.993, 0.999)
IMAGE_SPREAD = 2.0
"""The standard deviation of images' difficulties, that of chance being 1: networks agree on most images."""
SEED_SPREADS = {"seeds alike": 0.0, "seeds vary": 0.1, "seeds vary much": 0.3}
SKEWS = {"errors little skewed": 0.4, "errors skewed": 0.8}
ERROR_SEED_SPREADS = (0.0, 0.02, 0.1)
SHARED = 0.9
"""The correlation of an image's difficulties for two finalists."""
FEW_ERRORS = 5
GOOD = (0.92, 0.97)

Interval = tuple[float, float]
Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, float]]
"""Given numbers of seeds and images, draws scores [S, N] and returns them with the true score."""


@dataclass
class Settings:
    simulations: int = key(1000, "simulated confirmations for each cell")
    images: list[int] = key([36, 270, 1000, 10000], "numbers of test images")
    seeds: list[int] = key([1, 3, 5], "numbers of seeds")
    seed: int = key(1, "seed of the random numbers")


@dataclass(frozen=True)
class Kind:
    """A kind of estimate: the product's interval for it, and its simulations."""

    name: str
    interval: Callable[[np.ndarray], Interval]
    draws: Sequence[tuple[str, Draw, float]]
    """For each simulation: what varies, the draw, and the mistakes expected per seed and image (1 for errors)."""


@dataclass(frozen=True)
class Cell:
    """The share of intervals that contain the truth, for one kind, one way to vary, and numbers of seeds and images."""

    kind: str
    varies: str
    num_seeds: int
    num_images: int
    num_mistakes: float
    coverage: float
    coverage_of_seeds_alone: float
    """NaN with one seed."""


def accuracy(share: float, seed_spread: float) -> Draw:
    """Simulates the right answers of one classifier."""

    def draw(rng: np.random.Generator, num_seeds: int, num_images: int) -> tuple[np.ndarray, float]:
        ability_S1, truth = _abilities(rng, num_seeds, share, seed_spread)
        images_N = IMAGE_SPREAD * rng.normal(size=num_images)
        return _right(rng, ability_S1 + images_N), truth

    return draw


def accuracy_difference(share: float, gap: float, seed_spread: float) -> Draw:
    """Simulates the right answers of one classifier minus those of another whose accuracy is lower by `gap`."""

    def draw(rng: np.random.Generator, num_seeds: int, num_images: int) -> tuple[np.ndarray, float]:
        shared_N, right, truths = SHARED**0.5 * rng.normal(size=num_images), [], []
        for mean in (share, share - gap):
            ability_S1, truth = _abilities(rng, num_seeds, mean, seed_spread)
            own_N = (1 - SHARED) ** 0.5 * rng.normal(size=num_images)
            right.append(_right(rng, ability_S1 + IMAGE_SPREAD * (shared_N + own_N)))
            truths.append(truth)
        return right[0] - right[1], truths[0] - truths[1]

    return draw


def error(skew: float, seed_spread: float) -> Draw:
    """Simulates the errors of one denoiser, 1 on average."""

    def draw(rng: np.random.Generator, num_seeds: int, num_images: int) -> tuple[np.ndarray, float]:
        seeds_S1 = 1 + seed_spread * rng.normal(size=(num_seeds, 1))
        errors = seeds_S1 * _lognormal(rng, skew, num_images) * _lognormal(rng, 0.2, (num_seeds, num_images))
        return errors, float(seeds_S1.item()) if num_seeds == 1 else 1.0

    return draw


def error_difference(skew: float, seed_spread: float) -> Draw:
    """Simulates the errors of one denoiser minus those of another whose errors are larger by 3%."""

    def draw(rng: np.random.Generator, num_seeds: int, num_images: int) -> tuple[np.ndarray, float]:
        images_N, errors, truths = _lognormal(rng, skew, num_images), [], []
        for mean in (1.0, 1.03):
            seeds_S1 = mean + seed_spread * rng.normal(size=(num_seeds, 1))
            chance = _lognormal(rng, 0.2, num_images) * _lognormal(rng, 0.1, (num_seeds, num_images))
            errors.append(seeds_S1 * images_N * chance)
            truths.append(float(seeds_S1.item()) if num_seeds == 1 else mean)
        return errors[0] - errors[1], truths[0] - truths[1]

    return draw


def seeds_alone(scores_SN: np.ndarray) -> Interval:
    """Returns the peer's interval: Student's t over the seeds' means."""
    by_seed = scores_SN.mean(axis=1)
    half = float(t.ppf(0.975, len(by_seed) - 1) * by_seed.std(ddof=1) / len(by_seed) ** 0.5)
    return float(by_seed.mean()) - half, float(by_seed.mean()) + half


def coverage(
    rng: np.random.Generator,
    draw: Draw,
    ways: Sequence[Callable[[np.ndarray], Interval]],
    shape: tuple[int, int],
    n: int,
) -> list[float]:
    """Returns, for each kind of interval, the share of n simulations of S seeds and N images that contain the truth."""
    held = np.zeros(len(ways))
    for _ in range(n):
        scores, truth = draw(rng, *shape)
        for index, way in enumerate(ways):
            low, high = way(scores)
            held[index] += low - 1e-12 <= truth <= high + 1e-12
    return (held / n).tolist()


def kinds() -> list[Kind]:
    spreads = SEED_SPREADS.items()
    gaps = ((0.98, 0.003), (0.993, 0.002), (0.999, 0.0))
    return [
        *(
            Kind(
                f"accuracy of {share:g}",
                intervals.share_interval,
                [(name, accuracy(share, spread), 1 - share) for name, spread in spreads],
            )
            for share in ACCURACIES
        ),
        *(
            Kind(
                f"difference of accuracies of {share:g} and {share - gap:g}",
                intervals.share_difference_interval,
                [(name, accuracy_difference(share, gap, spread), 1 - share) for name, spread in spreads],
            )
            for share, gap in gaps
        ),
        *(
            Kind(name, intervals.error_interval, [(f"{s:g}", error(skew, s), 1.0) for s in ERROR_SEED_SPREADS])
            for name, skew in SKEWS.items()
        ),
        *(
            Kind(
                f"difference, {name}",
                intervals.difference_interval,
                [(f"{s:g}", error_difference(skew, s), 1.0) for s in ERROR_SEED_SPREADS],
            )
            for name, skew in SKEWS.items()
        ),
    ]


def measure(settings: Settings) -> Iterator[Cell]:
    """Simulates all cells, one after the other."""
    rng = np.random.default_rng(settings.seed)
    for kind in kinds():
        for num_images in settings.images:
            for num_seeds in settings.seeds:
                ways = [kind.interval, *([seeds_alone] if num_seeds > 1 else [])]
                for varies, draw, mistakes in kind.draws:
                    held, *peer = coverage(rng, draw, ways, (num_seeds, num_images), settings.simulations)
                    expected = mistakes * num_seeds * num_images
                    yield Cell(kind.name, varies, num_seeds, num_images, expected, held, *(peer or [float("nan")]))


def main() -> None:
    settings = read_settings(Settings, "interval_coverage", CLAIM)
    print(CLAIM)
    print("\n| what | images | seeds | seeds and images: coverage | seeds alone |\n|---|---|---|---|---|")
    cells: list[Cell] = []
    for cell in measure(settings):
        cells.append(cell)
        same = [each for each in cells if _row(each) == _row(cell)]
        if len(same) == 3:  # each kind has three simulations
            print(
                f"| {cell.kind} | {cell.num_images:,} | {cell.num_seeds} | {_range(same)} | {_peers(same)} |",
                flush=True,
            )
    print()
    for name, some in (
        (
            f"cells with at least {FEW_ERRORS} mistakes expected",
            [each for each in cells if each.num_mistakes >= FEW_ERRORS],
        ),
        (
            f"cells with fewer than {FEW_ERRORS} mistakes expected",
            [each for each in cells if each.num_mistakes < FEW_ERRORS],
        ),
    ):
        print(f"{name}: {_summary(some)}")


def _abilities(rng: np.random.Generator, num_seeds: int, share: float, spread: float) -> tuple[np.ndarray, float]:
    """Draws the ability of each seed [S, 1], and returns it with the true share of right answers."""
    chance = 1 + IMAGE_SPREAD**2
    ability_S1 = norm.ppf(share) * (chance + spread**2) ** 0.5 + spread * rng.normal(size=(num_seeds, 1))
    return ability_S1, float(norm.cdf(ability_S1.item() / chance**0.5)) if num_seeds == 1 else share


def _right(rng: np.random.Generator, merits_SN: np.ndarray) -> np.ndarray:
    return (merits_SN + rng.normal(size=merits_SN.shape) > 0).astype(float)


def _lognormal(rng: np.random.Generator, spread: float, shape: int | tuple[int, int]) -> np.ndarray:
    """Draws lognormal numbers with a mean of 1."""
    return np.exp(spread * rng.normal(size=shape) - spread**2 / 2)


def _row(cell: Cell) -> tuple:
    return cell.kind, cell.num_images, cell.num_seeds


def _range(cells: Sequence[Cell]) -> str:
    return f"{min(c.coverage for c in cells):.1%} to {max(c.coverage for c in cells):.1%}"


def _peers(cells: Sequence[Cell]) -> str:
    found = [cell.coverage_of_seeds_alone for cell in cells]
    return "none" if np.isnan(found).any() else f"{min(found):.1%} to {max(found):.1%}"


def _summary(cells: Sequence[Cell]) -> str:
    if not cells:
        return "none"
    several = [cell for cell in cells if cell.num_seeds > 1]
    text = f"{_within([cell.coverage for cell in cells])}; with several seeds {_within([c.coverage for c in several])}"
    return f"{text}, seeds alone {_within([cell.coverage_of_seeds_alone for cell in several])}"


def _within(found: Sequence[float]) -> str:
    low, high = GOOD
    below, above = sum(each < low for each in found), sum(each > high for each in found)
    return f"{len(found) - below - above} of {len(found)} within {low:.0%} to {high:.0%}, {below} below, {above} above"


if __name__ == "__main__":
    main()
