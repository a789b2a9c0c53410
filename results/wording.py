"""Formats numbers for people, and makes text of unknown origin safe to print."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What replaces each character that would move a terminal's cursor or change its colours."""


def escape_controls(text: str) -> str:
    """Returns text of unknown origin with its control characters escaped, so that printing it is safe."""
    return text.translate(CONTROLS)


def number(value: float) -> str:
    """Returns a score with four significant digits: 0.9932, 0.01234, 56.80, 12,346."""
    size = abs(value)
    if 1 < size < 1000:
        return f"{value:.{3 - math.floor(math.log10(size))}f}"
    if 1000 <= size < 1e6:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.1 <= size <= 1 else f"{value:.4g}"


def capitalize(text: str) -> str:
    """Returns text with a capital first letter, and all others as they are: Validation RMSE."""
    return text[:1].upper() + text[1:]


def count(n: float, noun: str) -> str:
    """Returns a number with its noun: 1 trial, 2 trials, 0.25 GPUs."""
    number = f"{n:,}" if isinstance(n, int) else f"{n:g}"
    return f"{number} {noun}" + ("" if n == 1 else "s")


def epoch_range(epochs: np.ndarray) -> str:
    """Returns the range of numbers of epochs: 2 to 9 epochs, or 9 epochs if all are equal."""
    low, high = float(epochs.min()), float(epochs.max())
    return count(low, "epoch") if low == high else f"{low:g} to {count(high, 'epoch')}"


def percentage(part: float, whole: float) -> str:
    """Returns a part as a percentage of the whole, at most 100%, or none if the whole is zero."""
    return f"{min(part / whole, 1):.0%}" if whole else "none"


def clock(seconds: float) -> str:
    """Returns a duration: 1 h 5 min, 3 min 20 s, 4.2 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
