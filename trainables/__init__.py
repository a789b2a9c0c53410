"""What a trial does: PyTorch modules, the training loop, and the loop as a Ray Trainable."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

HERE = str(Path(__file__).parents[1])
PACKAGES = ("data", "results", "search", "spaces", "trainables")


class FoundBeside:
    """Has the five packages find each other, whatever files of such names stand first on sys.path.

    Their names are common ones, and a command puts the current folder first, which is the user's. This stands here
    since `trainables` is what a worker imports first; `search` imports it before all else.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [HERE]) if name in PACKAGES else None


def _check_none_was_taken() -> None:
    """Raises ImportError if a module of the user's has been imported by a package's name."""
    for name in PACKAGES:
        found = getattr(sys.modules.get(name), "__file__", HERE) or ""
        if not Path(found).is_relative_to(HERE):
            raise ImportError(f"{found} was imported as {name}, a name of Frugal's own packages: rename that file")


_check_none_was_taken()
sys.meta_path.insert(0, FoundBeside)
