"""Figures of parameters: the mean score for each choice, and importances."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from results.analysis.columns import distinct, floats
from results.plots.style import AXIS, BLUE, escape_text, new_figure, shorten, shorten_names, show_message

_MIN_HEIGHT, _ROW_HEIGHT = 110, 21  # pixels
_FEW = 4  # an interval of fewer trials is too wide to set the axis by


def effects(table: pd.DataFrame, *, score_name: str = "validation score") -> go.Figure:
    """Draws the mean score with its 95% interval for each group of each parameter, from `analysis.effects`.

    Groups of one trial are hollow circles. Long intervals of small groups may extend beyond the figure.
    """
    figure = new_figure("Effect of each choice", score_name, "", _MIN_HEIGHT + _ROW_HEIGHT * (len(table) + _num(table)))
    if table.empty:
        return show_message(figure, "No choice took more than one value.")
    place, ticks, names = 0, [], []
    for parameter, groups in table.groupby("parameter", sort=False):
        places = list(range(place + 1, place + 1 + len(groups)))
        figure.add_scatter(**_intervals(groups, places))
        ticks += [place, *places]
        names += [f"<b>{shorten(parameter)}</b>"]
        names += [f"{shorten(group)}  (n {n})" for group, n in zip(groups["group"], groups["n"], strict=True)]
        place = places[-1] + 1
    figure.update_yaxes(tickvals=ticks, ticktext=names, range=[place - 0.4, -0.8], showgrid=False)
    figure.update_xaxes(range=_range(table))
    return figure.update_layout(showlegend=False, margin={"b": 56})


def importance(table: pd.DataFrame) -> go.Figure:
    """Draws importances as bars; `table` has the columns parameter and importance, most important first."""
    figure = new_figure("Importance of parameters", "share of total importance", "", _MIN_HEIGHT + 24 * len(table))
    if table.empty:
        return show_message(figure, "No parameter took more than one value.")
    figure.add_bar(
        x=[round(share, 4) for share in table["importance"]],
        y=shorten_names(list(table["parameter"])),
        orientation="h",
        marker={"color": BLUE},
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    return (
        figure.update_xaxes(tickformat=".0%")
        .update_yaxes(type="category", autorange="reversed")
        .update_layout(margin={"b": 56})
    )


def _num(table: pd.DataFrame) -> int:
    return len(distinct(table, "parameter"))


def _range(table: pd.DataFrame) -> list[float]:
    """Returns the range of the larger groups' intervals; that of a group of two would squeeze all others together."""
    means, is_sure = floats(table, "mean"), floats(table, "n") >= _FEW
    ends = [np.where(np.isfinite(floats(table, end)), floats(table, end), means) for end in ("low", "high")]
    (lows, highs), middles = ([end[is_sure] for end in ends], means[is_sure]) if is_sure.any() else (ends, means)
    low, high = min(np.quantile(lows, 0.1), *middles), max(np.quantile(highs, 0.9), *middles)
    margin = 0.05 * (high - low) or 0.05
    return [float(low - margin), float(high + margin)]


def _intervals(groups: pd.DataFrame, places: list) -> dict:
    means, lows, highs = (groups[name].tolist() for name in ("mean", "low", "high"))
    known = [math.isfinite(low) for low in lows]
    up = [high - value if is_known else None for high, value, is_known in zip(highs, means, known, strict=True)]
    down = [value - low if is_known else None for low, value, is_known in zip(lows, means, known, strict=True)]
    spans = [
        f"{low:.5g} to {high:.5g}" if ok else "one trial" for low, high, ok in zip(lows, highs, known, strict=True)
    ]
    return {
        "x": means,
        "y": places,
        "mode": "markers",
        "marker": {"color": BLUE, "size": 8, "symbol": ["circle" if ok else "circle-open" for ok in known]},
        "error_x": {"array": up, "arrayminus": down, "symmetric": False, "color": AXIS, "thickness": 2, "width": 4},
        "customdata": [
            [escape_text(group), n, span] for group, n, span in zip(groups["group"], groups["n"], spans, strict=True)
        ],
        "hovertemplate": "%{customdata[0]}: mean %{x:.5g}<br>95% interval %{customdata[2]}<br>n %{customdata[1]}"
        "<extra></extra>",
    }
