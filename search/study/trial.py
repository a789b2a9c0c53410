"""A trial as the study knows it, and how a trial ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime

from results.schema import Status
from spaces.recipe import Candidate
from spaces.report import Report
from spaces.space import Params

WARM = "warm"
"""Origin of a trial whose candidate an earlier run found, and which this run trains itself."""
KNOWN = "known"
"""Origin of a trial whose candidate and curve are both imported from an earlier run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported(Report):
    """A report that the study has received."""

    order: int
    """Its position among all reports of the study, from 0."""

    @classmethod
    def of(cls, report: Report, order: int) -> Reported:
        return cls(order=order, **{each.name: getattr(report, each.name) for each in fields(Report)})


@dataclass
class TrialRecord:
    """A numbered trial of a study."""

    number: int
    candidate: Candidate
    seed: int
    origin: str
    reference: str | None = None
    repeats: int | None = None
    """The number of the failed trial that this one retries, with the same candidate and seed."""
    params: Params = field(default_factory=dict)
    status: Status = Status.RUNNING
    reports: list[Reported] = field(default_factory=list)
    """In the order of their steps."""
    rejected: Counter[str] = field(default_factory=Counter)
    """The draws that were rejected before this one, by reason."""
    stop_rung: float | None = None
    error: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def name(self) -> str:
        """The reference's name, or "trial" and the trial's number."""
        return self.reference or f"trial {self.number}"

    @property
    def is_earlier(self) -> bool:
        """Whether the candidate was imported from an earlier run rather than drawn here."""
        return self.origin in (WARM, KNOWN)


@dataclass(frozen=True)
class Ending:
    """How a trial ended."""

    status: Status
    error: str | None = None
    stop_rung: float | None = None
    at: datetime | None = None
