"""ASHA, the stopping kind, pure: no Ray, no clock, no disk (Li et al. 2020, MLSys, with stopping for promotion)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Asha:
    """Stops a trial at a rung unless it is among the best 1/`reduction_factor` of those that have arrived there.

    Rungs lie at `grace`, `grace * reduction_factor`, `grace * reduction_factor**2`, ... reports, below `last`, the
    length of a whole trial. Scores are to be maximized.
    """

    grace: int
    reduction_factor: int
    last: int
    rungs: dict[int, list[float]] = field(init=False)
    """For each rung, by its number of reports: the scores in the order in which they arrived."""

    @classmethod
    def of_epochs(
        cls, grace_epochs: float, reduction_factor: int, *, max_epochs: int, reports_per_epoch: int = 1
    ) -> Asha:
        """With its rungs at the reports nearest to these epochs."""
        return cls(round(grace_epochs * reports_per_epoch), reduction_factor, max_epochs * reports_per_epoch)

    def __post_init__(self) -> None:
        if self.grace < 1 or self.reduction_factor < 2:
            raise ValueError(
                f"ASHA needs grace >= 1 and reduction_factor >= 2, not {self.grace} and {self.reduction_factor}"
            )
        self.rungs = {}
        rung = self.grace
        while rung < self.last:
            self.rungs[rung] = []
            rung *= self.reduction_factor

    def goes_on(self, step: int, score: float) -> bool:
        """Whether a trial that reports `score` as its `step`-th report goes on; elsewhere than at a rung it does.

        It does so at a rung if it is among the best max(1, n // reduction_factor) of the n that have arrived there,
        itself included, ties going to the earlier. A NaN must not come here: it would pass every comparison.
        """
        assert score == score, "a trial whose score is NaN has failed, and reaches no rung"
        if step not in self.rungs:
            return True
        arrived = self.rungs[step]
        better_or_earlier = sum(other >= score for other in arrived)
        arrived.append(score)
        return better_or_earlier < max(1, len(arrived) // self.reduction_factor)
