"""Reports how far long work has come, and formats sizes: for data, and for commands that read many files."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 3.0
"""The least time between two lines of progress."""


class Progress:
    """Reports every few seconds how many of a number of things are done: `say("250 of 1,000 images made")`."""

    def __init__(self, say: Callable[[str], None], total: int, what: str) -> None:
        self.say, self.total, self.what = say, total, what
        self.num_done, self.said_at = 0, time.monotonic()

    def add(self, number: int) -> None:
        """Counts `number` more as done."""
        self.num_done += number
        if time.monotonic() - self.said_at > SECONDS:
            self.said_at = time.monotonic()
            self.say(f"{self.num_done:,} of {self.total:,} {self.what}")


def size_text(num_bytes: float) -> str:
    """Returns a number of bytes with three significant digits: 48 MB, 2.81 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if num_bytes < 999.5:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:,.3g} TB"
