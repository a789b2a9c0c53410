"""What tables say, as numbers: effects of choices, rungs, confusion, slot time, intervals, importances."""

from results.analysis.trials import (
    at_equal_epochs,
    confusion,
    direction_of,
    effects,
    ended,
    is_on_front,
    most_mistaken,
    num_side_by_side,
    param_columns,
    rungs,
    slot_time,
)

__all__ = [
    "at_equal_epochs",
    "confusion",
    "direction_of",
    "effects",
    "ended",
    "is_on_front",
    "most_mistaken",
    "num_side_by_side",
    "param_columns",
    "rungs",
    "slot_time",
]
