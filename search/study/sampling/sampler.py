"""What a sampler is, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from search.study.budget import Budget
from search.study.trial import TrialRecord
from spaces.goal import Metric
from spaces.recipe import Candidate
from spaces.space import Params, Space

MAX_DRAWS = 1_000
"""The number of draws for one trial after which the space counts as exhausted, or its budget as too tight."""

Gate = Callable[[Params], Candidate | None]
"""Returns the candidate of a draw that may become a trial. Returns None, and counts the rejection by its reason, for a
draw whose network cannot be built or is over the budget, and for a candidate that is a trial already."""


class Sampler(Protocol):
    """Proposes candidates for the trials of one study.

    What it proposes must follow from the run's seed, the trial's number, and the trials that it was notified of: a
    resumed run makes a new sampler, notifies it of all starts and then of all ends, both by number, and expects the
    same proposals. So the order of ends must not matter, and random numbers come from
    `seeds.entropy(problem.seed, number, purpose=1)`. As an example, a sampler that proposes the largest of the first
    ten draws that pass the gate:

        class Largest:
            def __init__(self, problem: Problem) -> None:
                self.problem = problem

            def start(self, trial: TrialRecord) -> None: ...

            def end(self, trial: TrialRecord) -> None: ...

            def draws(self, number: int, gate: Gate) -> Iterator[Params]:
                draws = islice(random_draws(self.problem, number, purpose=1), MAX_DRAWS)
                feasible = ((params, candidate) for params in draws if (candidate := gate(params)))
                pool = list(islice(feasible, 10))
                if pool:
                    yield max(pool, key=lambda drawn: drawn[1].network.num_params)[0]

    with its line in `registry.SAMPLERS`:

        "largest": SamplerEntry("the largest of ten feasible draws", Largest),
    """

    def start(self, trial: TrialRecord) -> None:
        """Notifies the sampler of a trial that has started; the study appends each report to `trial.reports`.

        References are left out: they are not points of the space.
        """
        ...

    def end(self, trial: TrialRecord) -> None:
        """Notifies the sampler that a trial has ended, with its status and all of its reports."""
        ...

    def draws(self, number: int, gate: Gate) -> Iterator[Params]:
        """Yields draws from the space for the trial with a number, in order of preference.

        The study starts the first one that passes the gate, and gives up after MAX_DRAWS or when there are no more.
        A sampler that chooses among many feasible draws may ask the gate itself.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a sampler searches: the same for all trials of a study."""

    space: Space
    budget: Budget
    objective: Metric
    last_step: int
    """The number of reports of a whole trial."""
    seed: int


@dataclass(frozen=True)
class SamplerEntry:
    """A sampler's line in the registry."""

    help: str
    """What `--help` says about it."""
    make: Callable[[Problem], Sampler]
    """Makes one that knows of no trial."""
