"""The budget: limits on what a network may cost, and the verdict on a draw from the space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spaces.layers import InvalidNetwork
from spaces.recipe import Candidate
from spaces.space import Params, Space

SHRUNK = "image shrinks to nothing"
NOT_ALLOWED = "not allowed"


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
    """Returns a draw's candidate, None if it cannot be built, and why it is rejected, None if it is accepted.

    The space's own constraint is asked last, about candidates within the budget. Raises ValueError if it answers
    neither True, False nor with a reason.
    """
    try:
        candidate = space.build(params)
        candidate.network.trace()  # a budget without limits would not notice an invalid network
    except InvalidNetwork:
        return None, SHRUNK
    return candidate, budget.rejection(candidate) or _refusal(space, params, candidate)


def _refusal(space: Space, params: Params, candidate: Candidate) -> str | None:
    """Returns why the space's own constraint refuses a candidate, or None if it allows it."""
    answer = True if space.allowed is None else space.allowed(params, candidate)
    match answer:
        case bool() | np.bool_():
            return None if answer else NOT_ALLOWED
        case str() if answer:
            return answer
    raise ValueError(f"`allowed` must return True, False or the reason for a rejection, but returned {answer!r}")
