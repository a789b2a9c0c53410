"""How a session of a study's trials went."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from search.cluster.connection import Slots
from search.command_line.signals import Stop


@dataclass
class Outcome:
    """How a session of a study's trials went; it is filled in while they run."""

    stop: Stop
    out_of_time: bool = False
    ended_early: str | None = None
    """Why the search had to end before it had all its trials."""
    failure: str | None = None
    """The error for which the session was stopped, since the first trials all failed in the same way."""
    slot_seconds: float = 0.0
    """Slots times the time from the first start to the last end."""
    kept: dict[str, int] = field(default_factory=dict)
    """The number of the trial whose model this session has kept under each name."""
    first_report: int = 0
    """The position of this session's first report among all reports of the study."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing cut the session short."""
        return not (self.stop.name or self.out_of_time or self.failure)


@dataclass
class SlotTime:
    """Counts slot seconds while slots come and go with their nodes. Time after the last trial's end does not count."""

    slots: Slots
    outcome: Outcome
    so_far: float = 0.0
    counted_at: float = field(default_factory=time.monotonic)

    def count(self) -> None:
        """Adds the time since the last call."""
        now = time.monotonic()
        self.so_far += self.slots.up * (now - self.counted_at)
        self.counted_at = now

    def count_to_end(self) -> None:
        """Adds the time up to now, when a trial has ended, to the outcome."""
        self.count()
        self.outcome.slot_seconds = self.so_far
