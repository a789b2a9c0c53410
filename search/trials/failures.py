"""What Ray's errors mean: whose fault one is, how it reads in a line, and when failing trials are no accident."""

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
NODE_DIED = "its node has died"
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def last_error(trial: Trial) -> BaseException | None:
    """What Ray has just written down; Trial.get_pickled_error looks where it is copied to only later."""
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    return cloudpickle.loads(Path(path).read_bytes())


def cause_of(error: BaseException | None) -> BaseException | None:
    """What a worker raised, without Ray's wrapping."""
    return error.cause if isinstance(error, RayTaskError) else error


def is_out_of_memory(error: BaseException | None) -> bool:
    cause = cause_of(error)
    is_named_so = type(cause).__name__ in ("OutOfMemoryError", "MemoryError")
    return is_named_so or any(words in str(cause).lower() for words in OUT_OF_MEMORY)


def is_lost_node(error: BaseException | None) -> bool:
    """Whether a worker ended with its node: taken back, switched off, or silent for too long."""
    cause = cause_of(error)
    return isinstance(cause, RayActorError) and (cause.preempted or NODE_DIED in str(cause))


def in_one_line(error: BaseException | None) -> str:
    """The cause without a worker's stack, for which a table is no place."""
    cause = cause_of(error)
    if cause is None:
        return "the worker was lost"
    lines = str(cause).strip().splitlines() or [""]
    if isinstance(cause, RayActorError):  # the first line says only that it died, the last one how
        return " ".join(dict.fromkeys((lines[0].strip(), lines[-1].partition(" Some common causes")[0].strip())))
    return f"{type(cause).__name__}: {lines[0]}"


def in_full(error: BaseException | None) -> str:
    """The error with the worker's stack, without the colours that Ray gives it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip() if error else "the loss or the score was not finite"


def failed_as_before(trial: TrialRecord, trials: Sequence[TrialRecord]) -> bool:
    """Whether a repeated trial failed in the same way as before, in a run where other trials succeeded.

    Then the candidate is at fault after all, and nothing follows for the others: a run with several such candidates
    could never be extended if they counted among its first failures.
    """
    if trial.repeats is None or _way(trial) != _way(trials[trial.repeats]):
        return False
    return any(each.status in (Status.COMPLETE, Status.PRUNED) for each in trials)


@dataclass
class FirstFailures:
    """Whether the first trials of a session all fail in the same way: then it is no candidate's fault."""

    limit: int
    way: str | None = None
    count: int = 0
    has_other: bool = False
    """Some trial ended otherwise: from then on failures are accidents."""

    def ended(self, trial: TrialRecord) -> None:
        if trial.status == Status.UNAVAILABLE:  # which says nothing of the others
            return
        way = _way(trial)
        self.has_other = self.has_other or not trial.status.is_failure or (self.way or way) != way
        self.way, self.count = way, self.count + 1

    @property
    def are_all_the_same(self) -> bool:
        return not self.has_other and self.count >= self.limit


def _way(trial: TrialRecord) -> str:
    """Status and error without numbers, which may be sizes or processes."""
    return f"{trial.status} {re.sub(r'[0-9]+', '0', trial.error or '')}"
