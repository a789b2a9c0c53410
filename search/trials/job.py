"""Job: what is to be trained in a study, a search's or a confirmation's, and what is to become of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from search.runs.folder import RunFolder
from search.study.study import Study
from spaces.goal import Goal
from spaces.recipe import Candidate
from spaces.space import Params


@dataclass(frozen=True)
class Given:
    """A candidate that is not drawn: a published network, or one that a search has found."""

    candidate: Candidate
    _: KW_ONLY
    seed: int | None = None
    """None for the study's own choice, by the trial's number."""
    length: int | None = None
    """After how many parts of an epoch it ends, and is scored for the only time; None where it is at each part."""
    trial: int | None = None
    """The number of the search's trial that it is, for its model file; None where it is none."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be trained in a study's folder, and what is to become of it."""

    folder: RunFolder
    goal: Goal
    max_epochs: int
    """The epochs that schedules are stretched over."""
    num_trials: int
    """How many candidates the study is asked for, beside the given ones."""
    given: Mapping[str, Given]
    """Candidates by name that are trained in full, ahead of the others."""
    warm: Sequence[tuple[Candidate, Params]] = ()
    """Earlier runs' candidates, tried ahead of what is drawn, and counted among `num_trials`."""
    reports_per_epoch: int
    max_failures: int
    record_steps: bool
    """Whether a trial's training step is recorded once and replayed."""
    data_dir: Path
    """Where workers keep what frozen backbones give, as far as their nodes can write there."""
    facts: dict[str, Any]
    """What a model file says of its origin."""
    models: Path
    model_name: Callable[[Study, int], str | None]
    """Under which name, without an ending, the results of a trial that has just ended are kept, if they are."""
    write_tables: Callable[[Study, bool], None]
    """Writes what is derived from the study; it is told whether trials go on. Raises StorageError."""
