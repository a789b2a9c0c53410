"""All that a worker needs to train a trial, apart from the dataset that it already holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spaces.goal import Goal
from spaces.recipe import Candidate


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """A trial as the driver describes it to a worker."""

    number: int
    candidate: Candidate
    goal: Goal
    seed: int
    epochs: int
    """The length that schedules are stretched over."""
    reports_per_epoch: int
    record_steps: bool
    data_dir: Path
    """Where a worker caches the features of a frozen backbone."""
    length: int | None
    """The number of parts of an epoch after which the trial is scored, once, and ends. None to score after each."""
    facts: Mapping[str, object]
    """JSON values that a model file records about its origin; the worker adds the score."""

    def to_json(self) -> str:
        changed = {
            "candidate": self.candidate.to_json(),
            "goal": self.goal.to_json(),
            "data_dir": str(self.data_dir),
            "facts": dict(self.facts),
        }
        return json.dumps({**vars(self), **changed})

    @classmethod
    def from_json(cls, text: str) -> TrialSpec:
        data = json.loads(text)
        changed = {
            "candidate": Candidate.from_json(data["candidate"]),
            "goal": Goal.from_json(data["goal"]),
            "data_dir": Path(data["data_dir"]),
        }
        return cls(**{**data, **changed})
