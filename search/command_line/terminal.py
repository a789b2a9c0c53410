"""The terminal: all that the driver prints goes through here, as plain text, with tables that fit the screen.

No other module imports Rich, which would read square brackets in a path, a name or an error as markup.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

import rich.table
from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.text import Text

from results.wording import escape_controls

UNLIMITED = 10_000
"""The width of an output that is no terminal: nothing is dropped from a file."""
BAR_WIDTH = 60
WRAPPED_WIDTH = 18
"""The least room for a column that wraps, unless it needs less."""

Part = str | tuple[str, str]
"""Text, or text and its style."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    goes: int | None = None
    """Its turn to be dropped where there is too little room, the lowest first, then the last; None: it stays."""
    is_text: bool = False
    """Aligned left; numbers are aligned right."""
    wraps: bool = False
    """Whether it is wrapped at words before a column is dropped for it."""
    folds: bool = False
    """Whether it is a name, which goes on in a further line where what stays has too little room."""


@dataclass
class Table:
    """Rows of text under columns."""

    columns: Sequence[Column]
    title: str = ""
    header_style: str = "bold"
    rows: list[tuple[Sequence[str], str]] = field(default_factory=list)

    def add(self, *cells: str, style: str = "") -> None:
        assert len(cells) == len(self.columns)
        self.rows.append((cells, style))


class Terminal:
    """Where a command prints: a terminal, or a file or pipe in its place.

    Characters of a text never style it. Lines of text are as long as they are, so that what is copied from the
    terminal has no line ends of ours. Tables have whole columns dropped until they fit a terminal's width.
    """

    def __init__(self, file: TextIO | None = None, width: int | None = None) -> None:
        """`file` is standard output unless given; `width` takes the place of the terminal's."""
        stream = file or sys.stdout
        is_terminal = stream is not None and stream.isatty()
        self.is_live = is_terminal and _can_be_printed_over()
        """Whether what was printed can be printed over."""
        # Rich would treat a file as a terminal if FORCE_COLOR or TTY_COMPATIBLE is set
        self._console = Console(
            file=file,
            width=width or _width(is_terminal, self.is_live),
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
        """Prints a text, of parts that may have styles of their own. It may have several lines."""
        styled = [(part, "") if isinstance(part, str) else part for part in parts]
        text = Text.assemble(*((escape_controls(part), own) for part, own in styled), style=style)
        self._console.print(text, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Prints a table, as much of it as the terminal has room for."""
        if table.title:
            self.say((table.title, "italic"))
        self._console.print(fitted(table, self.width))

    def show_cursor(self) -> None:
        """Puts back the cursor that a live view hides, where the view can't be stopped."""
        self._console.show_cursor()

    def joined(self, parts: Sequence[str]) -> str:
        """The parts in one line, parted by a character that the output can take."""
        return self._separator.join(parts)

    def wrapped(self, parts: Sequence[str]) -> list[str]:
        """The parts in lines that fit; a line ends between two parts."""
        lines = [parts[0]]
        for part in parts[1:]:
            longer = self.joined([lines[-1], part])
            lines = [*lines[:-1], longer] if cell_len(longer) <= self.width else [*lines, part]
        return lines

    @property
    def _separator(self) -> str:
        return " | " if self._console.options.ascii_only else " · "


class View:
    """What stands below all else that a live terminal shows, and is printed over when it changes."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._live = Live(console=terminal._console, auto_refresh=False, transient=True)

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        """Takes it off the screen."""
        self._live.stop()

    def show(self, num_done: int, num_expected: int, parts: Sequence[str], table: Table) -> None:
        """A bar, the parts in as many lines as they need, and as many rows of the table as there is room for."""
        width = self.terminal.width
        bar = ProgressBar(total=num_expected, completed=num_done, width=min(BAR_WIDTH, width))
        lines = self.terminal.wrapped(parts)
        room = max(self.terminal.height - len(lines) - 4, 4)
        shown = Table(table.columns, header_style="dim", rows=table.rows[:room])
        text = Text(escape_controls("\n".join(lines)))
        # A bar alone has no line end
        self._live.update(Group(Padding(bar, 0, expand=False), text, fitted(shown, width)), refresh=True)


def fitted(table: Table, width: int) -> rich.table.Table:
    """The table without the columns that there is no room for."""
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
    """Which columns are shown, and the gap between them: narrow gaps come first, then columns go in their order."""
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
    """What the environment says of a terminal; the first two are Rich's words for one that only takes lines."""
    names = ("TTY_COMPATIBLE", "TTY_INTERACTIVE")
    return "0" not in map(os.environ.get, names) and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def _width(is_terminal: bool, is_live: bool) -> int | None:
    """None for the terminal's own at any time, which Rich asks for."""
    if not is_terminal:
        return UNLIMITED
    return None if is_live and "COLUMNS" not in os.environ else shutil.get_terminal_size().columns
