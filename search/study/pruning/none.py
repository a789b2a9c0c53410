"""No pruning: every trial is trained to its end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from search.study.pruning.pruner import PruningKeys


@dataclass(frozen=True)
class NoPruning:
    """Continues every trial."""

    rungs: Collection[int] = ()

    @classmethod
    def from_keys(cls, keys: PruningKeys) -> NoPruning:
        """Returns the same for all keys."""
        return cls()

    def should_continue(self, step: int, score: float) -> bool:
        """Returns True."""
        return True
