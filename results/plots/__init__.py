"""The tables drawn. Each function takes frames and returns a plotly figure; a table without anything to draw gives an
empty figure that says so. Scores of several runs are drawn only where they compare: a ValueError says what does not."""

from results.plots.confirmation import confusion, finalists
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
    "rungs",
    "score_by_macs",
    "score_by_params",
    "slot_time",
]
