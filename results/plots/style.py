"""How all figures look: colours, sizes, and what an empty one says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go

from results.analysis.columns import distinct, has_value, select_rows
from results.schema import Status

BLUE, GREEN, RED, BLACK = "#0072B2", "#009E73", "#D55E00", "#000000"
ORANGE, PINK, YELLOW, SKY, GREY = "#E69F00", "#CC79A7", "#F0E442", "#56B4E9", "#808890"
# Okabe and Ito's palette, whose colours stay apart for colour-blind readers (Color Universal Design, 2008). The order
# is that of drawing: what completed lies on top.
COLOURS = {
    Status.FAILED_OOM: YELLOW,
    Status.FAILED_NAN: PINK,
    Status.FAILED: RED,
    Status.PRUNED: GREY,
    Status.STOPPED: ORANGE,
    Status.RUNNING: SKY,
    Status.COMPLETE: BLUE,
}
SYMBOLS = {  # for those who print, and see no colours
    Status.FAILED_OOM: "triangle-down",
    Status.FAILED_NAN: "x",
    Status.FAILED: "cross",
    Status.PRUNED: "circle-open",
    Status.STOPPED: "square-open",
    Status.RUNNING: "triangle-up",
    Status.COMPLETE: "circle",
}
RUN_COLOURS = (BLUE, RED, GREEN, PINK, ORANGE, SKY, GREY, BLACK)

PAPER, TEXT, GRID, AXIS = "#ffffff", "#24292f", "#e6e9ed", "#8c959f"
DARK = {
    PAPER: "#161b22",
    TEXT: "#e6edf3",
    GRID: "#2a313a",
    AXIS: "#6e7681",
    BLACK: "#f6f8fa",
    BLUE: "#4493f8",
    GREEN: "#2dc08d",
    RED: "#ff7b4a",
    GREY: "#8b949e",
    SKY: "#b6e3ff",
}
"""What takes a colour's place on a dark page; colours that are not here read well on both."""

TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": TEXT, "size": 13, "family": "system-ui, -apple-system, 'Segoe UI', sans-serif"},
        "colorway": list(RUN_COLOURS),
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": AXIS, "font": {"color": TEXT}, "align": "left"},
        "xaxis": {"gridcolor": GRID, "linecolor": AXIS, "zerolinecolor": GRID, "automargin": True, "showline": True},
        "yaxis": {
            **{"gridcolor": GRID, "linecolor": AXIS, "zerolinecolor": GRID, "automargin": True},
            "ticklabelstandoff": 4,
        },
        # Below the plot, where it takes no width from it; a phone has none to spare
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "margin": {"l": 60, "r": 16, "t": 64, "b": 88},
    }
)


_MARKS = {"$": "&#36;", "%": "&#37;", "#": "&#35;"}


def escape_text(text: object) -> str:
    """Text as Plotly shows it to the letter, wherever it shows text: titles, names, ticks, hover texts, templates.

    Plotly takes < and & for HTML, $ for TeX, and %{ for a field of a template. The report swaps #rrggbb for a colour of
    its dark page. All of them are read as what they are where they are written as numbers.
    """
    return "".join(_MARKS.get(each, each) for each in escape(str(text), quote=False))


def shorten(text: object, most: int = 28) -> str:
    """Text as `plain`, cut in its middle to so many characters: a figure has no room to break a line."""
    told = str(text)
    left, right = (most - 1) // 2, most // 2
    return escape_text(told if len(told) <= most else f"{told[:left]}…{told[-right:]}")


def shorten_names(names: Sequence[object], most: int = 28) -> list[str]:
    """Each of several names as `shortened`; two that differ stay apart, by a number."""
    found: dict[str, str] = {}
    for name in map(str, names):
        told = shorten(name, most)
        if name not in found:
            found[name] = f"{told} ({len(found) + 1})" if told in found.values() else told
    return [found[str(name)] for name in names]


def new_figure(title: str, x_title: str, y_title: str, height: int = 480) -> go.Figure:
    """An empty figure; its titles are text, not markup."""
    return go.Figure().update_layout(
        template=TEMPLATE,
        title=escape_text(title),
        xaxis_title=shorten(x_title, 60),
        yaxis_title=shorten(y_title, 60),
        height=height,
    )


def show_message(figure: go.Figure, text: str) -> go.Figure:
    """The figure with nothing in it but this sentence."""
    figure.update_xaxes(showticklabels=False).update_yaxes(showticklabels=False)
    return figure.add_annotation(
        text=text, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 16}
    )


def by_status(trials: pd.DataFrame) -> Iterator[tuple[Status, pd.DataFrame]]:
    for status in COLOURS:
        of_status = select_rows(trials, "status", [status])
        if len(of_status):
            yield status, of_status


def hover_texts(trials: pd.DataFrame) -> list[str]:
    """What a hover text says of each trial: number, rank, status, epochs, a reference's name; as `plain` text."""
    several = len(distinct(trials, "run")) > 1
    told = []
    for trial in trials.to_dict("records"):
        parts = [f"trial {trial['trial']}" + (f" of {trial['run']}" if several else "")]
        parts += [f"rank {trial['rank']}"] if has_value(trial.get("rank")) else []
        parts += [str(trial["status"])]
        parts += [f"{trial['epochs']:.4g} epochs"] if has_value(trial.get("epochs")) else []
        parts += [str(trial["reference"])] if has_value(trial.get("reference")) else []
        told.append(escape_text(", ".join(parts)))
    return told
