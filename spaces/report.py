"""A trial's report: what the worker measures, the study decides on, and the tables hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

MAY_BE_NAN = ("train_loss", "val_loss", "val_score")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The state of a trial after an epoch or a part of one."""

    step: int
    """Counts the trial's reports from 1."""
    epoch: float
    train_loss: float
    val_loss: float
    val_score: float
    learning_rate: float
    seconds: float
    """Time in forward, backward, optimizer, augmentation and validation since the last report."""
    num_images: int
    """Training images seen since the last report."""
    finished: bool
    """Whether the trial ends with this report."""
    metrics: dict[str, float] = field(default_factory=dict)
    device: str | None = None
    """The GPU's name, or "cpu". A worker sets this and all that follows."""
    node: str | None = None
    cpu: str | None = None
    torch: str | None = None
    threads: str | None = None

    @property
    def is_finite(self) -> bool:
        return all(math.isfinite(getattr(self, name)) for name in MAY_BE_NAN)

    def to_json(self) -> dict[str, Any]:
        """Returns all fields by name, with None for a loss, score or metric that JSON cannot hold: NaN or infinity."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        lost = {name: None for name in MAY_BE_NAN if not math.isfinite(values[name])}
        metrics = {name: value if math.isfinite(value) else None for name, value in self.metrics.items()}
        return {**values, **lost, "metrics": metrics}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Returns the report that `to_json` wrote, with NaN for each None. Raises TypeError if a field is missing."""
        values = {each.name: data[each.name] for each in fields(cls) if each.name in data}
        values |= {name: math.nan for name in MAY_BE_NAN if values.get(name, 0.0) is None}
        if None in data["metrics"].values():
            values["metrics"] = {n: math.nan if value is None else value for n, value in data["metrics"].items()}
        return cls(**values)
