"""Identity: the settings that make the rows of a run comparable. A run is resumed only with the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The settings of a search that its journal records, under these names and in this order."""

    task: str
    scale: str
    max_params: int | None
    max_macs: int | None
    max_code: int | None
    max_epochs: int
    fix: Mapping[str, Any]
    weights: str
    seed: int
    sampler: str
    pruner: str
    grace_epochs: float
    reduction_factor: int
    reports_per_epoch: int
    train_examples: int | None
    val_examples: int | None
    objective: str
    goal: Mapping[str, Any]
    dataset: str
    dataset_fingerprint: str
    space: Mapping[str, str]
    """A description of each parameter's values."""

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as the journal records them."""
        return dict(vars(self))
