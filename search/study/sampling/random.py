"""Random draws, independent of earlier trials."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from search.study.sampling.draws import random_draws
from search.study.sampling.sampler import Gate, Problem
from search.study.trial import TrialRecord
from spaces.space import Params

FIRST_DRAWS = 100
"""The number of draws from the first random stream; runs of earlier versions took all further ones from a second."""


class RandomDraws:
    """Proposes random points of the space."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def start(self, trial: TrialRecord) -> None:
        """Changes nothing."""

    def end(self, trial: TrialRecord) -> None:
        """Changes nothing."""

    def draws(self, number: int, gate: Gate) -> Iterator[Params]:
        """Yields random draws, without end."""
        yield from islice(random_draws(self.problem, number, purpose=1), FIRST_DRAWS)
        yield from random_draws(self.problem, number, purpose=2)
