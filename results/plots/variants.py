"""Figures of an ablation: differences from the base, paired by seed."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from results.analysis.ablation import effects
from results.analysis.statistics import mean
from results.plots.style import AXIS, BLUE, new_figure, shorten_names, show_message
from results.wording import count


def ablation(table: pd.DataFrame, *, score_name: str = "validation score") -> go.Figure:
    """Draws each value's differences from the base: a dot for each seed, a diamond for the mean with its 95% interval.

    `table` has the rows of one parameter of one ablation.parquet.
    """
    parameter = next(iter(table["parameter"]), "choice")
    figure = new_figure(f"Effect of {parameter}", parameter, f"{score_name}: difference from the base", 420)
    found = effects(table)
    base = next((each.scores for each in found if each.is_base), {})
    names = shorten_names([each.value for each in found])
    for each, name in zip(found, names, strict=True):
        if gaps := {seed: score - base[seed] for seed, score in each.scores.items() if seed in base}:
            _add(figure, name, gaps, is_base=each.is_base)
    if not figure.data:
        return show_message(figure, "No training has finished yet.")
    figure.add_hline(y=0, line={"color": AXIS, "width": 1})
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names)
    return figure.update_layout(showlegend=False, margin={"b": 56})


def _add(figure: go.Figure, value: str, gaps: dict[int, float], *, is_base: bool) -> None:
    if not is_base:
        figure.add_scatter(
            x=[value] * len(gaps),
            y=list(gaps.values()),
            mode="markers",
            marker={"color": BLUE, "size": 7, "opacity": 0.45},
            customdata=[f"seed {seed}" for seed in gaps],
            hovertemplate="%{x}, %{customdata}: %{y:+.2g}<extra></extra>",
        )
    stats = mean(list(gaps.values()))
    half = 0.0 if is_base or not math.isfinite(stats.high) else stats.high - stats.value
    text = "the base" if is_base else f"mean {stats.value:+.2g} ± {half:.2g}, {count(stats.n, 'seed')}"
    figure.add_scatter(
        x=[value],
        y=[stats.value],
        mode="markers",
        marker={"color": AXIS if is_base else BLUE, "size": 12, "symbol": "diamond-open" if is_base else "diamond"},
        error_y={"array": [half], "color": BLUE, "thickness": 2, "width": 6},
        hovertemplate=f"{value}: {text}<extra></extra>",
    )
