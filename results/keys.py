"""The keys of a command line `key=value ...`: fields of a dataclass, read, checked, and listed for --help."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from operator import attrgetter
from typing import Any, Protocol, TypeVar, cast, get_type_hints

from results.values import Kind, Range, echoed, free_value

Config = TypeVar("Config")


class Choice(Protocol):
    """A value that a key takes by its name, as a registry holds it."""

    @property
    def help(self) -> str:
        """What --help says about it."""
        ...


@dataclass(frozen=True)
class Entry:
    """A key of a command line."""

    kind: Kind
    meaning: str = ""
    shown: str | None = None
    """How its default is shown."""
    range: Range = Range()
    choices: Mapping[str, Choice] | None = None
    """The only values that a key of text takes, if there are only some."""

    @property
    def type_text(self) -> str:
        """How --help names the values that it takes."""
        return self.kind.shown if self.choices is None else "|".join(self.choices)

    @property
    def help(self) -> str:
        """Its meaning, with a few words about each choice."""
        if self.choices is None:
            return self.meaning
        return f"{self.meaning}: " + ", ".join(f"{name} ({choice.help})" for name, choice in self.choices.items())

    def check(self, value: object) -> None:
        """Raises ValueError with the range for a number outside it, and with the choices for a value that is none."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.range.check(value)
        self.check_choice(value)

    def check_choice(self, value: object) -> None:
        """Raises ValueError with the choices, if there are some, for a value that is none of them."""
        if self.choices is not None and str(value) not in self.choices:
            near = _nearest(str(value), self.choices)
            raise ValueError(f"expected one of [{', '.join(self.choices)}]{near}")


def key(
    default: Any,
    meaning: str,
    shown: str | None = None,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    choices: Mapping[str, Choice] | None = None,
) -> Any:
    """A command-line key: its default, what it means, how the default is shown where None says too little, its range.

    A number lies from `least` on, or above `above`, and is at most `most`. Text is one of `choices`, if there are some.
    """
    metadata = {"meaning": meaning, "shown": shown, "range": Range(least, above, most), "choices": choices}
    if isinstance(default, dict | list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def parse_into(schema: type[Config] | Config, arguments: Sequence[str], help_command: str) -> Config:
    """The fields of a dataclass from a command line `key=value ...`, over its defaults or an instance's values.

    `results.values` says what a value means. Raises ValueError that names the key and what it takes.
    """
    entries = entries_of(schema)
    found = cast("Config", schema() if isinstance(schema, type) else copy.deepcopy(schema))
    for argument in arguments:
        name, equals, text = argument.partition("=")
        _check_utf8(name, text)
        if not equals:
            raise ValueError(f"{argument!r} is not key=value; {help_command} lists the keys")
        outer = name.split(".")[0]
        if name in entries:
            with _named(name, text):
                _set(found, name, entries[name].kind.read(text))
        elif outer in entries and entries[outer].kind.is_mapping and name != f"{outer}.":
            with _named(name, text):
                _set_within(found, outer, name.removeprefix(f"{outer}."), free_value(text))
        else:
            raise ValueError(f"{name}: there is no such key{_nearest(name, entries)}; {help_command} lists them all")
    check_ranges(found)
    return found


def read_fields(schema: type[Config], values: Mapping[str, Any]) -> Config:
    """A dataclass from the values that a file of ours holds, by name; what is missing has its default.

    Raises ValueError that names the key and what it takes.
    """
    found = schema()
    for name, entry in entries_of(schema).items():
        outer, _, inner = name.rpartition(".")
        place = values.get(outer) if outer else values
        if isinstance(place, Mapping) and inner in place:
            with _named(name, place[inner]):
                entry.check_choice(place[inner])
                _set(found, name, entry.kind.read_plain(place[inner]))
        elif outer and place is not None and not isinstance(place, Mapping):
            raise ValueError(f"{outer}: expected names with values")
    return found


def check_ranges(config: Any) -> None:
    """Raises ValueError, with the key's name and its range, for a number that lies outside."""
    for name, entry in entries_of(config).items():
        value = attrgetter(name)(config)
        with _named(name, value):
            entry.check(value)


def entries_of(schema: Any, prefix: str = "") -> dict[str, Entry]:
    """The keys of a dataclass, or of an instance of it; those of a dataclass within it as OUTER.INNER."""
    entries = {}
    hints = get_type_hints(schema if isinstance(schema, type) else type(schema))
    for each in dataclasses.fields(schema):
        if dataclasses.is_dataclass(inner := hints[each.name]):
            entries |= entries_of(inner, f"{prefix}{each.name}.")
        else:
            entries[prefix + each.name] = Entry(Kind.of(hints[each.name]), **each.metadata)
    return entries


def keys_help(schema: type[Any]) -> list[str]:
    """A line for each key: type, meaning and default."""
    lines = []
    for name, entry in entries_of(schema).items():
        default = entry.shown or _shown(attrgetter(name)(schema()))
        lines.append(f"  {name:<20} {entry.type_text:<12} {entry.help} [{default}]")
    return lines


def check_name(name: str, text: str) -> None:
    """Raises ValueError, with the key's name, unless the text is what a folder of a run can be called."""
    if os.path.basename(text) != text or text.startswith(".") or not text.isprintable() or not text:
        raise ValueError(
            f"{name}={text!r}: must be a plain name, without slashes, control characters or a dot in front; runs_dir= "
            "says where it lies"
        )


@contextmanager
def _named(name: str, value: Any) -> Iterator[None]:
    """Puts the key's name and its value in front of what a ValueError says."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}={echoed(value)}: {error}") from None


def _set(config: Any, name: str, value: Any) -> None:
    outer, _, inner = name.rpartition(".")
    setattr(attrgetter(outer)(config) if outer else config, inner, value)


def _set_within(config: Any, outer: str, name: str, value: Any) -> None:
    """Sets a name of a mapping; a value without names, which it may have been, gives way."""
    now = getattr(config, outer)
    setattr(config, outer, {**(now if isinstance(now, dict) else {}), name: value})


def _check_utf8(name: str, text: str) -> None:
    try:
        f"{name}{text}".encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{ascii(name)[1:-1]}={text!a}: is not UTF-8, in which all names are kept here; rename what it names, "
            "or set your terminal to UTF-8"
        ) from None


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _shown(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value in (None, {}, []) else str(value)
