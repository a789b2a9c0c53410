"""Numbers as people read them, and texts as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What is shown in place of characters that would move a terminal's cursor or change its colours."""


def escape_controls(text: str) -> str:
    """A text of anyone's as it can be printed: it moves and colours nothing."""
    return text.translate(CONTROLS)


def number(value: float) -> str:
    """A score, with four digits that say something: 0.9932, 0.01234."""
    return f"{value:.4f}" if 0.1 <= abs(value) < 1000 else f"{value:.4g}"


def count(n: float, what: str) -> str:
    """1 trial, 2 trials, 0.25 GPUs."""
    number = f"{n:,}" if isinstance(n, int) else f"{n:g}"
    return f"{number} {what}" + ("" if n == 1 else "s")


def in_epochs(epochs: float) -> str:
    return f"{epochs:g} epoch" + ("" if epochs == 1 else "s")


def span(epochs: np.ndarray) -> str:
    """From the fewest to the most."""
    low, high = epochs.min(), epochs.max()
    return in_epochs(low) if low == high else f"{low:g} to {in_epochs(high)}"


def percentage(part: float, whole: float) -> str:
    return f"{min(part / whole, 1):.0%}" if whole else "none"


def clock(seconds: float) -> str:
    """1 h 5 min, 3 min 20 s, 4.2 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
