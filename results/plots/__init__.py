"""Plotly figures of the tables: each function takes data frames and returns a figure.

A table with nothing to draw gives an empty figure with a message. Scores of several runs are drawn only if they
compare; otherwise a ValueError says what differs. It may import results.analysis, and not results.report.
"""

from results.plots.confirmation import confusion, finalists, predicted
from results.plots.parameters import effects, importance
from results.plots.trials import (
    choices,
    compare,
    learning_curves,
    rungs,
    score_by_macs,
    score_by_params,
    slot_time,
)
from results.plots.variants import ablation

__all__ = [
    "ablation",
    "choices",
    "compare",
    "confusion",
    "effects",
    "finalists",
    "importance",
    "learning_curves",
    "predicted",
    "rungs",
    "score_by_macs",
    "score_by_params",
    "slot_time",
]
