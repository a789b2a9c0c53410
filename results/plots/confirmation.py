"""Figures of confirmed finalists: means over seeds with their intervals, and the confusion matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from results.analysis.columns import floats, is_searched
from results.analysis.comparable import check_comparable
from results.analysis.confirmed import Confirmed, describe_sample
from results.analysis.statistics import Mean
from results.plots.style import AXIS, BLACK, BLUE, PAPER, RED, new_figure, shorten_names, show_message
from spaces.goal import Direction

_WHISKER = {"thickness": 2, "width": 6}
_MAX_NUMBERED_LABELS = 20  # with more labels, a confusion matrix shows no numbers
_MAX_POINTS = 2_000
_MAX_LABEL_LENGTH = 22  # characters


def finalists(
    table: pd.DataFrame,
    predictions: pd.DataFrame | None = None,
    *,
    score_name: str = "test score",
    direction: Direction = "maximize",
) -> go.Figure:
    """Draws each finalist's scores by seed as dots, and its mean with the 95% interval as a diamond.

    `predictions` are those of the same runs; without them, intervals cover the seeds alone. Raises ValueError for
    finalists of several runs whose scores do not compare.
    """
    check_comparable(table)
    confirmed = Confirmed.of(table, predictions, direction)
    figure = new_figure("Confirmed finalists", score_name, "", 150 + 44 * max(1, len(confirmed.scores)))
    if not confirmed.scores:
        return show_message(figure, "Nothing is confirmed yet.")
    for name, label in zip(confirmed.scores, shorten_names(list(confirmed.scores)), strict=True):
        scores, stats = confirmed.scores[name], confirmed.means[name]
        colour = BLUE if is_searched(name) else BLACK
        seeds = [f"seed {seed}" for seed in scores]
        figure.add_scatter(
            x=list(scores.values()),
            y=[label] * len(scores),
            mode="markers",
            marker={"color": colour, "size": 7, "opacity": 0.45},
            customdata=seeds,
            hovertemplate="%{y}, %{customdata}: %{x:.5g}<extra></extra>",
        )
        figure.add_scatter(**_mean_with_interval(label, stats, colour))
    figure.update_layout(showlegend=False, margin={"b": 56})
    return figure.update_yaxes(type="category", autorange="reversed", showgrid=False)


def confusion(counts: pd.DataFrame) -> go.Figure:
    """Draws the confusion matrix from `analysis.confusion`, with mistakes coloured."""
    figure = new_figure("Confusion matrix", "predicted", "label", max(560, 140 + 16 * len(counts)))
    names = shorten_names(list(counts.index), _MAX_LABEL_LENGTH)
    if not names:
        return show_message(figure, "Nothing was predicted.")
    mistakes = [[None if i == j else value for j, value in enumerate(row)] for i, row in enumerate(counts.to_numpy())]
    numbers = [[_count(value, i == j) for j, value in enumerate(row)] for i, row in enumerate(counts.to_numpy())]
    figure.add_heatmap(
        x=names,
        y=names,
        z=mistakes,
        text=numbers,
        texttemplate="%{text}" if len(names) <= _MAX_NUMBERED_LABELS else None,
        colorscale=[[0, PAPER], [1, RED]],
        zmin=0,
        showscale=False,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="label %{y} predicted as %{x}: %{text} examples<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False, side="top")
    if len(names) <= _MAX_NUMBERED_LABELS:  # the diagonal is a gap in the heat map, which shows no text
        for place, (name, row) in enumerate(zip(names, numbers, strict=True)):
            figure.add_annotation(text=row[place], x=name, y=name, showarrow=False, opacity=0.7)
    figure.update_yaxes(type="category", showgrid=False, autorange="reversed", dtick=1)
    return figure.update_layout(margin={"b": 16})


def predicted(examples: pd.DataFrame) -> go.Figure:
    """Draws predicted numbers against the right ones, a point for each example: `index`, `target` and `value`.

    The line is where both are equal. Of more than 2,000 examples, evenly spaced ones are drawn.
    """
    figure = new_figure("Predicted against true", "true", "predicted", 520)
    if examples.empty:
        return show_message(figure, "Nothing was predicted.")
    places = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), _MAX_POINTS)).astype(int))
    shown = examples.iloc[places]
    true, values = floats(shown, "target"), floats(shown, "value")
    ends = [float(np.min([true, values])), float(np.max([true, values]))]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": AXIS, "width": 1}, hoverinfo="skip")
    figure.add_scatter(
        x=true,
        y=values,
        mode="markers",
        marker={"color": BLUE, "size": 6, "opacity": 0.5},
        customdata=[str(index) for index in shown["index"]],
        hovertemplate="example %{customdata}<br>true %{x:.5g}<br>predicted %{y:.5g}<extra></extra>",
    )
    return figure.update_layout(showlegend=False, margin={"b": 56})


def _mean_with_interval(name: str, stats: Mean, colour: str) -> dict:
    text = f"{stats.low:.5g} to {stats.high:.5g}" if stats.has_interval else "one seed: no interval"
    up, down = (stats.high - stats.value, stats.value - stats.low) if stats.has_interval else (0.0, 0.0)
    return {
        "x": [stats.value],
        "y": [name],
        "mode": "markers",
        "marker": {"color": colour, "size": 13, "symbol": "diamond"},
        "error_x": {"array": [up], "arrayminus": [down], "symmetric": False, **_WHISKER, "color": colour},
        "hovertemplate": f"{name}: mean %{{x:.5g}}<br>95% interval {text}<br>{describe_sample(stats)}<extra></extra>",
    }


def _count(value: float, is_right: bool) -> str:
    if not value:
        return ""
    return f"{value:.0f}" if is_right or value >= 10 else f"{value:.1f}".removesuffix(".0")
