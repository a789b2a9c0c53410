"""Private names of the engines are used in one place each, and no version of an engine is installed untried."""

import ast
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PLACES = ("search/engines/", "trainables/engine.py")
ENGINES = ("ray", "optuna", "torch", "torchvision")
FILES = [path for top in ("search", "spaces", "trainables", "data", "results") for path in (ROOT / top).rglob("*.py")]
PUBLIC = {"_exit"}  # os._exit, which Python documents


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def defined(tree: ast.AST) -> Iterator[str]:
    """Yields the names that the code gives to functions, classes, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def used(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yields the private names that are read as attributes or imported, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        else:
            continue
        yield from ((name, node.lineno) for name in names if is_private(name))


def foreign(trees: dict[str, ast.AST]) -> list[str]:
    """Lists private names that none of these files defines, outside the files that wrap an engine."""
    own = {name for tree in trees.values() for name in defined(tree)} | PUBLIC
    return [
        f"{path}:{line}: {name}"
        for path, tree in trees.items()
        if not path.startswith(PLACES)
        for name, line in used(tree)
        if name not in own and name != "__future__"
    ]


def test_private_names_of_engines_are_used_in_one_place_each():
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in FILES}
    assert foreign(trees) == []


@pytest.mark.parametrize(
    "line",
    ["from ray._private import worker", "import torch._dynamo", "study._study_id", "self._rng.rng", "f(x)._backend"],
)
def test_a_private_name_elsewhere_would_be_found(line):
    assert len(foreign({"search/new.py": ast.parse(line)})) == 1
    assert foreign({"search/engines/new.py": ast.parse(line)}) == []


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_bounded_by_the_next_version_that_was_not_tried(name):
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [engine] = [found for found in map(Requirement, lines) if found.name == name]
    tried = Version(version(name))
    assert engine.specifier.contains(tried)
    assert not engine.specifier.contains(f"{tried.major}.{tried.minor + 1}")
