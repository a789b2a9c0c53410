"""What a worker runs: PyTorch modules, the training loop, the loop as a Ray Trainable, and trained models as files.

It may import spaces and data, but neither search nor results. Only trainable.py imports Ray.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

HERE = str(Path(__file__).parents[1])
PACKAGES = ("data", "results", "search", "spaces", "trainables")


class FoundBeside:
    """Makes the five packages find each other even if sys.path first has other files with their names.

    The names are common, and a command puts the user's current folder first on sys.path. This finder is here because a
    worker imports `trainables` first; `search` imports it before anything else.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [HERE]) if name in PACKAGES else None


def _check_names_are_free() -> None:
    """Raises ImportError if one of the user's files has been imported under a package's name."""
    for name in PACKAGES:
        found = getattr(sys.modules.get(name), "__file__", HERE) or ""
        if not Path(found).is_relative_to(HERE):
            raise ImportError(f"{found} was imported as {name}, a name of Frugal's own packages: rename that file")


_check_names_are_free()
sys.meta_path.insert(0, FoundBeside)
