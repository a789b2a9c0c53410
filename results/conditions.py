"""The conditions of a run's scores: only scores under equal conditions compare."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

CONDITIONS = ("task", "goal", "dataset_fingerprint", "max_epochs", "train_examples", "val_examples")
"""The columns that decide whether two rows' scores compare, in every table that has scores."""
HEADER = "frugal"
"""The key of the run's settings in the first records of a journal."""
BEGINNING_BYTES = 2**16
"""The number of bytes that holds the first records of any journal."""
_FIRST_RECORDS = 8


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The settings that decide whether two runs' scores compare. None is unknown."""

    task: str | None = None
    goal: str | None = None
    """The goal in the words of `goal_text`."""
    dataset_fingerprint: str | None = None
    """A hash of all examples, so that it also differs if their number does."""
    dataset: str | None = field(default=None, compare=False)
    """The dataset's name, which is not compared: the same examples may have several names."""
    max_epochs: int | None = None
    train_examples: int | None = None
    val_examples: int | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Conditions:
        """Returns the conditions of a table's row. One without a column, or with a null, is unknown."""
        names = [each.name for each in fields(cls)]
        return cls(**{name: row[name] for name in names if name in row and pd.notna(row[name])})

    @classmethod
    def of_identity(cls, identity: Mapping[str, Any]) -> Conditions:
        """Returns the conditions of a run from the settings in its journal. A value of a wrong type is unknown."""
        types = {"task": str, "dataset": str, "dataset_fingerprint": str}
        types |= {"max_epochs": int, "train_examples": int, "val_examples": int}
        known = {name: identity[name] for name, kind in types.items() if type(identity.get(name)) is kind}
        return cls(goal=goal_text(identity.get("goal")), **known)

    def differences(self, here: Conditions) -> list[str]:
        """Returns what makes scores under these conditions incomparable with those under `here`, or an empty list.

        An unknown condition is equal to no other, except for numbers of examples, which the fingerprint covers.
        """
        if other_task := _difference("task", self.task, here.task):
            return other_task  # no other difference matters then
        return [*_goal_differences(self, here), *_image_differences(self, here), *_epoch_differences(self, here)]


def goal_text(goal: Any) -> str | None:
    """Returns a goal's JSON in words, such as `denoise sigma=0.3`, or None if it is not a goal's.

    Equal goals have the same text, different goals different texts.
    """
    if not isinstance(goal, dict) or not isinstance(goal.get("goal"), str):
        return None
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", goal["goal"]).lower()
    return " ".join([kind, *(f"{name}={_setting_text(value)}" for name, value in goal.items() if name != "goal")])


def readable_goal(goal: str) -> str:
    """Returns a goal's text for people, without the digest of a user's functions."""
    return re.sub(r" code=\w+", "", goal)


def read_identity(journal: bytes) -> dict[str, Any]:
    """Returns the settings that a run started with, from the first bytes of its journal; empty if it has none."""
    for line in journal.split(b"\n")[:_FIRST_RECORDS]:
        try:
            found = json.loads(line)["user_attr"][HEADER]["identity"]
        except (ValueError, KeyError, TypeError, RecursionError):  # another record, or not a journal of Frugal
            continue
        if isinstance(found, dict):
            return found
    return {}


def _goal_differences(there: Conditions, here: Conditions) -> list[str]:
    """Returns the settings that differ if both goals are of one kind, or else the two goals."""
    if there.goal and here.goal:
        (kind, *mine), (other, *its) = there.goal.split(" "), here.goal.split(" ")
        if kind == other and len(mine) == len(its):
            pairs = [(a.partition("="), b.partition("=")) for a, b in zip(mine, its, strict=True) if a != b]
            return [f"{name} {value}, here {here_value}" for (name, _, value), (_, _, here_value) in pairs]
    return _difference("goal", there.goal, here.goal)


def _image_differences(there: Conditions, here: Conditions) -> list[str]:
    numbers = [
        (there.train_examples, here.train_examples, "training examples"),
        (there.val_examples, here.val_examples, "validation examples"),
    ]
    found = [f"{n:,} {what}, here {m:,}" for n, m, what in numbers if None not in (n, m) and n != m]
    mine, its = there.dataset_fingerprint, here.dataset_fingerprint
    if found or (mine is not None and mine == its):
        return found
    if None not in (mine, its, there.dataset) and there.dataset == here.dataset:
        return [f"other examples of {there.dataset}, fingerprint {mine}, here {its}"]
    return _difference("dataset", _dataset_text(there), _dataset_text(here))


def _dataset_text(conditions: Conditions) -> str | None:
    """Returns a dataset's name and fingerprint as one text, or None without a fingerprint."""
    fingerprint = conditions.dataset_fingerprint
    return f"{conditions.dataset or ''} {fingerprint}".strip() if fingerprint else None


def _epoch_differences(there: Conditions, here: Conditions) -> list[str]:
    return _difference("max_epochs", there.max_epochs, here.max_epochs)


def _difference(name: str, there: Any, here: Any) -> list[str]:
    if there is None and here is None:
        return [f"{name} unknown"]
    return [] if there == here else [f"{name} {_or_unknown(there)}, here {_or_unknown(here)}"]


def _or_unknown(value: Any) -> Any:
    return "unknown" if value is None else value


def _setting_text(value: Any) -> str:
    """Returns a value as the command line takes it: true, 0.3, 1 also for 1.0, a word; or else JSON without spaces."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return repr(value).removesuffix(".0")
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w-]*", value) and value not in ("true", "false", "null"):
        return value
    return json.dumps(value, separators=(",", ":")).replace(" ", "\\u0020")
