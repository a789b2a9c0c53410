"""Conditions: under which a run's scores came about. Scores compare only where these are the same."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

CONDITIONS = ("task", "goal", "dataset_fingerprint", "max_epochs", "train_examples", "val_examples")
"""The columns that say whether two rows' scores compare, in every table that has scores."""
HEADER = "frugal"
"""The key of the first records of a journal under which the settings of its run stand."""
BEGINNING_BYTES = 2**16
"""More than the first records of a journal take."""
_FIRST_RECORDS = 8


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What decides whether two runs' scores compare. None is unknown."""

    task: str | None = None
    goal: str | None = None
    """As `goal_text` writes it."""
    dataset_fingerprint: str | None = None
    """Of all images, so that it tells also whether there are as many of them."""
    dataset: str | None = field(default=None, compare=False)
    """What it is called: the same images may have several names."""
    max_epochs: int | None = None
    train_examples: int | None = None
    val_examples: int | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Conditions:
        """Of a table's row; what has no column, or no value there, is unknown."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: row[name] for name in names if name in row and pd.notna(row[name])})

    @classmethod
    def of_identity(cls, identity: Mapping[str, Any]) -> Conditions:
        """Of a run, from the settings in its journal; a value of the wrong type counts as unknown."""
        types = {"task": str, "dataset": str, "dataset_fingerprint": str}
        types |= {"max_epochs": int, "train_examples": int, "val_examples": int}
        known = {name: identity[name] for name, kind in types.items() if type(identity.get(name)) is kind}
        return cls(goal=goal_text(identity.get("goal")), **known)

    def differences(self, here: Conditions) -> list[str]:
        """Why scores under these conditions do not compare with those under `here`; nothing where they do.

        What is unknown is equal to nothing, but for numbers of images, of which the fingerprint tells enough.
        """
        if other_task := _differing("task", self.task, here.task):
            return other_task  # then nothing else is worth a word
        return [*_goal(self, here), *_images(self, here), *_epochs(self, here)]


def goal_text(goal: Any) -> str | None:
    """A goal's JSON as people read it, such as `denoise sigma=0.3`; None where it is no goal's.

    The text is the same for equal goals, and another for different ones.
    """
    if not isinstance(goal, dict) or not isinstance(goal.get("goal"), str):
        return None
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", goal["goal"]).lower()
    return " ".join([kind, *(f"{name}={_setting(value)}" for name, value in goal.items() if name != "goal")])


def read_identity(journal: bytes) -> dict[str, Any]:
    """The settings that a run started with, from the first bytes of its journal; empty if they are not there."""
    for line in journal.split(b"\n")[:_FIRST_RECORDS]:
        try:
            found = json.loads(line)["user_attr"][HEADER]["identity"]
        except (ValueError, KeyError, TypeError, RecursionError):  # another record, or no journal of ours
            continue
        if isinstance(found, dict):
            return found
    return {}


def _goal(there: Conditions, here: Conditions) -> list[str]:
    """Of two goals of one kind, the settings that differ."""
    if there.goal and here.goal:
        (kind, *mine), (other, *its) = there.goal.split(" "), here.goal.split(" ")
        if kind == other and len(mine) == len(its):
            pairs = [(a.partition("="), b.partition("=")) for a, b in zip(mine, its, strict=True) if a != b]
            return [f"{name} {value}, here {here_value}" for (name, _, value), (_, _, here_value) in pairs]
    return _differing("goal", there.goal, here.goal)


def _images(there: Conditions, here: Conditions) -> list[str]:
    numbers = [
        (there.train_examples, here.train_examples, "training images"),
        (there.val_examples, here.val_examples, "validation images"),
    ]
    told = [f"{n:,} {what}, here {m:,}" for n, m, what in numbers if None not in (n, m) and n != m]
    mine, its = there.dataset_fingerprint, here.dataset_fingerprint
    if told or (mine is not None and mine == its):
        return told
    if None not in (mine, its, there.dataset) and there.dataset == here.dataset:
        return [f"other images of {there.dataset}, fingerprint {mine}, here {its}"]
    return _differing("dataset", _named(there), _named(here))


def _named(conditions: Conditions) -> str | None:
    """A dataset by its name and fingerprint."""
    fingerprint = conditions.dataset_fingerprint
    return f"{conditions.dataset or ''} {fingerprint}".strip() if fingerprint else None


def _epochs(there: Conditions, here: Conditions) -> list[str]:
    return _differing("max_epochs", there.max_epochs, here.max_epochs)


def _differing(name: str, there: Any, here: Any) -> list[str]:
    if there is None and here is None:
        return [f"{name} unknown"]
    return [] if there == here else [f"{name} {_known(there)}, here {_known(here)}"]


def _known(value: Any) -> Any:
    return "unknown" if value is None else value


def _setting(value: Any) -> str:
    """As the command line has it: true, 0.3, 1 also for 1.0, a plain word; anything else as JSON without spaces."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(value).removesuffix(".0")
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w-]*", value) and value not in ("true", "false", "null"):
        return value
    return json.dumps(value, separators=(",", ":")).replace(" ", "\\u0020")
