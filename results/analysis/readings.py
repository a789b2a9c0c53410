"""Describes how often a run's test examples were read, and which finalists were chosen after that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.analysis.columns import has_value, trial_name
from results.wording import count

MARK = " *"
"""Appended to the name of a finalist that was chosen after test examples had been read."""

Row = Mapping[str, Any]
"""A row of finalists.parquet."""


def is_chosen_after_test(rows: Sequence[Row], name: str) -> bool | None:
    """Returns whether test examples had been read for this run when a finalist was chosen; None if unknown."""
    flags = [
        row["chosen_after_test"] for row in rows if trial_name(row) == name and has_value(row["chosen_after_test"])
    ]
    return any(flags) if flags else None


def mark_name(rows: Sequence[Row], name: str) -> str:
    """Returns the name, with a mark if the finalist was chosen after test examples had been read."""
    return name + MARK if is_chosen_after_test(rows, name) else name


def describe_choice(rows: Sequence[Row], name: str) -> str:
    """Returns a sentence, without its period, on how a finalist that was scored on test examples was chosen."""
    match is_chosen_after_test(rows, name):
        case True:
            return "It was chosen by validation scores, but after test examples had been read for this run"
        case False:
            return "It was chosen by validation scores, before any test example was read"
        case None:
            return "It was chosen by validation scores"


def describe_readings(rows: Sequence[Row]) -> str:
    """Returns how often test examples were read for this run, and who was chosen after that; "" if never."""
    reads = [row["test_read"] for row in rows if has_value(row["test_read"])]
    if not reads:
        return ""
    rounds = len({row["round"] for row in rows if has_value(row["round"])})
    text = f"Test examples have been read {count(max(reads), 'time')} for this run, once after each training, in "
    text += count(rounds, "round")
    names = [name for name in dict.fromkeys(map(trial_name, rows)) if is_chosen_after_test(rows, name)]
    if not names:
        return f"{text}; all finalists had been chosen before the first time."
    return f"{text}. Chosen after the first time, and marked with *: {', '.join(names)}."
