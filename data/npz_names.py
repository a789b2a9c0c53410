"""Finds the arrays of images and labels in an .npz file by their names."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from data.labelled import PART_OF, PARTS
from data.lists import list_names

WORDS = "|".join(PART_OF)
NAME = re.compile(
    rf"((?P<before>{WORDS})[_ .-]?)?"
    r"((?P<x>x|images?|imgs?|data)|(?P<y>y|labels?|targets?))"
    rf"([_ .-]?(?P<after>{WORDS}))?",
    re.IGNORECASE,
)


class Given(NamedTuple):
    """The names of one split's arrays, and the split: "" if the file has no splits."""

    part: str
    x: str | None
    y: str | None


class UnknownNames(Exception):
    """The names are not those of images and labels; the message says what was found."""


def given_splits(names: Sequence[str], needs_labels: bool) -> list[Given]:
    """Returns the splits that the arrays make up, in the order of PARTS. Raises UnknownNames for other arrays."""
    found: dict[tuple[str, str], str] = {}
    for name in names:
        match = NAME.fullmatch(name)
        if match is None or (match["before"] and match["after"]):
            raise UnknownNames(f"found {list_names(sorted(names))}")
        key = ("x" if match["x"] else "y", PART_OF.get((match["before"] or match["after"] or "").lower(), ""))
        if key in found:
            raise UnknownNames(f"found both {found[key]} and {name}, which mean the same; keep one")
        found[key] = name
    parts = [part for part in ("", *PARTS) if ("x", part) in found or ("y", part) in found]
    given = [Given(part, found.get(("x", part)), found.get(("y", part))) for part in parts]
    is_whole = all(part.x and (part.y or not needs_labels) for part in given) and ("" not in parts or len(parts) == 1)
    if not is_whole or not given or (needs_labels and parts[0] not in ("", "train")):
        raise UnknownNames(f"found {list_names(sorted(names))}")
    return given
