"""The common look of all figures: colours, symbols, text, and the message of an empty figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go

from results.analysis.columns import distinct, has_value, select_rows
from results.schema import Status

BLUE, GREEN, RED, BLACK = "#0072B2", "#009E73", "#D55E00", "#000000"
ORANGE, PINK, YELLOW, SKY, GREY = "#E69F00", "#CC79A7", "#F0E442", "#56B4E9", "#808890"
# Okabe and Ito's palette, which colour-blind readers can distinguish (Color Universal Design, 2008). Statuses are drawn
# in this order, so that completed trials are on top.
COLOURS = {
    Status.FAILED_OOM: YELLOW,
    Status.FAILED_NAN: PINK,
    Status.FAILED: RED,
    Status.PRUNED: GREY,
    Status.STOPPED: ORANGE,
    Status.RUNNING: SKY,
    Status.COMPLETE: BLUE,
}
SYMBOLS = {  # for readers who cannot see the colours, or print without them
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
"""The replacement of each colour on a dark page; other colours suit both."""

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
        # Below the plot, so that the plot keeps its full width on a phone
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "margin": {"l": 60, "r": 16, "t": 64, "b": 88},
    }
)


_MARKS = {"$": "&#36;", "%": "&#37;", "#": "&#35;"}


def escape_text(text: object) -> str:
    """Escapes text so that Plotly shows it literally in titles, names, ticks, hover texts and templates.

    Plotly reads < and & as HTML, $ as TeX, and %{ as a field of a template; the report replaces #rrggbb by a colour of
    its dark page. Written as numeric character references, all of them are shown as they are.
    """
    return "".join(_MARKS.get(each, each) for each in escape(str(text), quote=False))


def shorten(text: object, most: int = 28) -> str:
    """Escapes text after cutting its middle to at most this many characters, since figures do not break lines."""
    whole = str(text)
    left, right = (most - 1) // 2, most // 2
    return escape_text(whole if len(whole) <= most else f"{whole[:left]}…{whole[-right:]}")


def shorten_names(names: Sequence[object], most: int = 28) -> list[str]:
    """Shortens each name; different names that become equal are numbered."""
    found: dict[str, str] = {}
    for name in map(str, names):
        short = shorten(name, most)
        if name not in found:
            found[name] = f"{short} ({len(found) + 1})" if short in found.values() else short
    return [found[str(name)] for name in names]


def new_figure(title: str, x_title: str, y_title: str, height: int = 480) -> go.Figure:
    """Makes an empty figure. Its titles are text, not markup."""
    return go.Figure().update_layout(
        template=TEMPLATE,
        title=escape_text(title),
        xaxis_title=shorten(x_title, 60),
        yaxis_title=shorten(y_title, 60),
        height=height,
    )


def show_message(figure: go.Figure, text: str) -> go.Figure:
    """Shows a sentence in an empty figure, and returns the figure."""
    figure.update_xaxes(showticklabels=False).update_yaxes(showticklabels=False)
    return figure.add_annotation(
        text=text, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 16}
    )


def by_status(trials: pd.DataFrame) -> Iterator[tuple[Status, pd.DataFrame]]:
    """Yields the trials of each status, in the order of drawing."""
    for status in COLOURS:
        of_status = select_rows(trials, "status", [status])
        if len(of_status):
            yield status, of_status


def hover_texts(trials: pd.DataFrame) -> list[str]:
    """Returns each trial's escaped hover text: number, rank, status, epochs, and the name of a reference."""
    several = len(distinct(trials, "run")) > 1
    texts = []
    for trial in trials.to_dict("records"):
        parts = [f"trial {trial['trial']}" + (f" of {trial['run']}" if several else "")]
        parts += [f"rank {trial['rank']}"] if has_value(trial.get("rank")) else []
        parts += [str(trial["status"])]
        parts += [f"{trial['epochs']:.4g} epochs"] if has_value(trial.get("epochs")) else []
        parts += [str(trial["reference"])] if has_value(trial.get("reference")) else []
        texts.append(escape_text(", ".join(parts)))
    return texts
