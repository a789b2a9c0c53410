"""What a run's config.yaml says that a report needs, read from a file that anyone may have written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from results.files import content_of
from results.keys import check_ranges, key, read_fields
from results.values import MOST_WHOLE, echoed

MAX_BYTES = 200_000
"""Ours have some 3,000; YAML's reader takes a megabyte for seconds."""
_MOST_EPOCHS = 1e6


class Direction(Enum):
    maximize = "maximize"
    minimize = "minimize"


@dataclass
class ObjectiveFacts:
    """What trials were ranked by."""

    name: str | None = key(None, "")
    direction: Direction | None = key(None, "")


@dataclass
class ConfirmFacts:
    """How finalists were confirmed."""

    top_k: int = key(0, "", least=0)
    seeds: int = key(0, "", least=0)


@dataclass
class DatasetFacts:
    """What was trained on."""

    name: str | None = key(None, "")
    train_examples: int | None = key(None, "", least=0)
    val_examples: int | None = key(None, "", least=0)


@dataclass
class RunFacts:
    """The keys that reports read; each may be missing or null, as an earlier version may not have known it."""

    task: str | None = key(None, "")
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
    train_examples: int | None = key(None, "", least=0)
    val_examples: int | None = key(None, "", least=0)
    git_commit: str | None = key(None, "")
    confirm: ConfirmFacts = field(default_factory=ConfirmFacts)
    objective: ObjectiveFacts = field(default_factory=ObjectiveFacts)
    dataset: DatasetFacts = field(default_factory=DatasetFacts)
    fix: dict[str, Any] = key({}, "")
    versions: dict[str, Any] = key({}, "")


class _Loader(yaml.SafeLoader):
    """Without references, by which a few lines stand for billions of values, or hold themselves."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it refers to another place of its own, as with *NAME")
        return super().compose_node(parent, index)


def parse_config(content: bytes) -> Any:
    """The values of a config.yaml. Raises ValueError, without the file's name, for one that is damaged."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content):,} bytes, where a run's own has some 3,000")
    try:
        return yaml.load(content, _Loader)
    except RecursionError:
        raise ValueError("its values lie too deep in each other") from None
    except (ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ValueError(" ".join(str(reason).rstrip(".").split())) from None


def read_config(path: Path) -> dict[str, Any]:
    """The keys of config.yaml that are not null, those of RunFacts in their types; empty where there is no such file.

    Raises ValueError that names the file, and the key where one is wrong.
    """
    content = content_of(path, MAX_BYTES)
    if content is None:
        return {}
    try:
        found = parse_config(content)
        if not isinstance(found, dict):
            raise ValueError("it holds no names with values")
        given = {name: value for name, value in found.items() if value is not None and isinstance(name, str)}
        return given | _facts(given)
    except ValueError as error:
        raise ValueError(f"{path}: not the configuration of a run, or damaged: {_first_line(error)}") from None


def _facts(given: Mapping[str, Any]) -> dict[str, Any]:
    facts = read_fields(RunFacts, given)
    check_ranges(facts)
    for name in ("fix", "versions"):
        for inner, value in getattr(facts, name).items():
            _check_free(f"{name}.{echoed(inner)}", value)
    plain = dataclasses.asdict(facts)
    plain["objective"]["direction"] = facts.objective.direction.value if facts.objective.direction else None
    return {name: plain[name] for name in plain if name in given}


def _check_free(name: str, value: Any) -> None:
    """Raises ValueError unless it is a number, a switch, text, nothing, or a list of such."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, int) and abs(each) > MOST_WHOLE:
            raise ValueError(f"{name}: must be at most {MOST_WHOLE}")
        if each is not None and not isinstance(each, bool | int | float | str):
            raise ValueError(f"{name}: expected a number, text, true or false, or a list of such")


def _first_line(text: object) -> str:
    return next(iter(str(text).splitlines()), "") or type(text).__name__
