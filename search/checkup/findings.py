"""What a check reports: how serious it is, which node or part it concerns, the cause and the cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from search.command_line.terminal import Terminal

STYLES = {"ok": "green", "warn": "yellow", "broken": "bold red"}
MIN_NODE_WIDTH = 12


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


def ok(part: str, cause: str) -> Finding:
    """Returns a finding that nothing is wrong."""
    return Finding(Severity.ok, part, cause)


def warn(part: str, cause: str, cure: str) -> Finding:
    """Returns a finding that something may be wrong."""
    return Finding(Severity.warn, part, cause, cure)


def broken(part: str, cause: str, cure: str) -> Finding:
    """Returns a finding that something is wrong."""
    return Finding(Severity.broken, part, cause, cure)


def print_findings(findings: Sequence[Finding], terminal: Terminal, counts: Counter[Severity]) -> None:
    """Prints findings in aligned columns, one per line, and counts them by severity."""
    width = max([MIN_NODE_WIDTH, *(len(finding.node) for finding in findings)])
    for finding in findings:
        counts[finding.severity] += 1
        cure = f": {finding.cure}" if finding.cure else ""
        severity = (f"{finding.severity:<8}", STYLES[finding.severity])
        terminal.say(severity, f"{finding.node:<{width}}  {finding.cause}{cure}")
