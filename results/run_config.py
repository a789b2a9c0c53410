"""Reads the part of a run's config.yaml that reports need, from a file that anyone may have written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from results.files import read_file
from results.keys import check_ranges, key, read_fields
from results.values import check_free, echoed

GIVEN_IN_PYTHON = "python:"
"""Starts the value of `task` for a task that was given in Python; its name follows."""
MAX_BYTES = 200_000
"""A run's own file has about 3,000; YAML's reader takes seconds for a megabyte."""
_MOST_EPOCHS = 1e6


class Direction(Enum):
    maximize = "maximize"
    minimize = "minimize"


@dataclass
class ObjectiveFacts:
    """The score by which trials were ranked."""

    name: str | None = key(None, "")
    direction: Direction | None = key(None, "")


@dataclass
class ConfirmFacts:
    """The settings of the confirmation."""

    top_k: int = key(0, "", least=0)
    seeds: int = key(0, "", least=0)


@dataclass
class DatasetFacts:
    """The dataset of the run."""

    name: str | None = key(None, "")
    train_examples: int | None = key(None, "", least=0)
    val_examples: int | None = key(None, "", least=0)


@dataclass
class RunFacts:
    """The keys that reports read. Each may be missing or null, since an earlier version may not have had it."""

    task: str | None = key(None, "")
    sentence: str | None = key(None, "")
    """What the task searches for."""
    scale: str | None = key(None, "")
    num_trials: int | None = key(None, "", least=0)
    max_params: int | None = key(None, "", above=0)
    max_macs: int | None = key(None, "", above=0)
    max_code: int | None = key(None, "", above=0)
    max_epochs: float | None = key(None, "", above=0, most=_MOST_EPOCHS)
    time_budget_seconds: float | None = key(None, "", above=0)
    seed: int | None = key(None, "")
    grace_epochs: float | None = key(None, "", least=1e-6, most=_MOST_EPOCHS)
    reduction_factor: int | None = key(None, "", least=2)
    sampler: str | None = key(None, "")
    pruner: str | None = key(None, "")
    train_examples: int | None = key(None, "", least=0)
    val_examples: int | None = key(None, "", least=0)
    git_commit: str | None = key(None, "")
    confirm: ConfirmFacts = field(default_factory=ConfirmFacts)
    objective: ObjectiveFacts = field(default_factory=ObjectiveFacts)
    dataset: DatasetFacts = field(default_factory=DatasetFacts)
    fix: dict[str, Any] = key({}, "")
    versions: dict[str, Any] = key({}, "")


class _Loader(yaml.SafeLoader):
    """Refuses references, by which a few lines stand for billions of values, or contain themselves."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has a reference, such as *NAME")
        return super().compose_node(parent, index)


def parse_config(content: bytes) -> Any:
    """Returns the values of a config.yaml. Raises ValueError, without the file's name, if it is damaged."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content):,} bytes; a run's own has about 3,000")
    try:
        return yaml.load(content, _Loader)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
    except (ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ValueError(" ".join(str(reason).rstrip(".").split())) from None


def read_config(path: Path) -> dict[str, Any]:
    """Returns the keys of config.yaml that are not null, those of RunFacts in their types; empty if there is no file.

    Raises ValueError that names the file, and the key if one is wrong.
    """
    content = read_file(path, MAX_BYTES)
    if content is None:
        return {}
    try:
        found = parse_config(content)
        if not isinstance(found, dict):
            raise ValueError("it has no names with values")
        given = {name: value for name, value in found.items() if value is not None and isinstance(name, str)}
        return given | _facts(given)
    except ValueError as error:
        raise ValueError(f"{path}: not the configuration of a run, or damaged: {_first_line(error)}") from None


def _facts(given: Mapping[str, Any]) -> dict[str, Any]:
    facts = read_fields(RunFacts, given)
    check_ranges(facts)
    for name in ("fix", "versions"):
        for inner, value in getattr(facts, name).items():
            check_free(f"{name}.{echoed(inner)}", value)
    plain = dataclasses.asdict(facts)
    plain["objective"]["direction"] = facts.objective.direction.value if facts.objective.direction else None
    return {name: plain[name] for name in plain if name in given}


def _first_line(text: object) -> str:
    return next(iter(str(text).splitlines()), "") or type(text).__name__
