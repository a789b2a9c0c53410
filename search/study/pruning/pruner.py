"""What a pruner is, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol


class Pruner(Protocol):
    """Stops trials that do not promise enough. A study has one pruner, which sees the reports of all trials.

    A resumed study gives a new pruner the same reports in the same order, so a pruner keeps nothing on disk and uses
    no randomness of its own. As an example, a pruner that stops every trial below a fixed score after its first report:

        @dataclass(frozen=True)
        class Threshold:
            score: float
            rungs: Collection[int] = (1,)

            @classmethod
            def from_keys(cls, keys: PruningKeys) -> Threshold:
                return cls(0.5)

            def should_continue(self, step: int, score: float) -> bool:
                return step not in self.rungs or score >= self.score

    with its line in `registry.PRUNERS`:

        "threshold": PrunerEntry("stops a trial below 0.5 after its first report", Threshold.from_keys),
    """

    @property
    def rungs(self) -> Collection[int]:
        """The steps at which a trial may be stopped, in ascending order, as far as they are known beforehand."""
        ...

    def should_continue(self, step: int, score: float) -> bool:
        """Returns whether a trial continues that reports `score`, to be maximized and finite, as its `step`-th report.

        It is called once for every report of a trial of the search, in order of arrival. References are not pruned,
        and the study ends a trial at its full length whatever the pruner answers earlier.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class PruningKeys:
    """The keys of a run from which a pruner is made."""

    grace_epochs: float
    reduction_factor: int
    max_epochs: int
    reports_per_epoch: int = 1


@dataclass(frozen=True)
class PrunerEntry:
    """A pruner's line in the registry."""

    help: str
    """What `--help` says about it."""
    make: Callable[[PruningKeys], Pruner]
    """Makes one that has seen no report. Raises ValueError for keys that do not go together."""
