"""The keys of a command line `key=value ...`: fields of a dataclass, read, checked and listed for --help."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from operator import attrgetter
from typing import Any, Protocol, TypeVar, get_type_hints

import numpy as np

from results.keys_file import read_keys_file
from results.values import Kind, Range, check_free, echoed, free_value

Config = TypeVar("Config")

CONFIG_HELP = f"  {'config':<20} {'text':<12} a YAML file of keys; keys on the command line override it [none]"
"""The line of `--help` for the key `config`, which `parse_into` takes for every command."""


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
    default_text: str | None = None
    """How --help prints the default, where the value itself says too little."""
    range: Range = Range()
    choices: Mapping[str, Choice] | None = None
    """The only values that a key of text takes, if there are only some."""

    @property
    def type_text(self) -> str:
        """How --help names the values that it takes."""
        return self.kind.label if self.choices is None else "|".join(self.choices)

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
    default_text: str | None = None,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    choices: Mapping[str, Choice] | None = None,
) -> Any:
    """A dataclass field that is a command-line key, with its default and its line of --help.

    `default_text` is printed in place of the default. A number must be at least `least` or above `above`, and at most
    `most`. Text must be one of `choices`, if there are some.
    """
    metadata = {
        "meaning": meaning,
        "default_text": default_text,
        "range": Range(least, above, most),
        "choices": choices,
    }
    if isinstance(default, dict | list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def parse_into(schema: type[Config] | Config, arguments: Sequence[str], help_command: str) -> Config:
    """Returns a dataclass with the values of a command line `key=value ...`, over its defaults or an instance's values.

    `config=FILE` reads keys from a YAML file; what is typed wins over it. `results.values` defines what a value means.
    Raises ValueError that names the key and what it takes.
    """
    entries, found = entries_of(schema), _instance(schema)
    files = [each for each in arguments if each.startswith("config=") and "config" not in entries]
    for each in files:
        found = _with_file(found, each.removeprefix("config="), help_command)
    for argument in arguments:
        if argument not in files:
            found = _with_argument(found, argument, entries, help_command)
    check_ranges(found)
    return found


def values_into(schema: type[Config] | Config, values: Mapping[str, object], help_command: str) -> Config:
    """Returns a dataclass with plain values by name, over its defaults or an instance's values.

    Names within a key are dotted or nested: {"confirm.top_k": 1} or {"confirm": {"top_k": 1}}. `config` is a YAML file
    of further keys, as in `parse_into`. Raises ValueError that names the key and what it takes.
    """
    found, others = _instance(schema), dict(values)
    if "config" not in entries_of(schema) and (path := others.pop("config", None)) is not None:
        found = _with_file(found, str(path), help_command)
    return _with_values(found, others, help_command)


def _with_values(config: Config, values: Mapping[str, object], help_command: str) -> Config:
    entries, found = entries_of(config), config
    for name, given in _flat(values):
        value = given.item() if isinstance(given, np.generic) else given
        _check_utf8(name, str(value))
        outer, _, inner = name.partition(".")
        if name in entries:
            with _named(name, value):
                read = entries[name].kind.read_plain(value)
                entries[name].check(read)
            found = _with(found, name, read)
        elif outer in entries and entries[outer].kind.is_mapping and inner:
            check_free(name, value)
            found = _with_inner(found, outer, inner, value)
        elif any(known.startswith(f"{name}.") for known in entries):
            raise ValueError(f"{name}={echoed(value)}: expected names with values")
        else:
            raise _unknown(name, entries, help_command)
    return found


def read_fields(schema: type[Config], values: Mapping[str, Any]) -> Config:
    """Returns a dataclass with the values of a file that a run has written, ignoring names that it does not have.

    Raises ValueError that names the key and what it takes.
    """
    found = schema()
    for name, entry in entries_of(schema).items():
        outer, _, inner = name.rpartition(".")
        holder = values.get(outer) if outer else values
        if isinstance(holder, Mapping) and inner in holder:
            with _named(name, holder[inner]):
                entry.check_choice(holder[inner])
                found = _with(found, name, entry.kind.read_plain(holder[inner]))
        elif outer and holder is not None and not isinstance(holder, Mapping):
            raise ValueError(f"{outer}: expected names with values")
    return found


def check_ranges(config: Any) -> None:
    """Raises ValueError, with the key's name and its range, for a number outside its range."""
    for name, entry in entries_of(config).items():
        value = attrgetter(name)(config)
        with _named(name, value):
            entry.check(value)


