"""Random seeds, derived from the run's seed alone, so that a resumed run draws the same ones."""

from __future__ import annotations

import numpy as np


def entropy(seed: int, number: int, *, purpose: int) -> int:
    """Returns 32 random bits from a run's seed and a trial's number; each purpose (0: training) has its own stream."""
    return int(np.random.SeedSequence([seed, number, purpose]).generate_state(1)[0])
