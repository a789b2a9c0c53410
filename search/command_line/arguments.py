"""Python values as arguments of the command line, so that both have the same checks and the same messages."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from results.keys import entries_of
from results.shell import argument_of


def arguments_of(schema: type, keys: Mapping[str, object]) -> list[str]:
    """Writes values as `key=value`, by the fields of `schema`: {"fix": {"optimizer": "adam"}} as fix.optimizer=adam."""
    entries, arguments = entries_of(schema), []
    for name, value in keys.items():
        inner = value.items() if isinstance(value, Mapping) else None
        if inner is None:
            is_free = name in entries and entries[name].kind.type is Any
            arguments.append(argument_of(name, _text(value, is_free=is_free)))
        else:
            is_free = name in entries
            arguments += [argument_of(f"{name}.{each}", _text(one, is_free=is_free)) for each, one in inner]
    return arguments


def _text(value: object, *, is_free: bool, is_item: bool = False) -> str:
    """Writes a value as the command line reads it. Free text is quoted where it would be read as something else."""
    if isinstance(value, Enum):
        return _text(value.value, is_free=is_free, is_item=is_item)
    if isinstance(value, list | tuple):
        return f"[{','.join(_text(each, is_free=is_free, is_item=True) for each in value)}]"
    if value is None:
        return "null" if is_free else ""
    if isinstance(value, str | Path):
        return "'" + str(value).replace("'", "''") + "'" if is_free or is_item else str(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
