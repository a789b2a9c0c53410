"""Interprets Ray's errors: their cause, their text, and whether the first trials all fail for the same reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ray import cloudpickle
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial

from results.schema import Status
from search.study.trial import TrialRecord

FIRST_TRIALS = 5
NUMBERS = re.compile(r"\b[0-9a-f]{8,}\b|[0-9]+")
NODE_DIED = "its node has died"
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def last_error(trial: Trial) -> BaseException | None:
    """Returns the error that Ray has just saved. Trial.get_pickled_error looks where Ray copies it only later."""
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    return cloudpickle.loads(Path(path).read_bytes())


def cause_of(error: BaseException | None) -> BaseException | None:
    """Returns what a worker raised, without Ray's wrapper."""
    return error.cause if isinstance(error, RayTaskError) else error


def is_out_of_memory(error: BaseException | None) -> bool:
    cause = cause_of(error)
    is_named_so = type(cause).__name__ in ("OutOfMemoryError", "MemoryError")
    return is_named_so or any(words in str(cause).lower() for words in OUT_OF_MEMORY)


def is_lost_node(error: BaseException | None) -> bool:
    """Returns whether a worker ended with its node, which was preempted, switched off, or silent for too long."""
    cause = cause_of(error)
    return isinstance(cause, RayActorError) and (cause.preempted or NODE_DIED in str(cause))


def in_one_line(error: BaseException | None) -> str:
    """Returns the cause without the worker's stack, for a table."""
    cause = cause_of(error)
    if cause is None:
        return "the worker was lost"
    lines = _plain(cause).splitlines() or [""]
    if isinstance(cause, RayActorError):  # the first line says only that it died; the last line says how
        return " ".join(dict.fromkeys((lines[0].strip(), lines[-1].partition(" Some common causes")[0].strip())))
    return f"{type(cause).__name__}: {lines[0]}"


def in_full(error: BaseException | None) -> str:
    """Returns the error with the worker's stack, without Ray's colours."""
    return _plain(error) if error else "the loss or the score was not finite"


def _plain(error: BaseException) -> str:
    """Returns an error's text without Ray's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()


def failed_as_before(trial: TrialRecord, trials: Sequence[TrialRecord]) -> bool:
    """Returns whether a repeated trial failed in the same way as before, in a run where other trials succeeded.

    Then its candidate is at fault. If it counted among the first failures of a session, a run with several such
    candidates could never be extended.
    """
    if trial.repeats is None or _way(trial) != _way(trials[trial.repeats]):
        return False
    return any(each.status in (Status.COMPLETE, Status.PRUNED) for each in trials)


@dataclass
class FirstFailures:
    """Counts whether a session's first trials all fail in the same way, for which no candidate is at fault."""

    limit: int
    way: str | None = None
    num_ended: int = 0
    has_other: bool = False
    """Whether a trial has ended in another way. From then on, failures are those of single candidates."""

    def count(self, trial: TrialRecord) -> None:
        """Takes note of a trial that has ended."""
        if trial.status == Status.UNAVAILABLE:  # other trials do not need what was unavailable
            return
        way = _way(trial)
        self.has_other = self.has_other or not trial.status.is_failure or (self.way or way) != way
        self.way, self.num_ended = way, self.num_ended + 1

    @property
    def are_all_the_same(self) -> bool:
        return not self.has_other and self.num_ended >= self.limit


def _way(trial: TrialRecord) -> str:
    """Returns status and error without numbers, such as sizes, process ids and the hexadecimal ids of actors."""
    return f"{trial.status} {NUMBERS.sub('0', trial.error or '')}"
