"""What a check reports: how serious it is, which node it concerns, the cause and the cure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ok = "ok"
    warn = "warn"
    broken = "broken"


@dataclass(frozen=True)
class Finding:
    """One result of a check. `cure` says how to fix it, and is empty if nothing is wrong."""

    severity: Severity
    node: str
    cause: str
    cure: str = ""
