"""The page itself: sections, tables, figures and pictures as HTML, in one file that asks nothing of any network."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from results.style import DARK

# Whatever a page holds, no browser may fetch anything for it
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its heading, and its HTML."""

    anchor: str
    title: str
    html: str


@dataclass(frozen=True)
class Column:
    """A table's column: its heading, whether it holds numbers, what it means, and whether its heading sorts."""

    name: str
    is_number: bool = True
    meaning: str = ""
    sorts: bool = True


def page(title: str, head: str, sections: Sequence[Section]) -> str:
    """A whole document. `title` is text, `head` and the sections are HTML."""
    here = Path(__file__).parent
    links = "".join(f'<li><a href="#{_id(part.anchor)}">{escape(part.title)}</a></li>' for part in sections)
    body = "\n".join(
        f'<section id="{_id(part.anchor)}" aria-labelledby="{_id(part.anchor)}-title">'
        f'<h2 id="{_id(part.anchor)}-title">{escape(part.title)}</h2>\n{part.html}\n</section>'
        for part in sections
    )
    from plotly.offline import get_plotlyjs

    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{(here / "report.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<nav aria-label="Contents"><ol>{links}</ol></nav>
<main>
{head}
<noscript><p class="notice">Figures need JavaScript, which is off here; the tables do not.</p></noscript>
{body}
</main>
{_json_script("dark", DARK)}
<script>{get_plotlyjs()}</script>
<script>{(here / "report.js").read_text(encoding="utf-8")}</script>
</body>
</html>
"""


def figure(drawn: go.Figure, name: str, seen: str) -> str:
    """A figure with a sentence of what is to be seen in it, which is its text alternative too."""
    plain = go.Figure(drawn).update_layout(title=None, margin={"t": 16 if not _has_top_axis(drawn) else 48})
    content = plain.to_json()
    assert content is not None
    name = _id(name)
    height = drawn.layout.height or 480  # type: ignore[attr-defined]
    return (
        f'<figure class="chart"><div class="plot" role="img" aria-labelledby="{name}-seen" '
        f'data-figure="{name}-data" id="{name}" style="height:{height}px"></div>'
        f'<figcaption id="{name}-seen">{escape(seen)}</figcaption>'
        f'<script type="application/json" id="{name}-data">{_within_script(content)}</script></figure>'
    )


def table(columns: Sequence[Column], cells: Sequence[Sequence[Any]], caption: str, *, name: str = "") -> str:
    """A table of text, or of (text, number to sort by); None is empty. With a name its headings sort it."""
    heads = "".join(_head(column, is_sortable=bool(name)) for column in columns)
    lines = []
    for row in cells:
        ends = [_cell(value, column) for value, column in zip(row, columns, strict=True)]
        lines.append(f"<tr>{''.join(ends)}</tr>")
    kind = ' class="sortable"' if name else ""
    told = _id(f"{name or 'table-' + columns[0].name}-caption")
    # Not in a caption element: within a box that scrolls, that is as wide as the table
    return (
        f'<p class="quiet" id="{told}">{escape(caption)}</p>'
        f'<div class="box" role="region" tabindex="0" aria-labelledby="{told}"><table{kind} aria-labelledby="{told}">'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>{''.join(lines)}</tbody></table></div>"
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names with what is to be said of each, as text."""
    return (
        '<dl class="facts">'
        + "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in pairs)
        + "</dl>"
    )


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def missing(why: str, command: str = "") -> str:
    """A sentence in place of what is not there, and the command that brings it."""
    return f'<p class="missing">{escape(why)}{code(command)}</p>'


def code(command: str) -> str:
    return f'<code class="command">{escape(command)}</code>' if command else ""


def picture(image: np.ndarray, alt: str, width: int = 0) -> str:
    """A uint8 image [H, W] or [3, H, W] as PNG within the page; `width` in CSS pixels, by default as wide as fits."""
    from PIL import Image  # only pages with pictures

    pixels = image.transpose(1, 2, 0) if image.ndim == 3 and image.shape[0] == 3 else image.reshape(image.shape[-2:])
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    content = base64.b64encode(file.getvalue()).decode()
    height, wide = (int(side) for side in pixels.shape[:2])
    style = f' style="width:{width}px"' if width else ""
    size = f'width="{wide}" height="{height}"{style}'
    small = ' class="pixels"' if wide < 128 else ""
    return f'<img{small} src="data:image/png;base64,{content}" alt="{escape(alt)}" {size}>'


def json_data(name: str, value: Any) -> str:
    """Data that the page's script reads by its id."""
    return _json_script(name, value)


def _id(text: str) -> str:
    """An id for an element, of whatever a user may have called it: no blanks, and nothing that ends an attribute."""
    return "".join(each if each.isalnum() or each in "-_" else f".{ord(each):x}." for each in text)


def _json_script(name: str, value: Any) -> str:
    content = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f'<script type="application/json" id="{name}">{_within_script(content)}</script>'


def _within_script(content: str) -> str:
    """JSON that cannot end the script element that it stands in."""
    return content.replace("<", "\\u003c")


def _head(column: Column, *, is_sortable: bool) -> str:
    kind = ' class="number"' if column.is_number else ""
    meaning = f' title="{escape(column.meaning)}"' if column.meaning else ""
    if not is_sortable or not column.sorts:
        return f'<th scope="col"{kind}{meaning}>{escape(column.name)}</th>'
    return (
        f'<th scope="col" aria-sort="none"{kind}{meaning}><button type="button">{escape(column.name)}'
        '<span class="arrow" aria-hidden="true"></span></button></th>'
    )


def _cell(value: Any, column: Column) -> str:
    text, key = value if isinstance(value, tuple) else (value, None)
    kind = ' class="number"' if column.is_number else ""
    sort = f' data-v="{key}"' if key is not None else ""
    if isinstance(text, Html):
        return f"<td{kind}{sort}>{text.content}</td>"
    return f"<td{kind}{sort}>{'' if text is None else escape(str(text))}</td>"


@dataclass(frozen=True)
class Html:
    """HTML in a table's cell."""

    content: str


def _has_top_axis(drawn: go.Figure) -> bool:
    return drawn.layout.xaxis.side == "top"  # type: ignore[attr-defined]
