"""The terminal's tables of an ablation: the mean of each variant, and its difference from the base."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from results.analysis.ablation import Effect, describe_gap, effects
from results.analysis.columns import first_value
from results.analysis.statistics import Bounds, bounds_of, mean, mean_cells
from results.locations import user_facing_path
from search.command_line.terminal import Column, Table, Terminal
from search.retraining.ablation import Ablation
from search.retraining.retrain import failures
from search.session.session import Session


def print_ablation(terminal: Terminal, ablation: Ablation, session: Session) -> None:
    """Prints a table for each parameter that was varied, in the order of its values."""
    rows = pd.DataFrame(ablation.rows(session.study, session.splits))
    bounds = bounds_of(ablation.plan.task.objective.direction, first_value(rows, "goal"))
    name = ablation.plan.objective_text
    for parameter, mine in rows.groupby("parameter", sort=False) if len(rows) else ():
        terminal.show(_table(f"{parameter}: {name}, mean over seeds", str(parameter), effects(mine), bounds))
    if len(rows):
        terminal.say(
            "The 95% intervals cover the choice of seed alone; all trainings have the same validation examples."
        )
    for line in [*failures(session.study), f"table: {user_facing_path(ablation.plan.folder.path)}/ablation.parquet"]:
        terminal.say(line)


def _table(title: str, parameter: str, found: Sequence[Effect], bounds: Bounds) -> Table:
    columns = (
        Column(parameter, is_text=True, folds=True),
        Column("mean"),
        Column("95% interval", goes=3),
        Column("seeds", goes=1),
        Column("from the base, paired by seed", goes=4, is_text=True, wraps=True),
        Column("parameters", goes=2),
    )
    table = Table(columns, title)
    for each in found:
        value, interval, _, n = mean_cells(mean(list(each.scores.values()), bounds))
        table.add(
            each.value,
            value,
            interval,
            n,
            "the base" if each.is_base else describe_gap(each.gap),
            f"{each.num_params:,}",
            style="cyan" if each.is_base else "",
        )
    return table
