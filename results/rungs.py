"""The rungs of successive halving."""

from __future__ import annotations

import math
from typing import TypeVar

Length = TypeVar("Length", int, float)


def rungs_below(last: Length, first: Length, factor: int) -> list[Length]:
    """Returns first, first * factor, first * factor**2, ... below `last`, the length of a whole trial.

    Raises ValueError if there would be infinitely many.
    """
    if not (factor > 1 and first > 0 and math.isfinite(last)):
        raise ValueError(
            f"rungs at {first:g} epochs times powers of {factor:g}, up to {last:g}: "
            "expected a positive number of epochs, and a factor above 1"
        )
    rungs, rung = [], first
    while rung < last:
        rungs.append(rung)
        rung *= factor
    return rungs
