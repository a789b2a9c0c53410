"""What was confirmed, drawn: means over seeds with their intervals, and which labels are taken for which."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from results.columns import distinct, floats, known, records
from results.comparable import check_comparable
from results.statistics import Mean, mean
from results.style import BLACK, BLUE, PAPER, RED, new_figure, plain, say

_MOST_LABELS = 20  # of which a confusion matrix can be read with numbers in it


def finalists(table: pd.DataFrame, *, score_name: str = "test score") -> go.Figure:
    """The score of each seed as a dot, and the mean over seeds with its 95% interval, a line a finalist.

    Raises ValueError for finalists of several runs whose scores do not compare.
    """
    check_comparable(table)
    by_name = scores_by_name(table)
    figure = new_figure("Confirmed finalists", score_name, "", 150 + 44 * max(1, len(by_name)))
    if not by_name:
        return say(figure, "Nothing is confirmed yet.")
    for name, scores in by_name.items():
        stats = mean(list(scores.values()))
        colour = BLUE if name.startswith("trial ") else BLACK
        seeds = [f"seed {seed}" for seed in scores]
        figure.add_scatter(
            x=list(scores.values()),
            y=[plain(name)] * len(scores),
            mode="markers",
            marker={"color": colour, "size": 7, "opacity": 0.45},
            customdata=seeds,
            hovertemplate="%{y}, %{customdata}: %{x:.5g}<extra></extra>",
        )
        figure.add_scatter(**_mean_with_interval(plain(name), stats, colour))
    figure.update_layout(showlegend=False, margin={"b": 56})
    return figure.update_yaxes(type="category", autorange="reversed", showgrid=False)


def confusion(counts: pd.DataFrame) -> go.Figure:
    """Labels by what they were taken for; mistakes are coloured. `counts` as `analysis.confusion` makes it."""
    figure = new_figure("Confusion matrix", "predicted", "label", 560)
    names = [plain(name) for name in counts.index]
    if not names:
        return say(figure, "Nothing was predicted.")
    mistakes = [[None if i == j else value for j, value in enumerate(row)] for i, row in enumerate(counts.to_numpy())]
    numbers = [[_count(value, i == j) for j, value in enumerate(row)] for i, row in enumerate(counts.to_numpy())]
    figure.add_heatmap(
        x=names,
        y=names,
        z=mistakes,
        text=numbers,
        texttemplate="%{text}" if len(names) <= _MOST_LABELS else None,
        colorscale=[[0, PAPER], [1, RED]],
        zmin=0,
        showscale=False,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="label %{y} taken for %{x}: %{text} images<extra></extra>",
    )
    figure.update_xaxes(type="category", showgrid=False, side="top")
    if len(names) <= _MOST_LABELS:  # a gap in the map shows no text
        for place, (name, row) in enumerate(zip(names, numbers, strict=True)):
            figure.add_annotation(text=row[place], x=name, y=name, showarrow=False, opacity=0.7)
    return figure.update_yaxes(type="category", showgrid=False, autorange="reversed").update_layout(margin={"b": 16})


def scores_by_name(table: pd.DataFrame) -> dict[str, dict[int, float]]:
    """By finalist, in the order of the search's ranks with references last, the scores of the seeds.

    Finalists of several runs are named with their runs.
    """
    scored = table.dropna(subset=["test_score"]).sort_values(by=["place", "trial", "seed"], na_position="last")
    several = len(distinct(scored, "run")) > 1
    names = [
        _name(row) + (f" of {row['run']}" if several else "") for row in records(scored, "run", "trial", "reference")
    ]
    found: dict[str, dict[int, float]] = {}
    for name, seed, score in zip(names, scored["seed"], floats(scored, "test_score"), strict=True):
        found.setdefault(name, {})[int(seed)] = float(score)
    return found


def _name(row: dict) -> str:
    return str(row["reference"]) if known(row["reference"]) else f"trial {row['trial']}"


def _mean_with_interval(name: str, stats: Mean, colour: str) -> dict:
    half = stats.high - stats.value
    text = f"{stats.low:.5g} to {stats.high:.5g}" if math.isfinite(half) else "one seed: no interval"
    return {
        "x": [stats.value],
        "y": [name],
        "mode": "markers",
        "marker": {"color": colour, "size": 13, "symbol": "diamond"},
        "error_x": {"array": [half if math.isfinite(half) else 0], "color": colour, "thickness": 2, "width": 6},
        "hovertemplate": f"{name}: mean %{{x:.5g}}<br>95% interval {text}<br>{stats.n} seeds<extra></extra>",
    }


def _count(value: float, is_right: bool) -> str:
    if not value:
        return ""
    return f"{value:.0f}" if is_right or value >= 10 else f"{value:.1f}".removesuffix(".0")
