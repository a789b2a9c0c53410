"""The budget: limits on what a network may cost, and the verdict on a draw from the space."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.layers import InvalidNetwork
from spaces.recipe import Candidate
from spaces.space import Params, Space

SHRUNK = "image shrinks to nothing"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits on a network's cost, each inclusive. None is no limit."""

    max_params: int | None = None
    max_macs: int | None = None
    max_code: int | None = None

    def rejection(self, candidate: Candidate) -> str | None:
        """Returns why a candidate is over the budget, or None if it is within it."""
        if self.max_params is not None and candidate.network.num_params > self.max_params:
            return "over max_params"
        if self.max_macs is not None and candidate.network.num_macs > self.max_macs:
            return "over max_macs"
        if self.max_code is not None and candidate.network.code_size > self.max_code:
            return "over max_code"
        return None


def judge(space: Space, budget: Budget, params: Params) -> tuple[Candidate | None, str | None]:
    """Returns a draw's candidate, None if it cannot be built, and why it is rejected, None if it is accepted."""
    try:
        candidate = space.build(params)
        candidate.network.trace()  # a budget without limits would not notice an invalid network
    except InvalidNetwork:
        return None, SHRUNK
    return candidate, budget.rejection(candidate)
