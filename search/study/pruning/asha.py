"""ASHA, the stopping variant (Li et al. 2020, MLSys, with stopping in place of promotion)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from results.rungs import rungs_below
from search.study.pruning.pruner import PruningKeys


@dataclass
class Asha:
    """Stops a trial at a rung unless it is among the best 1/`reduction_factor` of those that have arrived there.

    Rungs are at `grace`, `grace * reduction_factor`, `grace * reduction_factor**2`, ... reports, below `last`, the
    length of a whole trial. Scores are to be maximized.
    """

    grace: int
    reduction_factor: int
    last: int
    rungs: dict[int, list[float]] = field(init=False)
    """The scores at each rung, by its number of reports, in order of arrival."""

    @classmethod
    def from_keys(cls, keys: PruningKeys) -> Asha:
        """Returns ASHA with its rungs in epochs. Raises ValueError if no trial reports at the first rung."""
        grace, reports_per_epoch = keys.grace_epochs, keys.reports_per_epoch
        if grace > keys.max_epochs:
            raise ValueError(
                f"grace_epochs={grace:g}: longer than a whole trial of max_epochs={keys.max_epochs}; "
                "no trial could be stopped"
            )
        num_reports = grace * reports_per_epoch
        if not math.isclose(num_reports, max(1, round(num_reports))):
            raise ValueError(
                f"grace_epochs={grace:g}: no trial reports then; with reports_per_epoch={reports_per_epoch}, trials "
                f"report at multiples of {1 / reports_per_epoch:g}"
            )
        return cls(round(num_reports), keys.reduction_factor, keys.max_epochs * reports_per_epoch)

    def __post_init__(self) -> None:
        if self.grace < 1 or self.reduction_factor < 2:
            raise ValueError(
                f"ASHA needs grace >= 1 and reduction_factor >= 2, not {self.grace} and {self.reduction_factor}"
            )
        self.rungs = {rung: [] for rung in rungs_below(self.last, self.grace, self.reduction_factor)}

    def should_continue(self, step: int, score: float) -> bool:
        """Returns whether a trial continues that reports `score` as its `step`-th report; between rungs it does.

        At a rung it continues if it is among the best max(1, n // reduction_factor) of the n trials that have arrived
        there, itself included; of equal scores, the earlier one is better.
        """
        assert score == score, "a trial whose score is NaN has failed, and reaches no rung"  # NaN would always pass
        if step not in self.rungs:
            return True
        arrived = self.rungs[step]
        num_better_or_equal = sum(other >= score for other in arrived)
        arrived.append(score)
        return num_better_or_equal < max(1, len(arrived) // self.reduction_factor)
