"""Finds modules that a task file imports and workers lack: those that lie beside the file and are not installed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from trainables import HERE, PACKAGES
from trainables.task_code import TaskCode, TaskFileError

ONLY_HERE = "data"
"""The function that no worker calls, so that it may import anything."""


def check_imports(code: TaskCode) -> None:
    """Raises TaskFileError for an import of a module that is beside the file or in the current folder."""
    try:
        tree = ast.parse(code.text)
    except (SyntaxError, ValueError):
        return  # executing the text reports it with its line
    for line, name in _imports(tree):
        if file := _file_beside(name, Path(code.path).parent):
            raise TaskFileError(
                f"{code.path}, line {line}: imports {name}, which is {file}, but workers have only the task file and "
                f"installed packages. Move its code into the task file, or install it as a package on every node"
            )


def _imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields the line and the module of each import, but of those within `data`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name.partition(".")[0]) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            names = [child.module] if child.module else [alias.name for alias in child.names]
            yield from ((child.lineno, name.partition(".")[0]) for name in names)
        elif not (isinstance(child, ast.FunctionDef) and isinstance(node, ast.Module) and child.name == ONLY_HERE):
            yield from _imports(child)


def _file_beside(name: str, folder: Path) -> Path | None:
    """Returns the file or the folder of a module that is in the task's or the current folder, if it is not installed.

    The first entry of sys.path is usually the current folder or a script's, which workers do not have.
    """
    if name in PACKAGES or name in sys.builtin_module_names or _is_installed(name):
        return None
    for each in (folder, Path.cwd()):
        for path in (each / f"{name}.py", each / name):
            if path.is_file() or (path.is_dir() and any(path.glob("*.py"))):
                return path
    return None


def _is_installed(name: str) -> bool:
    elsewhere = [entry for entry in sys.path[1:] if entry not in ("", HERE)]
    return any(_find(finder, name, elsewhere) for finder in sys.meta_path)


def _find(finder: object, name: str, elsewhere: list[str]) -> ModuleSpec | None:
    if finder is PathFinder:
        return PathFinder.find_spec(name, elsewhere)
    find_spec = getattr(finder, "find_spec", None)
    return find_spec(name, None) if find_spec else None
