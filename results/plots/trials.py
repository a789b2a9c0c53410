"""Figures of a search's trials: scores by size, learning curves, rungs, slot time, and scores by choice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.analysis.columns import distinct, floats, select_rows
from results.analysis.comparable import check_comparable
from results.analysis.trials import find_direction, is_on_front
from results.plots.style import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    PAPER,
    RUN_COLOURS,
    SYMBOLS,
    TEMPLATE,
    by_status,
    escape_text,
    hover_texts,
    new_figure,
    shorten,
    show_message,
)
from results.schema import Status
from results.wording import count

_MAX_COLUMNS = 3
_MAX_TICKS = 20
_MANY_POINTS = 3000  # with more, curves have no markers, since a browser draws each as an element of its own


def score_by_params(leaderboard: pd.DataFrame, *, score_name: str = "validation score") -> go.Figure:
    """Draws score against parameters, a point for each trial, the Pareto front as a line, and references by name."""
    return _score_by(leaderboard, "num_params", ("Score by size", "parameters", "number of weights"), score_name)


def score_by_macs(leaderboard: pd.DataFrame, *, score_name: str = "validation score") -> go.Figure:
    """Draws score against multiply-accumulates for one example, with their own Pareto front, as `score_by_params`."""
    names = ("Score by computation", "MACs", "for one example")
    return _score_by(leaderboard, "num_macs", names, score_name)


def learning_curves(
    curves: pd.DataFrame, leaderboard: pd.DataFrame, *, score_name: str = "validation score"
) -> go.Figure:
    """Draws validation score by epoch, a line for each trial, coloured by how the trial ended."""
    check_comparable(leaderboard)
    figure = new_figure("Learning curves", "epoch", score_name)
    endings = leaderboard[["run", "trial", "status"]]
    reports = curves.dropna(subset=["epoch", "val_score"]).merge(endings, on=["run", "trial"])
    if reports.empty:
        return show_message(figure, "No trial has reported yet.")
    several = len(distinct(reports, "run")) > 1
    for status, of_status in by_status(reports):
        lines = [line for _, line in of_status.sort_values("step").groupby(["run", "trial"], sort=True)]
        # One trace for all trials of a status, with gaps between trials: a trace for each would be slow to draw
        x, y, trial = _with_gaps(lines, several)
        figure.add_scatter(
            x=x,
            y=y,
            customdata=trial,
            mode="lines" if len(reports) > _MANY_POINTS else "lines+markers",
            marker={"size": 4, "symbol": "circle"},
            line={"color": COLOURS[status], "width": 1 if len(reports) > _MANY_POINTS else 1.5},
            opacity=0.8,
            connectgaps=False,
            name=f"{status} ({len(lines)})",
            hovertemplate="trial %{customdata}<br>epoch %{x:.4g}<br>%{y:.5g}" + f"<extra>{status}</extra>",
        )
    if np.nanmax(floats(reports, "epoch")) <= _MAX_TICKS:
        figure.update_xaxes(dtick=1)
    return _show_better_half(figure, leaderboard, "Learning curves")


def rungs(counts: pd.DataFrame) -> go.Figure:
    """Draws how many trials reached each rung and were stopped there, from `analysis.rungs`."""
    figure = new_figure("Trials per rung", "trials", "", 140 + 48 * len(counts))
    *stops, end = [count(float(epochs), "epoch") for epochs in counts["epochs"]]
    names = [*stops, f"{end}, complete"]
    on, stopped = counts["reached"] - counts["stopped"], counts["stopped"]
    kinds = [("continued", on, BLUE), ("stopped there", stopped, GREY)]
    for name, values, colour in kinds:
        figure.add_bar(
            y=names,
            x=values.tolist(),
            name=name,
            orientation="h",
            marker={"color": colour},
            text=[value or "" for value in values],
            textposition="inside",
            insidetextanchor="middle",
            textfont={"color": PAPER if colour == BLUE else "#111111"},
            textangle=0,
            hovertemplate="%{y}: %{x} " + name + "<extra></extra>",
        )
    return figure.update_layout(barmode="stack").update_yaxes(autorange="reversed")


def slot_time(times: pd.DataFrame) -> go.Figure:
    """Draws slot minutes by how trials ended, from `analysis.slot_time`."""
    figure = new_figure("Where the time went", "slot minutes", "", 140 + 48 * max(1, len(times)))
    if times.empty:
        return show_message(figure, "No trial has ended yet.")
    names = [f"{row['status']} ({row['trials']})" for row in times.to_dict("records")]
    for part, colour in (("training", BLUE), ("rest", GREY)):
        figure.add_bar(
            y=names,
            x=(times[part] * 60).round(2).tolist(),
            name={"training": "training and validation", "rest": "starting, loading, waiting"}[part],
            orientation="h",
            marker={"color": colour},
            hovertemplate="%{y}: %{x:.3g} minutes of " + part + "<extra></extra>",
        )
    return figure.update_layout(barmode="stack").update_yaxes(autorange="reversed")


def compare(leaderboard: pd.DataFrame, *, score_name: str = "validation score") -> go.Figure:
    """Draws score against parameters of several runs' completed trials, a colour and a Pareto front for each run.

    Raises ValueError if their scores do not compare; `results.comparable` returns those that do.
    """
    check_comparable(leaderboard)
    figure = new_figure("Runs by size", "parameters (number of weights)", score_name)
    complete = select_rows(leaderboard, "status", [Status.COMPLETE]).dropna(subset=["score", "num_params"])
    if complete.empty:
        return show_message(figure, "No trial is complete yet.")
    for colour, (run, trials) in zip(_cycled(RUN_COLOURS), complete.groupby("run"), strict=False):
        front = select_rows(trials, "pareto", [True]).sort_values(by="num_params")
        line = {"color": colour, "width": 2, "shape": "hv"}
        x, y = floats(front, "num_params"), floats(front, "score")
        figure.add_scatter(
            x=x, y=y, mode="lines", line=line, legendgroup=escape_text(run), showlegend=False, hoverinfo="skip"
        )
        points = _points(trials, "num_params", "parameters", score_name)
        figure.add_scatter(
            name=shorten(run), legendgroup=escape_text(run), marker={"color": colour, "size": 8}, **points
        )
    return _spread(figure, complete, "num_params")


def choices(
    leaderboard: pd.DataFrame, parameters: Sequence[str] | None = None, *, score_name: str = "validation score"
) -> go.Figure:
    """Draws the distribution of scores for each choice of the given parameters, over completed and pruned trials.

    The default is every parameter of names or switches that took more than one value. A parameter may be given with or
    without `param_`. Raises ValueError for one that the leaderboard does not have.
    """
    check_comparable(leaderboard)
    title = "Scores by choice<br><sup>Descriptive, not causal: trials also differ in other choices. {}</sup>"
    note = "Completed and pruned trials, each with its last score."
    scored = select_rows(leaderboard, "status", [Status.COMPLETE, Status.PRUNED]).dropna(subset=["score"])
    columns = _choice_columns(scored) if parameters is None else [_column(scored, name) for name in parameters]
    if scored.empty or not columns:
        figure = new_figure("", "choice", score_name).update_layout(title=title.format(note))
        return show_message(
            figure, "No trial has a score yet." if scored.empty else "No choice took more than one value."
        )
    num_columns = min(_MAX_COLUMNS, len(columns))
    num_rows = math.ceil(len(columns) / num_columns)
    names = [escape_text(column.removeprefix("param_")) for column in columns]
    figure = make_subplots(
        rows=num_rows, cols=num_columns, subplot_titles=names, shared_yaxes=True, vertical_spacing=0.35 / num_rows
    )
    for i, column in enumerate(columns):
        row, col = i // num_columns + 1, i % num_columns + 1
        for value, trials in scored.dropna(subset=[column]).groupby(column, observed=True):
            figure.add_trace(_box(f"{escape_text(value)}<br>n = {len(trials)}", trials, score_name), row=row, col=col)
        figure.update_yaxes(title=escape_text(score_name) if col == 1 else None, row=row, col=col)
    return figure.update_layout(
        template=TEMPLATE,
        title=title.format(note),
        showlegend=False,
        height=140 + 320 * num_rows,
        margin={"t": 120},
    )


def _score_by(leaderboard: pd.DataFrame, column: str, names: tuple[str, str, str], score_name: str) -> go.Figure:
    check_comparable(leaderboard)
    title, short, meaning = names
    scored = leaderboard.dropna(subset=["score", column])
    figure = new_figure(title, f"{short} ({meaning})", score_name)
    if scored.empty:
        return show_message(figure, "No trial has a score yet.")
    front = scored.loc[is_on_front(scored, column, find_direction(leaderboard))].sort_values(by=column)
    if len(front):
        # In steps: between two points of the front, the smaller network is the best that fits
        line = {"color": GREEN, "width": 2, "shape": "hv"}
        x, y = floats(front, column), floats(front, "score")
        figure.add_scatter(x=x, y=y, mode="lines", line=line, name="Pareto front (completed)", hoverinfo="skip")
    references = scored.dropna(subset=["reference"])
    searched = scored.loc[scored["reference"].isna().to_numpy()]
    for status, trials in by_status(searched):
        marker = {"color": COLOURS[status], "size": 8, "symbol": SYMBOLS[status]}
        figure.add_scatter(name=status, marker=marker, **_points(trials, column, short, score_name))
    if len(references):
        figure.add_scatter(
            name="reference (published network)",
            text=[shorten(name) for name in references["reference"]],
            textposition="top center",
            marker={"color": BLACK, "size": 12, "symbol": "diamond-open", "line": {"width": 2}},
            **_points(references, column, short, score_name) | {"mode": "markers+text"},
        )
    return _show_better_half(_spread(figure, scored, column), scored, title)


def _spread(figure: go.Figure, scored: pd.DataFrame, column: str) -> go.Figure:
    """Makes the axis logarithmic if sizes differ by orders of magnitude."""
    sizes = floats(scored, column)
    if sizes.min() > 0 and sizes.max() / sizes.min() > 30:
        title = figure.layout.xaxis.title.text.replace(")", ", logarithmic)")  # type: ignore[attr-defined]
        figure.update_xaxes(type="log", title=title, dtick=1 if sizes.max() / sizes.min() > 1000 else "D2")
    return figure


def _show_better_half(figure: go.Figure, leaderboard: pd.DataFrame, title: str) -> go.Figure:
    """Starts the axis at the median score: a few failed trials would squeeze all others into one line."""
    ranked = leaderboard.dropna(subset=["rank", "score"])
    best = floats(select_rows(ranked, "rank", [1]), "score")
    if not len(best) or len(ranked) < 8:
        return figure
    scores = floats(ranked, "score")
    middle = float(np.median(scores))
    end = float(best.max() if best.max() >= middle else best.min())
    if end == middle:
        return figure
    margin = 0.08 * abs(end - middle)
    low, high = min(middle, end) - margin, max(middle, end) + margin
    hidden = int(((scores < low) | (scores > high)).sum())
    note = f"<br><sup>The better half: {hidden} of {len(scores)} trials are outside; double-click to see all.</sup>"
    return figure.update_yaxes(range=[low, high]).update_layout(title=title + note)


def _points(trials: pd.DataFrame, column: str, short: str, score_name: str) -> dict:
    return {
        "x": floats(trials, column),
        "y": floats(trials, "score"),
        "mode": "markers",
        "customdata": hover_texts(trials),
        "hovertemplate": f"%{{customdata}}<br>%{{x:,d}} {short}<br>{escape_text(score_name)} %{{y:.5g}}<extra></extra>",
    }


def _with_gaps(lines: Iterable[pd.DataFrame], several: bool) -> tuple[np.ndarray, np.ndarray, list]:
    """Returns x, y and trials with a NaN between lines; float32 takes half the space in a page."""
    x, y, trials = [], [], []
    for line in lines:
        first = line.iloc[0]
        x += [*floats(line, "epoch"), np.nan]
        y += [*floats(line, "val_score"), np.nan]
        trials += [escape_text(f"{first['trial']} of {first['run']}") if several else int(first["trial"])] * (
            len(line) + 1
        )
    return np.asarray(x[:-1], np.float32), np.asarray(y[:-1], np.float32), trials[:-1]


def _choice_columns(scored: pd.DataFrame) -> list[str]:
    params = [column for column in scored.columns if column.startswith("param_")]
    named = [c for c in params if pd.api.types.is_string_dtype(scored[c]) or pd.api.types.is_bool_dtype(scored[c])]
    return [column for column in named if len(scored[column].dropna().unique()) > 1]


def _column(leaderboard: pd.DataFrame, parameter: str) -> str:
    column = f"param_{parameter.removeprefix('param_')}"
    if column not in leaderboard.columns:
        names = ", ".join(c.removeprefix("param_") for c in leaderboard.columns if c.startswith("param_"))
        raise ValueError(f"no parameter {parameter!r} in the leaderboard; it has {names or 'none'}")
    return column


def _box(name: str, trials: pd.DataFrame, score_name: str) -> go.Box:
    return go.Box(
        name=name,
        y=floats(trials, "score"),
        boxpoints="all",
        jitter=0.5,
        pointpos=0,
        customdata=hover_texts(trials),
        hovertemplate=f"%{{customdata}}<br>{escape_text(score_name)} %{{y:.5g}}<extra></extra>",
        marker={"color": COLOURS[Status.COMPLETE], "size": 5, "opacity": 0.6},
        line={"width": 1.5},
    )


def _cycled(colours: Sequence[str]) -> Iterable[str]:
    while True:
        yield from colours