def entries_of(schema: Any, prefix: str = "") -> dict[str, Entry]:
    """Returns the keys of a dataclass or an instance; those of a dataclass within it are named OUTER.INNER."""
    entries = {}
    hints = get_type_hints(schema if isinstance(schema, type) else type(schema))
    for each in dataclasses.fields(schema):
        if dataclasses.is_dataclass(inner := hints[each.name]):
            entries |= entries_of(inner, f"{prefix}{each.name}.")
        else:
            entries[prefix + each.name] = Entry(Kind.of(hints[each.name]), **each.metadata)
    return entries


def keys_help(schema: type[Any]) -> list[str]:
    """Returns a line for each key: name, type, meaning and default."""
    lines = []
    for name, entry in entries_of(schema).items():
        default = entry.default_text or _default_text(attrgetter(name)(schema()))
        lines.append(f"  {name:<20} {entry.type_text:<12} {entry.help} [{default}]")
    return lines


def check_name(name: str, text: str) -> None:
    """Raises ValueError, with the key's name, unless the text can be the name of a run's folder."""
    if os.path.basename(text) != text or text.startswith(".") or not text.isprintable() or not text:
        raise ValueError(
            f"{name}={text!r}: must be a plain name, without slashes, control characters or a leading dot; set its "
            "folder with runs_dir="
        )


def _instance(schema: type[Config] | Config) -> Config:
    return schema() if isinstance(schema, type) else schema  # pyright: ignore[reportReturnType]


def _with_file(config: Config, path: str, help_command: str) -> Config:
    values = read_keys_file(path)
    try:
        return _with_values(config, values, help_command)
    except ValueError as error:
        raise ValueError(f"config={path}: {error}") from None


def _with_argument(config: Config, argument: str, entries: Mapping[str, Entry], help_command: str) -> Config:
    name, equals, text = argument.partition("=")
    _check_utf8(name, text)
    if not equals:
        raise ValueError(f"{argument!r} is not key=value; {help_command} lists the keys")
    outer, _, inner = name.partition(".")
    if name in entries:
        with _named(name, text):
            return _with(config, name, entries[name].kind.read(text))
    if outer in entries and entries[outer].kind.is_mapping and inner:
        with _named(name, text):
            return _with_inner(config, outer, inner, free_value(text))
    raise _unknown(name, entries, help_command)


def _flat(values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yields names and values; those of a mapping within as OUTER.INNER."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            yield str(name), value


def _with(config: Config, name: str, value: Any) -> Config:
    """Returns the dataclass with another value of a key."""
    outer, _, inner = name.partition(".")
    if inner:
        value = _with(getattr(config, outer), inner, value)
    return dataclasses.replace(config, **{outer: value})  # pyright: ignore[reportArgumentType]


def _with_inner(config: Config, outer: str, name: str, value: Any) -> Config:
    """Returns the dataclass with another value of a name in a mapping, which replaces a value that is none."""
    now = getattr(config, outer)
    return _with(config, outer, {**(now if isinstance(now, dict) else {}), name: value})


def _unknown(name: str, known: Iterable[str], help_command: str) -> ValueError:
    return ValueError(f"{name}: there is no such key{_nearest(name, known)}; {help_command} lists them all")


def _nearest(name: str, known: Iterable[str]) -> str:
    """Returns a hint at the most similar known name, or an empty string if none is similar."""
    near = get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


@contextmanager
def _named(name: str, value: Any) -> Iterator[None]:
    """Puts the key's name and value in front of the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}={echoed(value)}: {error}") from None


def _check_utf8(name: str, text: str) -> None:
    try:
        f"{name}{text}".encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{ascii(name)[1:-1]}={text!a}: is not UTF-8, the encoding of all names here; rename the file or folder, "
            "or set your terminal to UTF-8"
        ) from None


def _default_text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value in (None, {}, []) else str(value)
