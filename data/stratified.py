"""Draws a part of a dataset's examples in which every label keeps its share."""

import numpy as np

# A change to one of these makes older rows of every leaderboard incomparable with new ones.
PART_FRACTION = 0.15  # of each label for validation, and the same for the test
PART_SEED = 0


def stratified_split(y: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns ascending indices (rest, part) of y [N]; part has round(fraction * N), with each label's share.

    Shares are rounded by largest remainder. The draw depends only on y, the fraction (0 to 1) and the seed.
    """
    # scikit-learn's train_test_split takes over a second to import, refuses a label that occurs once, and breaks ties
    # at random.
    if not 0 <= fraction <= 1:
        raise ValueError(f"stratified_split: fraction is {fraction}; expected 0 to 1")
    if y.ndim != 1:
        raise ValueError(f"stratified_split: y has shape {y.shape}; expected one label an example")
    counts = np.unique(y, return_counts=True)[1]
    part = draw(y, divide(counts, round(fraction * len(y))), seed)
    return np.flatnonzero(~part), np.flatnonzero(part)


def divide(counts: np.ndarray, total: int) -> np.ndarray:
    """Divides `total` in proportion to counts [C] by largest remainder; ties go to the earlier."""
    wholes, remainders = np.divmod(counts * total, max(int(counts.sum()), 1))
    largest = np.argsort(-remainders, kind="stable")[: total - int(wholes.sum())]
    wholes[largest] += 1
    return wholes


def draw(y: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    """Returns a mask [N] that is true for sizes[c] random examples of y's c-th label in ascending order."""
    # Each example gets a key, and the smallest keys of each label win: this needs only the generator's stream of
    # doubles, its most stable part, and a larger size keeps what a smaller one chose.
    keys = np.random.default_rng(seed).random(len(y))
    order = np.lexsort((keys, y))
    counts = np.unique(y, return_counts=True)[1]
    rank_within_label = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    mask = np.zeros(len(y), dtype=bool)
    mask[order[rank_within_label < np.repeat(sizes, counts)]] = True
    return mask


def draw_parts(y: np.ndarray, num_parts: int, seed: int = PART_SEED) -> np.ndarray:
    """Returns the number of each example's part [N]: 0 is training, each of the others has 15% of each label of y [N].

    Every part has at least one example of a label that occurs at least `num_parts` times, unlike `stratified_split`,
    which leaves a label of few examples out of a part. The draw depends only on y and the seed.
    """
    keys = np.random.default_rng(seed).random(len(y))
    part_of = np.zeros(len(y), int)
    counts = np.unique(y, return_counts=True)[1]
    for places in np.split(np.lexsort((keys, y)), np.cumsum(counts)[:-1]):
        num = max(1, round(PART_FRACTION * len(places)))
        for part in range(1, num_parts):
            part_of[places[(part - 1) * num : part * num]] = part
    return part_of
