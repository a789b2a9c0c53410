"""What every command shares: keys of a command line `key=value ...`, help, and a user's mistakes.

It stands here, since the report is a command too, and knows nothing above this package.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from difflib import get_close_matches
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from results.output import lasting_output
from results.wording import visible

Config = TypeVar("Config")

FAILED = 1
USER_ERROR = 2
SIGNALLED = 128


class StorageError(Exception):
    """A run's folder does not take what is written: no fault of a trial or its candidate, which stay as they are."""


@lasting_output()
def run_command(
    name: str,
    arguments: Sequence[str] | None,
    *,
    help_text: Callable[[], str],
    parse: Callable[[Sequence[str]], Config],
    work: Callable[[Config], int],
) -> int:
    """Parses the arguments, by default those of the process, and does the work, whose exit code it passes on.

    A ValueError is a user's mistake: one paragraph and exit code 2. A StorageError gives 1, and Ctrl-C 130.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if any(argument in ("-h", "--help", "help") for argument in arguments):
            print(help_text(), flush=True)
            return 0
        return work(parse(arguments))
    except ValueError as mistake:
        return _say(name, mistake, USER_ERROR)
    except StorageError as error:
        return _say(name, error, FAILED)
    except KeyboardInterrupt as stop:
        return _say(name, str(stop) or "stopped at once", SIGNALLED + signal.SIGINT)


def command_line(module: str, *arguments: str) -> str:
    """A line that runs a module of this package, as it can be typed here, with this Python."""
    found = shutil.which("python")
    if found and os.path.abspath(found) == sys.executable:  # not resolved: a virtual environment's is a link
        python = "python"
    else:
        inside = os.path.relpath(sys.executable)
        python = sys.executable if inside.startswith(os.pardir) else inside
    return shlex.join([python, "-m", module, *arguments])


def key(default: Any, meaning: str, shown: str | None = None) -> Any:
    """A command-line key: its default, what it means, and how the default is shown where None says too little."""
    metadata = {"meaning": meaning, "shown": shown}
    if isinstance(default, dict | list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def parse_into(schema: type[Config] | Config, arguments: Sequence[str], help_command: str) -> Config:
    """The fields of a dataclass from a command line `key=value ...`, over its defaults or an instance's values.

    Raises ValueError that names the key and what it takes.
    """
    entries = entries_of(schema)
    given = OmegaConf.create()
    try:
        for argument in arguments:
            name, equals, _ = argument.partition("=")
            if not equals:
                raise ValueError(f"{argument!r} is not key=value; {help_command} lists the keys")
            if name not in entries and not _is_named_freely(name, entries):
                near = _nearest(name, entries)
                raise ValueError(f"{name}: there is no such key{near}; {help_command} lists them all")
            _add(argument, given)
        merged = OmegaConf.merge(OmegaConf.structured(schema), given)
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except (OmegaConfBaseException, TypeError) as error:
        raise ValueError(explain(error, entries)) from None


def entries_of(schema: Any, prefix: str = "") -> dict[str, dataclasses.Field[Any]]:
    """The keys of a dataclass, or of an instance of it; those of a dataclass within it as OUTER.INNER."""
    entries = {}
    for entry in dataclasses.fields(schema):
        inner = entry.default_factory
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            entries |= entries_of(inner, f"{prefix}{entry.name}.")
        else:
            entries[prefix + entry.name] = entry
    return entries


def keys_help(schema: type[Any]) -> list[str]:
    """A line for each key: type, meaning and default."""
    lines = []
    for name, entry in entries_of(schema).items():
        default = entry.metadata["shown"] or _shown(attrgetter(name)(schema()))
        lines.append(f"  {name:<20} {_type_name(entry):<12} {entry.metadata['meaning']} [{default}]")
    return lines


def argument_of(name: str, text: str) -> str:
    """A key=value that is read back as this text: in quotes where YAML would take it for something else."""
    plain = f"{name}={text}"
    try:
        is_read_back = str(OmegaConf.from_cli([plain])[name]) == text
    except (YAMLError, OmegaConfBaseException):
        is_read_back = False
    return plain if is_read_back else f"{name}={json.dumps(text, ensure_ascii=False)}"


def explain(error: Exception, entries: Mapping[str, dataclasses.Field[Any]]) -> str:
    """What is wrong with which key. OmegaConf's first line names value and type; the key stands further down."""
    if type(error) is TypeError:  # OmegaConf's for a list in place of names and values; it does not say where
        names = [name for name, entry in entries.items() if _type_name(entry) == "name=value"]
        return f"{' or '.join(names)}: takes name=value, not a list"
    name = getattr(error, "full_key", None) or ""
    known = name if name in entries else name.split(".")[0]
    entry = entries.get(known)
    return f"{name}: {_reason(error)}; {known} takes a {_type_name(entry)}" if entry else _reason(error)


def _say(name: str, what: object, exit_code: int) -> int:
    print(visible(f"{name}: {what}"), file=sys.stderr)
    return exit_code


def _add(argument: str, given: DictConfig) -> None:
    """Adds a key=value, whose value is YAML. Raises ValueError if it is none."""
    try:
        given.merge_with_dotlist([argument])
    except (YAMLError, UnicodeError, RecursionError) as error:
        raise ValueError(
            f"{argument!r}: the value cannot be read: {_reason(error)}; text with such characters needs quotes of its "
            "own, within the shell's: key='\"text\"'"
        ) from None


def _is_named_freely(name: str, entries: Mapping[str, dataclasses.Field[Any]]) -> bool:
    """Whether it is a name within a key that takes any, as fix.optimizer."""
    entry = entries.get(name.split(".")[0])
    return entry is not None and _type_name(entry) in ("name=value", "values")


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _reason(error: Exception) -> str:
    """What is wrong, without where: the errors of YAML and of UTF-8 have several lines."""
    told = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return str(told).strip().partition("\n")[0].rstrip(".")


def _type_name(entry: dataclasses.Field[Any]) -> str:
    name = str(entry.type).removesuffix(" | None")
    return {
        "Sampler": "tpe|random",
        "ScaleName": "laptop|full",
        "Weights": "a choice",
        "Export": "none|onnx",
        "dict[str, Any]": "name=value",
        "Any": "values",
        "Names": "text|[a,b]",
        "list[str]": "[a,b]",
        "str": "text",
        "int": "number",
        "float": "decimal",
        "bool": "true|false",
    }.get(name, name)


def _shown(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value in (None, {}, []) else str(value)
