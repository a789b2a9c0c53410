"""TPE: draws that resemble the best trials more than the others."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from itertools import islice

from optuna.trial import FrozenTrial, TrialState, create_trial

from results.schema import Status
from search.engines.tpe import MAX_GOOD, OneHistoryTPE
from search.study.journal import STATES, direction
from search.study.sampling.draws import draws_from, random_draws
from search.study.sampling.sampler import MAX_DRAWS, Gate, Problem
from search.study.seeds import entropy
from search.study.trial import TrialRecord
from spaces.space import Params

MAX_TPE_DRAWS = 100
"""The number of draws that TPE proposes for one trial; after as many rejections in a row, draws are random."""
NUM_BEST, NUM_LATEST = MAX_GOOD, 100
"""The number of ended trials in the history that TPE sees. It never counts more than MAX_GOOD as good."""


class Tpe:
    """Proposes draws by Optuna's TPE, made anew for each trial with a random state of its own.

    The history that TPE sees is bounded, because the cost of a draw grows with it. Trials that failed are left out.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._running: dict[int, FrozenTrial] = {}
        self._ended: dict[int, FrozenTrial] = {}
        self._by_number: list[int] = []
        self._by_rank: list[tuple[tuple[bool, int, float], int]] = []

    def start(self, trial: TrialRecord) -> None:
        """Adds a running trial to the history."""
        self._running[trial.number] = self._frozen(trial)

    def end(self, trial: TrialRecord) -> None:
        """Replaces a running trial by the ended one, or drops it if it failed. Passes over trials never started."""
        if self._running.pop(trial.number, None) is None or trial.status not in STATES:
            return
        self._ended[trial.number] = self._frozen(trial)
        insort(self._by_number, trial.number)
        insort(self._by_rank, (self._rank(trial), trial.number))

    def draws(self, number: int, gate: Gate) -> Iterator[Params]:
        """Yields TPE's draws, and random ones after MAX_TPE_DRAWS."""
        seed, space = self.problem.seed, self.problem.space
        sampler = OneHistoryTPE(entropy(seed, number, purpose=1), len(self._ended))
        yield from islice(draws_from(space, sampler, self.history(), direction(self.problem.objective)), MAX_TPE_DRAWS)
        yield from random_draws(self.problem, number, purpose=2)

    def history(self) -> list[FrozenTrial]:
        """Returns the trials that TPE sees: the best and the latest of those that have ended, and all running ones."""
        numbers = {number for _, number in self._by_rank[:NUM_BEST]} | {*self._by_number[-NUM_LATEST:]}
        ended = [self._ended[number] for number in sorted(numbers)]
        return ended + [self._running[number] for number in sorted(self._running)]

    def _rank(self, trial: TrialRecord) -> tuple[bool, int, float]:
        """Ranks as TPE does: completed trials by score, then pruned ones by their number of reports."""
        is_pruned, last = trial.status == Status.PRUNED, trial.reports[-1]
        return is_pruned, -last.step if is_pruned else 0, -self.problem.objective.signed(last.val_score)

    def _frozen(self, trial: TrialRecord) -> FrozenTrial:
        """Returns a trial as Optuna knows it, numbered so that TPE does not mistake it for one of the draws."""
        has_ended = trial.status in STATES
        frozen = create_trial(
            state=STATES[trial.status] if has_ended else TrialState.RUNNING,
            params=trial.params,
            distributions=self.problem.space.distributions(trial.params),
            value=trial.reports[-1].val_score if has_ended else None,
            intermediate_values={report.step: report.val_score for report in trial.reports} if has_ended else None,
        )
        frozen.number = MAX_DRAWS + trial.number
        return frozen
