"""Writes the reference pages from the code while the site is built: command line, layers, tables, Python.

MkDocs calls `on_files`. The pages exist only in the site, so they cannot disagree with the code.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from results import schema
from spaces import layers

COMMANDS = ("run", "confirm", "report", "ablate", "replay", "predict", "doctor", "check")
PUBLIC_MODULES = ("search", "data", "results", "results.plots", "results.analysis", "trainables.model")
KEY_LINE = re.compile(r"  (?P<key>\S+) +(?P<type>\S+) +(?P<meaning>.+) \[(?P<default>.*)\]")
COLUMN_LINE = re.compile(r'\("(?P<name>\w+)", .*?\),(?:  # (?P<comment>.*))?$')
SAFE = str.maketrans({"|": "&#124;", "<": "&lt;", "*": "\\*", "_": "\\_"})
"""Characters that a table of Markdown would read as its own."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those of the docs folder."""
    pages = {
        "command-line": command_line_page(),
        "layers": layers_page(),
        "tables": tables_page(),
        "python": python_page(),
    }
    for name, content in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


def command_line_page() -> str:
    """Returns the help of each command, with its keys as a table."""
    sections = [
        "# Command line",
        "Every command takes `key=value` arguments. `--help` prints the same text; this page is generated from it.",
    ]
    for command in COMMANDS:
        text = import_module(f"search.{command}").help_text()
        keys = [match for line in text.splitlines() if (match := KEY_LINE.fullmatch(line))]
        if not keys:
            raise ValueError(f"the help of search.{command} lists no keys in the form 'name type meaning [default]'")
        prose = "\n".join(line for line in text.splitlines() if not KEY_LINE.fullmatch(line))
        sections += [f"## search.{command}", f"```text\n{prose.strip()}\n```", _table(_key_rows(keys))]
    return "\n\n".join(sections)


def layers_page() -> str:
    """Returns the layers that a space may use: the arguments of each, and its docstring."""
    sections = [
        "# Layers",
        "A [space of your own](../guides/own-task.md#space) returns a list of layers. This page is generated from "
        "`spaces/layers.py`.",
        "```python\nfrom spaces.layers import Activation, Conv, Dense, GlobalPool, Join, Norm, Save\n\n"
        'block = [Save("in"), Conv(16, 3, bias=False), Norm(), Activation(), Conv(16, 3), Join("in")]  # a skip\n'
        "network = [Conv(16, 3), *block, GlobalPool(), Dense(10)]\n```",
        "A layer takes and returns an image (channels, height, width), a signal (channels, length) or features "
        "(number,); a grey image has one channel. Layers of images do the same to signals, along their length. Frugal "
        "puts a Standardize before your list, unless it begins with one or the goal is Restore, Denoise or "
        "Reconstruct, and a Rescale after it if the goal is Regress. "
        "Arguments after `*` must be named.",
    ]
    kinds = [kind for kind in layers.Layer.kinds.values() if kind.__module__ == layers.__name__]
    rows = [("layer", "meaning"), *((f"`{_call(kind)}`", _meaning(kind)) for kind in kinds)]
    return "\n\n".join([*sections, _table(rows)])


def tables_page() -> str:
    """Returns the columns of each table, their types, and the comments that stand beside them in the schema."""
    source = Path(schema.__file__).read_text(encoding="utf-8")
    sections = [
        "# Tables",
        "The columns of each table in a run's folder, generated from `results/schema.py`. A column may be null unless "
        "a run's own command needs it. The leaderboard also has a column `param_NAME` for each parameter of the space "
        "and `metric_NAME` for each further metric of the task; finalists and curves have the metrics too.",
    ]
    shared = _comments(source, "_CONDITIONS")
    for name, table in schema.SCHEMAS.items():
        comments = shared | _comments(source, name.upper())
        version = table.metadata[schema.VERSION_KEY].decode()
        rows = [("column", "type", "meaning")]
        rows += [(f"`{each.name}`", f"`{each.type}`", comments.get(each.name, "").translate(SAFE)) for each in table]
        sections += [f"## {name}", f"`{name}.parquet`, version `{version}`.", _table(rows)]
    endings = _comments(source, "Status", re.compile(r'(?P<name>[A-Z_]+) = "[A-Z_]+"(?:  # (?P<comment>.*))?$'))
    rows = [("status", "meaning"), *((f"`{name}`", text.translate(SAFE)) for name, text in endings.items())]
    sections += ["## Status", "How a trial ended, in the column `status`.", _table(rows)]
    return "\n\n".join(sections)


def python_page() -> str:
    """Returns the public names of each public module, for mkdocstrings to describe."""
    sections = ["# Python", "The functions for scripts and notebooks, generated from their docstrings."]
    for module in map(import_module, PUBLIC_MODULES):
        names = getattr(module, "__all__", ["load_model"] if module.__name__ == "trainables.model" else [])
        if names:
            sections.append(f"## {module.__name__}")
        sections += [_described(module.__name__, name, getattr(module, name)) for name in names]
    return "\n\n".join(sections)


def _call(kind: type[layers.Layer]) -> str:
    """Returns how a layer is written: its name, then its arguments with their defaults."""
    signature = inspect.signature(kind)
    arguments = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return f"{kind.__name__}{signature.replace(parameters=arguments, return_annotation=inspect.Signature.empty)}"


def _meaning(kind: type[layers.Layer]) -> str:
    """Returns a layer's docstring, then the values of each argument that takes one of a few texts."""
    assert dataclasses.is_dataclass(kind)
    types = get_type_hints(kind)
    choices = [
        f"`{field.name}` is {_or(get_args(types[field.name]))}."
        for field in dataclasses.fields(kind)
        if get_origin(types[field.name]) is Literal
    ]
    return " ".join([*(kind.__doc__ or "").translate(SAFE).split(), *choices])


def _or(texts: tuple[str, ...]) -> str:
    quoted = [f"`'{text}'`" for text in texts]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _described(module: str, name: str, value: object) -> str:
    """Returns what makes mkdocstrings describe a public value, by its public name, where it is defined."""
    home, own_name = getattr(value, "__module__", module), getattr(value, "__name__", name)
    heading = f"\n    options:\n      heading: {name}" if own_name != name else ""
    return f"::: {home}.{own_name}{heading}"


def _key_rows(keys: list[re.Match[str]]) -> Iterator[tuple[str, ...]]:
    yield "key", "value", "meaning", "default"
    for match in keys:
        key, kind, meaning, default = match.groups()
        yield f"`{key}`", f"<code>{kind.translate(SAFE)}</code>", meaning.translate(SAFE), default.translate(SAFE)


def _table(rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, f"|{'---|' * (head.count('|') - 1)}", *body])


def _comments(source: str, name: str, line_pattern: re.Pattern[str] = COLUMN_LINE) -> dict[str, str]:
    """Returns the comment of each column in the block of source that defines `name`: beside it, else above it."""
    block = re.search(rf"^(?:class )?{name}\b.*?^(?:\)|\]|\s*@)", source, re.MULTILINE | re.DOTALL)
    assert block, f"results/schema.py defines no {name}"
    found: dict[str, str] = {}
    above: list[str] = []
    for line in map(str.strip, block[0].splitlines()):
        if match := line_pattern.match(line):
            found[match["name"]] = match["comment"] or " ".join(above)
        above = [*above, line.removeprefix("# ")] if line.startswith("#") else []
    return found
