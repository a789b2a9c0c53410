"""Where ASHA's rungs are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

Length = TypeVar("Length", int, float)


def rungs_below(last: Length, first: Length, factor: int) -> Iterator[Length]:
    """Yields first, first * factor, first * factor**2, ... below `last`, the length of a whole trial."""
    rung = first
    while rung < last:
        yield rung
        rung *= factor
