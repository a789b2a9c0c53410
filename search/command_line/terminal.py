"""The terminal, or a notebook in its place: all output of a command goes through here, with tables that fit.

No other module imports Rich, which would read square brackets in a path, a name or an error as markup.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO
from uuid import uuid4

import rich.table
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.text import Text

from results.wording import escape_controls

UNLIMITED = 10_000
"""The width of an output that is not a terminal: a file gets all columns."""
NOTEBOOK_WIDTH = 110
BAR_WIDTH = 60
WRAPPED_WIDTH = 18
"""The minimum width of a column that wraps, unless it needs less."""

Part = str | tuple[str, str]
"""A text, or a text and its style."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    goes: int | None = None
    """When it is dropped if there is too little room: the lowest first, of equal ones the last; None: never."""
    is_text: bool = False
    """Whether it is aligned left, as text is; numbers are aligned right."""
    wraps: bool = False
    """Whether it is wrapped at words before a column is dropped for it."""
    folds: bool = False
    """Whether it is a name, which continues on a further line if the remaining columns are too wide."""


@dataclass
class Table:
    """A table of text."""

    columns: Sequence[Column]
    title: str = ""
    header_style: str = "bold"
    rows: list[tuple[Sequence[str], str]] = field(default_factory=list)

    def add(self, *cells: str, style: str = "") -> None:
        assert len(cells) == len(self.columns)
        self.rows.append((cells, style))


