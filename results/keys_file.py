"""Reads the keys of a command line from a YAML file that a user has written."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from results.files import read_file
from results.values import CoreLoader

MAX_BYTES = 200_000
"""The maximum size of a file of keys. YAML's reader takes seconds for a megabyte."""


class _Loader(CoreLoader):
    """Refuses references, which can make billions of values of a few lines, and repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("references such as *NAME are not read; write the value itself")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [str(name.value) for name, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is there twice; keep one")
        return super().construct_mapping(node, deep)


def read_keys_file(path: str) -> Mapping[str, object]:
    """Returns the values of a file of keys, nested as in the file.

    Raises ValueError that names the file and what would be right.
    """
    content = read_file(Path(os.path.expanduser(path)), MAX_BYTES)
    if content is None:
        raise ValueError(f"config={path}: there is no such file")
    try:
        found = yaml.load(content, _Loader)
        if not isinstance(found, dict):
            raise ValueError("expected keys with values, one a line, such as num_trials: 16")
        return {str(name): value for name, value in found.items()}
    except RecursionError:
        raise ValueError(f"config={path}: its values are nested too deeply") from None
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"config={path}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if not isinstance(error, yaml.YAMLError):
        return str(error)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    return (
        f"{where}not YAML: {' '.join(problem.split())}; expected keys with values, one a line, such as num_trials: 16"
    )
