"""Why a session is to end before its work is done: Ctrl-C and SIGTERM, once in order, twice at once; or its time."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

NAMES: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass
class Stop:
    """Whether the user has asked for the end, by which signal, or by when."""

    signal: int | None = None
    deadline: float | None = None
    """By `time.monotonic`."""

    @property
    def is_due(self) -> bool:
        """Whether the time that was given is over."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    @property
    def name(self) -> str | None:
        return NAMES[self.signal] if self.signal else None

    def listen(self) -> None:
        """Notes the first signal; the second one raises KeyboardInterrupt."""
        for number in NAMES:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """A Stop that listens, from before Ray starts: an exception in the midst of its start ends in a crash."""
    previous = {number: signal.getsignal(number) for number in NAMES}
    stop = Stop()
    stop.listen()
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