class Terminal:
    """The output of a command: a terminal, a notebook, or a file or pipe.

    Characters of a text never style it. Lines of text are not wrapped, so that they can be copied whole. Whole columns
    of a table are dropped until it fits a terminal's width.
    """

    def __init__(self, file: TextIO | None = None, width: int | None = None) -> None:
        """Writes to `file`, by default standard output, in `width` characters, by default the terminal's."""
        stream = file or sys.stdout
        is_terminal = stream is not None and stream.isatty()
        self.is_live = is_terminal and _can_be_printed_over()
        """Whether printed lines can be printed over."""
        self.is_notebook = type(stream).__module__ == "ipykernel.iostream"
        # Rich would treat a file as a terminal if FORCE_COLOR or TTY_COMPATIBLE is set
        self._console = Console(
            file=file,
            width=width or (NOTEBOOK_WIDTH if self.is_notebook else _width(is_terminal, self.is_live)),
            markup=False,
            emoji=False,
            highlight=False,
            force_terminal=self.is_live,
            force_interactive=self.is_live,
            force_jupyter=False,
        )

    @property
    def width(self) -> int:
        return self._console.width

    @property
    def height(self) -> int:
        return self._console.height

    def say(self, *parts: Part, style: str = "") -> None:
        """Prints a text, which may have several lines. Its parts may have styles of their own."""
        styled = [(part, "") if isinstance(part, str) else part for part in parts]
        text = Text.assemble(*((escape_controls(part), own) for part, own in styled), style=style)
        self._console.print(text, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Prints a table, without the columns that there is no room for."""
        if table.title:
            self.say((table.title, "italic"))
        self._console.print(fitted(table, self.width))

    def view(self) -> View | NotebookView | None:
        """Returns the view that shows progress in place, or None if this output takes lines only."""
        if self.is_notebook:
            return NotebookView(self)
        return View(self) if self.is_live else None

    def show_cursor(self) -> None:
        """Shows the cursor that a live view hides, if the view cannot be stopped."""
        self._console.show_cursor()

    def joined(self, parts: Sequence[str]) -> str:
        """Joins the parts to one line, with a separator that the output can encode."""
        return self._separator.join(parts)

    def wrapped(self, parts: Sequence[str]) -> list[str]:
        """Joins the parts to lines that fit; a line ends between two parts."""
        lines = [parts[0]]
        for part in parts[1:]:
            longer = self.joined([lines[-1], part])
            lines = [*lines[:-1], longer] if cell_len(longer) <= self.width else [*lines, part]
        return lines

    @property
    def _separator(self) -> str:
        return " | " if self._console.options.ascii_only else " · "


class View:
    """The last lines of a live terminal, which are printed over when they change."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._live = Live(console=terminal._console, auto_refresh=False, transient=True)

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        """Removes it from the screen."""
        self._live.stop()

    def show(self, num_done: int, num_expected: int, parts: Sequence[str], table: Table) -> None:
        """Shows a bar, the parts in as many lines as they need, and as many rows of the table as there is room for."""
        lines = self.terminal.wrapped(parts)
        room = max(self.terminal.height - len(lines) - 4, 4)
        shown = Table(table.columns, header_style="dim", rows=table.rows[:room])
        self._live.update(_picture(num_done, num_expected, lines, shown, self.terminal.width), refresh=True)


class NotebookView:
    """One output of a notebook's cell, which is replaced when it changes. Its last state stays."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._id = uuid4().hex
        self._is_shown = False

    def start(self) -> None:
        """Nothing is shown before the first state."""

    def stop(self) -> None:
        """Leaves the last state."""

    def show(self, num_done: int, num_expected: int, parts: Sequence[str], table: Table) -> None:
        """Shows a bar, the parts, and the table."""
        from IPython.display import display

        console = Console(
            file=io.StringIO(),
            width=NOTEBOOK_WIDTH,
            record=True,
            color_system="truecolor",
            force_terminal=True,
            force_jupyter=False,
        )
        lines = self.terminal.wrapped(parts)
        shown = Table(table.columns, header_style="dim", rows=table.rows)
        console.print(_picture(num_done, num_expected, lines, shown, NOTEBOOK_WIDTH))
        data = {
            "text/plain": console.export_text(clear=False),
            "text/html": console.export_html(inline_styles=True, code_format="<pre>{code}</pre>"),
        }
        display(data, raw=True, display_id=self._id, update=self._is_shown)
        self._is_shown = True


def _picture(num_done: int, num_expected: int, lines: Sequence[str], table: Table, width: int) -> Group:
    """Puts a bar, lines and a table below each other."""
    bar = ProgressBar(total=num_expected, completed=num_done, width=min(BAR_WIDTH, width))
    text = Text(escape_controls("\n".join(lines)))
    # A bar alone has no line end
    return Group(Padding(bar, 0, expand=False), text, fitted(table, width))


def fitted(table: Table, width: int) -> rich.table.Table:
    """Returns Rich's table without the columns that there is no room for."""
    names = [_in_one_line(column.name) for column in table.columns]
    cells = [[_in_one_line(cell) for cell in row] for row, _ in table.rows]
    widths = [_least_width(c, [names[i], *(row[i] for row in cells)]) for i, c in enumerate(table.columns)]
    places, gap = _places(table.columns, widths, width)
    is_too_wide = _total(places, widths, gap) > width
    shown = rich.table.Table(box=None, padding=(0, gap // 2), header_style=table.header_style)
    for place in places:
        column = table.columns[place]
        can_fold = column.wraps or (column.folds and is_too_wide)
        justify = "left" if column.is_text else "right"
        shown.add_column(Text(names[place]), justify=justify, no_wrap=not can_fold, overflow="fold")
    for row, (_, style) in zip(cells, table.rows, strict=True):
        shown.add_row(*(Text(row[place]) for place in places), style=style)
    return shown


def _places(columns: Sequence[Column], widths: Sequence[int], width: int) -> tuple[list[int], int]:
    """Returns the columns that are shown, and the gap between them. Gaps shrink before columns are dropped."""
    places = list(range(len(columns)))
    if _total(places, widths, 4) <= width:
        return places, 4
    going = sorted((column.goes, -place) for place, column in enumerate(columns) if column.goes is not None)
    for place in (-place for _, place in going):
        if _total(places, widths, 2) <= width:
            break
        places.remove(place)
    return places, 2


def _total(places: Sequence[int], widths: Sequence[int], gap: int) -> int:
    return sum(widths[place] + gap for place in places)


def _in_one_line(text: str) -> str:
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def _least_width(column: Column, texts: Sequence[str]) -> int:
    widest = max(map(cell_len, texts))
    if not column.wraps:
        return widest
    return max(min(widest, WRAPPED_WIDTH), *(cell_len(word) for text in texts for word in text.split()))


def _can_be_printed_over() -> bool:
    """Whether the environment allows it; the first two variables are Rich's, for a terminal that takes lines only."""
    names = ("TTY_COMPATIBLE", "TTY_INTERACTIVE")
    return "0" not in map(os.environ.get, names) and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def _width(is_terminal: bool, is_live: bool) -> int | None:
    """Returns the width of the output; None for a terminal's own, which Rich then reads whenever it prints."""
    if not is_terminal:
        return UNLIMITED
    return None if is_live and "COLUMNS" not in os.environ else shutil.get_terminal_size().columns
