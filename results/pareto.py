"""The Pareto front: the trials that no other trial beats in both score and size."""

from __future__ import annotations

import numpy as np


def find_front(costs: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns a mask [N] of the points that no other point beats by being as low in cost and size, and lower in one.

    A point whose cost or size is not finite is not on the front, and beats no other.
    """
    best, front = np.inf, np.zeros(len(costs), bool)
    is_finite = np.isfinite(costs) & np.isfinite(sizes)
    for size in np.unique(sizes[is_finite]):
        of_size = is_finite & (sizes == size)
        lowest = costs[of_size].min()
        if lowest < best:
            front |= of_size & (costs == lowest)
            best = lowest
    return front
