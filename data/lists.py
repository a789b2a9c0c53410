"""Lists in messages: the first few entries, and the number of the others."""

from collections.abc import Sequence

MAX_LINES = 20


def list_names(names: Sequence[str], max_names: int = 10) -> str:
    """Returns the first names, separated by commas, and how many more there are."""
    return ", ".join([*names[:max_names], *_more(names, max_names)])


def list_faults(summary: str, faults: Sequence[str], max_lines: int = MAX_LINES) -> str:
    """Returns the summary, then the first faults on indented lines, and how many more there are."""
    return "\n  ".join([summary, *faults[:max_lines], *_more(faults, max_lines)])


def _more(entries: Sequence[str], max_entries: int) -> list[str]:
    return [f"and {len(entries) - max_entries:,} more"] if len(entries) > max_entries else []
