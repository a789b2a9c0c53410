"""Makes pages of sections, tables, figures and pictures: each is one HTML file that needs no network.

All HTML comes from the templates, which escape every value except `Markup`, a part that they made themselves. No other
module makes HTML.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from results.plots.style import DARK

_HERE = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}

_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
"""Plotly adds a style for maps unless an element has this id. Reports have no maps, and their policy forbids it."""


@dataclass(frozen=True)
class Section:
    """A section of the page: its anchor, which never contains text of a user, its heading, and its HTML."""

    anchor: str
    title: str
    html: Markup


@dataclass(frozen=True)
class Column:
    """A table's column: its heading, whether it has numbers, its meaning, and whether its heading sorts."""

    name: str
    is_number: bool = True
    meaning: str = ""
    sorts: bool = True


def page(title: str, head: Markup, sections: Sequence[Section]) -> str:
    """Makes a whole document."""
    from plotly.offline import get_plotlyjs

    scripts = [get_plotlyjs(), (_HERE / "report.js").read_text(encoding="utf-8")]
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    return _TEMPLATES.get_template("page.html").render(
        title=title,
        head=head,
        sections=sections,
        dark=DARK,
        policy=_policy(scripts, style),
        style=Markup(style),  # these files are Frugal's and Plotly's, and contain nothing of a run
        unneeded_styles=_STYLE_ID.findall(scripts[0]),
        scripts=[Markup(script) for script in scripts],
    )


def part(name: str, /, **values: Any) -> Markup:
    """Renders a macro of parts.html with these values, which are escaped unless they are parts."""
    return getattr(_TEMPLATES.get_template("parts.html").module, name)(**values)


def join_parts(parts: Iterable[Markup]) -> Markup:
    """Joins parts."""
    return Markup("").join(parts)


def figure(drawn: go.Figure, name: str, seen: str) -> Markup:
    """Makes a figure with a caption that says what it shows, which is also its text alternative."""
    plain = go.Figure(drawn).update_layout(title=None, margin={"t": 16 if not _has_top_axis(drawn) else 48})
    content = htmlsafe_json_dumps(plain, dumps=_json)  # escaped so that no text in it ends its script element
    return part("figure", name=name, seen=seen, height=int(drawn.layout.height or 480), drawn=content)  # type: ignore[attr-defined]


def table(
    columns: Sequence[Column], cells: Sequence[Sequence[Any]], caption: str, *, name: str, is_sortable: bool = False
) -> Markup:
    """Makes a table of texts, parts, or (text, number to sort by); None is empty. `name` must not be a user's text."""
    assert all(len(row) == len(columns) for row in cells)
    rows = [[value if isinstance(value, tuple) else (value, None) for value in row] for row in cells]
    return part("table", name=name, columns=columns, rows=rows, caption=caption, is_sortable=is_sortable)


def facts(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Makes a list of names with their values, as text."""
    return part("facts", pairs=pairs)


def paragraph(text: str, kind: str = "") -> Markup:
    """Makes a paragraph of text, with a CSS class."""
    return part("paragraph", text=text, kind=kind)


def missing(why: str, command: str = "") -> Markup:
    """Makes a sentence on what is missing, with the command that would make it."""
    return part("missing", why=why, command=command)


def heading(text: str) -> Markup:
    """Makes a heading within a section."""
    return part("heading", text=text)


def picture(image: np.ndarray, alt: str, width: int = 0) -> Markup:
    """Embeds a uint8 image [H, W] or [3, H, W] as PNG, `width` CSS pixels wide, by default as wide as fits."""
    from PIL import Image  # only pages with pictures

    pixels = image.transpose(1, 2, 0) if image.ndim == 3 and image.shape[0] == 3 else image.reshape(image.shape[-2:])
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    content = base64.b64encode(file.getvalue()).decode()
    height, wide = (int(side) for side in pixels.shape[:2])
    size = {"width": wide, "height": height, "shown_width": width, "is_small": wide < 128}
    return part("picture", png=content, alt=alt, **size)


def json_data(name: str, value: Any) -> Markup:
    """Embeds data that the page's script reads by its id."""
    return part("json_data", name=name, value=value)


def _json(drawn: go.Figure) -> str:
    content = drawn.to_json()
    assert content is not None
    return content


def _policy(scripts: Sequence[str], style: str) -> str:
    """Returns the page's content security policy: only its own scripts, styles and pictures, and no network.

    Plotly adds an empty style element, which it fills with rules, and sets style attributes.
    """
    return (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src-elem {_hash(style)} {_hash('')}; "
        "style-src-attr 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _has_top_axis(drawn: go.Figure) -> bool:
    return drawn.layout.xaxis.side == "top"  # type: ignore[attr-defined]
