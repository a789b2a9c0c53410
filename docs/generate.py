"""Writes the reference pages from the code while the site is built: command line, tables, Python.

MkDocs calls `on_files`. The pages exist only in the site, so they cannot disagree with the code.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from results import schema

COMMANDS = ("run", "confirm", "report", "ablate", "replay", "predict", "doctor", "check")
PUBLIC_MODULES = ("search", "data", "results", "results.plots", "results.analysis", "trainables.model")
KEY_LINE = re.compile(r"  (?P<key>\S+) +(?P<type>\S+) +(?P<meaning>.+) \[(?P<default>.*)\]")
COLUMN_LINE = re.compile(r'\("(?P<name>\w+)", .*?\),(?:  # (?P<comment>.*))?$')
SAFE = str.maketrans({"|": "&#124;", "<": "&lt;", "*": "\\*", "_": "\\_"})
"""Characters that a table of Markdown would read as its own."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those of the docs folder."""
    pages = {"command-line": command_line_page(), "tables": tables_page(), "python": python_page()}
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
        sections += [f"::: {_home(module.__name__, getattr(module, name))}.{name}" for name in names]
    return "\n\n".join(sections)


def _home(module: str, value: object) -> str:
    """Returns the module that defines a public value, or the one that exports it if the value has no module."""
    return getattr(value, "__module__", module)


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
