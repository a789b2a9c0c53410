"""Identity: the settings that make the rows of a run comparable. A run is resumed only with the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The settings of a search that its journal records, under these names and in this order."""

    task: str
    scale: str
    max_params: int | None
    max_macs: int | None
    max_code: int | None
    max_epochs: int
    fix: Mapping[str, object]
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
    goal: Mapping[str, object]
    dataset: str
    dataset_fingerprint: str
    space: Mapping[str, str]
    """A description of each parameter's values."""

    def to_json(self) -> dict[str, object]:
        """Returns the settings as the journal records them."""
        return dict(vars(self))
