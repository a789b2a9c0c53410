"""The numbers behind the figures and the report, computed from the tables of `results.load`.

It may import results.schema, results.conditions and results.wording, and neither plots nor report. The functions that
notebooks call are exported here; other code imports them from their modules.
"""

from results.analysis.trials import (
    at_equal_epochs,
    confusion,
    effects,
    ended_trials,
    find_direction,
    is_on_front,
    max_concurrent,
    param_columns,
    rungs,
    select_most_mistaken,
    slot_time,
)

__all__ = [
    "at_equal_epochs",
    "confusion",
    "effects",
    "ended_trials",
    "find_direction",
    "is_on_front",
    "max_concurrent",
    "param_columns",
    "rungs",
    "select_most_mistaken",
    "slot_time",
]
