"""The tables drawn: score by size, learning curves, and scores by choice. Each function takes frames and returns a
plotly figure; a table without anything to draw gives an empty figure that says so."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.schema import Status

# Okabe and Ito's palette, whose colours stay apart for colour-blind readers (Color Universal Design, 2008). The order
# is that of drawing: what completed lies on top.
COLOURS = {
    Status.FAILED_OOM: "#F0E442",
    Status.FAILED_NAN: "#CC79A7",
    Status.FAILED: "#D55E00",
    Status.PRUNED: "#999999",
    Status.STOPPED: "#E69F00",
    Status.RUNNING: "#56B4E9",
    Status.COMPLETE: "#0072B2",
}
_FRONT, _REFERENCE = "#009E73", "#000000"
_MAX_COLUMNS = 3


def score_by_params(leaderboard: pd.DataFrame, *, score_name: str = "validation score") -> go.Figure:
    """Score against parameters, a point a trial, with the Pareto front as a line and the references by name."""
    scored = leaderboard.dropna(subset=["score", "num_params"])
    figure = _figure("Score by size", "parameters (number of weights)", score_name)
    if scored.empty:
        return _say(figure, "No trial has a score yet.")
    front = _rows(scored, "pareto", [True]).sort_values(by="num_params")
    if len(front):
        # Steps: between two points of the front the smaller network is the best that fits.
        line = {"color": _FRONT, "width": 2, "shape": "hv"}
        x, y = _floats(front, "num_params"), _floats(front, "score")
        figure.add_scatter(x=x, y=y, mode="lines", line=line, name="Pareto front (completed)", hoverinfo="skip")
    references = scored.dropna(subset=["reference"])
    searched = scored.loc[scored["reference"].isna().to_numpy()]
    for status, trials in _by_status(searched):
        figure.add_scatter(name=status, marker={"color": COLOURS[status], "size": 8}, **_points(trials, score_name))
    if len(references):
        figure.add_scatter(
            name="reference (published network)",
            text=[str(name) for name in references["reference"]],
            textposition="top center",
            marker={"color": _REFERENCE, "size": 12, "symbol": "diamond-open", "line": {"width": 2}},
            **_points(references, score_name) | {"mode": "markers+text"},
        )
    sizes = _floats(scored, "num_params")
    if sizes.min() > 0 and sizes.max() / sizes.min() > 30:
        figure.update_xaxes(type="log", title="parameters (number of weights, logarithmic)")
    return _show_better_half(figure, scored, "Score by size")


def learning_curves(
    curves: pd.DataFrame, leaderboard: pd.DataFrame, *, score_name: str = "validation score"
) -> go.Figure:
    """Validation score by epoch, a line a trial, coloured by how the trial ended."""
    figure = _figure("Learning curves", "epoch", score_name)
    endings = leaderboard[["run", "trial", "status", "rank"]]
    reports = curves.dropna(subset=["epoch", "val_score"]).merge(endings, on=["run", "trial"])
    if reports.empty:
        return _say(figure, "No trial has reported yet.")
    for status, of_status in _by_status(reports):
        lines = [line for _, line in of_status.sort_values("step").groupby(["run", "trial"], sort=True)]
        # One trace for all trials of a status, with a gap between two: a trace each would be slow to draw.
        x, y, hover = _with_gaps(lines)
        figure.add_scatter(
            x=x,
            y=y,
            customdata=hover,
            mode="lines+markers",
            marker={"size": 4},
            line={"color": COLOURS[status], "width": 1.5},
            opacity=0.8,
            connectgaps=False,
            name=f"{status} ({len(lines)})",
            hovertemplate=f"%{{customdata}}<br>epoch %{{x:.4g}}<br>{score_name} %{{y:.5g}}<extra>{status}</extra>",
        )
    return _show_better_half(figure, leaderboard, "Learning curves")


def choices(
    leaderboard: pd.DataFrame, parameters: Sequence[str] | None = None, *, score_name: str = "validation score"
) -> go.Figure:
    """Distribution of scores for each choice of the given parameters, over completed and pruned trials.

    By default those parameters that are names or switches and took more than one value. A parameter may be given
    with or without `param_`. Raises ValueError on one that the leaderboard does not have.
    """
    title = "Scores by choice<br><sup>Descriptive, not causal: trials differ in other respects too. {}</sup>"
    note = "Completed and pruned trials, each with its last score."
    scored = _rows(leaderboard, "status", [Status.COMPLETE, Status.PRUNED]).dropna(subset=["score"])
    columns = _choice_columns(scored) if parameters is None else [_column(scored, name) for name in parameters]
    if scored.empty or not columns:
        figure = _figure(title.format(note), "choice", score_name)
        return _say(figure, "No trial has a score yet." if scored.empty else "No choice took more than one value.")
    num_columns = min(_MAX_COLUMNS, len(columns))
    num_rows = math.ceil(len(columns) / num_columns)
    names = [column.removeprefix("param_") for column in columns]
    figure = make_subplots(
        rows=num_rows, cols=num_columns, subplot_titles=names, shared_yaxes=True, vertical_spacing=0.35 / num_rows
    )
    for i, column in enumerate(columns):
        row, col = i // num_columns + 1, i % num_columns + 1
        for value, trials in scored.dropna(subset=[column]).groupby(column, observed=True):
            figure.add_trace(_box(f"{value}<br>n = {len(trials)}", trials, score_name), row=row, col=col)
        figure.update_yaxes(title=score_name if col == 1 else None, row=row, col=col)
    return figure.update_layout(
        template="plotly_white",
        title=title.format(note),
        showlegend=False,
        height=140 + 320 * num_rows,
        margin={"t": 120},
    )


def _figure(title: str, x_title: str, y_title: str) -> go.Figure:
    return go.Figure().update_layout(
        template="plotly_white", title=title, xaxis_title=x_title, yaxis_title=y_title, height=520
    )


def _show_better_half(figure: go.Figure, leaderboard: pd.DataFrame, title: str) -> go.Figure:
    """Begins at the median score: a few failed starts would press all that matters into one line."""
    ranked = leaderboard.dropna(subset=["rank", "score"])
    best = _floats(_rows(ranked, "rank", [1]), "score")
    if not len(best) or len(ranked) < 8:
        return figure
    scores = _floats(ranked, "score")
    middle = float(np.median(scores))
    end = float(best.max() if best.max() >= middle else best.min())
    if end == middle:
        return figure
    margin = 0.08 * abs(end - middle)
    low, high = min(middle, end) - margin, max(middle, end) + margin
    hidden = int(((scores < low) | (scores > high)).sum())
    note = f"<br><sup>The better half: {hidden} of {len(scores)} trials lie outside; double-click for all.</sup>"
    return figure.update_yaxes(range=[low, high]).update_layout(title=title + note)


def _say(figure: go.Figure, text: str) -> go.Figure:
    figure.update_xaxes(showticklabels=False).update_yaxes(showticklabels=False)
    return figure.add_annotation(
        text=text, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 16}
    )


def _by_status(trials: pd.DataFrame) -> Iterator[tuple[Status, pd.DataFrame]]:
    for status in COLOURS:
        of_status = _rows(trials, "status", [status])
        if len(of_status):
            yield status, of_status


def _points(trials: pd.DataFrame, score_name: str) -> dict:
    return {
        "x": _floats(trials, "num_params"),
        "y": _floats(trials, "score"),
        "mode": "markers",
        "customdata": _labels(trials),
        "hovertemplate": f"%{{customdata}}<br>%{{x:,d}} parameters<br>{score_name} %{{y:.5g}}<extra></extra>",
    }


def _labels(trials: pd.DataFrame) -> list[str]:
    """What a hover text says of each trial: its number, rank, status, epochs, and the name of a reference."""
    labels = []
    for trial in trials.to_dict("records"):
        parts = [f"trial {trial['trial']}"]
        parts += [f"rank {trial['rank']}"] if _known(trial["rank"]) else []
        parts += [str(trial["status"])]
        parts += [f"{trial['epochs']:.4g} epochs"] if _known(trial.get("epochs")) else []
        parts += [str(trial["reference"])] if _known(trial.get("reference")) else []
        labels.append(", ".join(parts))
    return labels


def _with_gaps(lines: Iterable[pd.DataFrame]) -> tuple[list, list, list]:
    x, y, hover = [], [], []
    for line in lines:
        x += [*_floats(line, "epoch").tolist(), None]
        y += [*_floats(line, "val_score").tolist(), None]
        hover += [*_labels(line.iloc[:1]) * len(line), None]
    return x[:-1], y[:-1], hover[:-1]


def _choice_columns(scored: pd.DataFrame) -> list[str]:
    params = [column for column in scored.columns if column.startswith("param_")]
    named = [c for c in params if pd.api.types.is_string_dtype(scored[c]) or pd.api.types.is_bool_dtype(scored[c])]
    return [column for column in named if len(scored[column].dropna().unique()) > 1]


def _column(leaderboard: pd.DataFrame, parameter: str) -> str:
    column = f"param_{parameter.removeprefix('param_')}"
    if column not in leaderboard.columns:
        there = ", ".join(c.removeprefix("param_") for c in leaderboard.columns if c.startswith("param_"))
        raise ValueError(f"no parameter {parameter!r} in the leaderboard; it has {there or 'none'}")
    return column


def _box(name: str, trials: pd.DataFrame, score_name: str) -> go.Box:
    return go.Box(
        name=name,
        y=_floats(trials, "score"),
        boxpoints="all",
        jitter=0.5,
        pointpos=0,
        customdata=_labels(trials),
        hovertemplate=f"%{{customdata}}<br>{score_name} %{{y:.5g}}<extra></extra>",
        marker={"color": COLOURS[Status.COMPLETE], "size": 5, "opacity": 0.6},
        line={"width": 1.5},
    )


def _floats(table: pd.DataFrame, column: str) -> np.ndarray:
    return table[column].to_numpy(dtype=float, na_value=np.nan)


def _rows(table: pd.DataFrame, column: str, values: Sequence) -> pd.DataFrame:
    return table.loc[table[column].isin(values).to_numpy(dtype=bool, na_value=False)]


def _known(value: Any) -> bool:
    return bool(pd.notna(value))
