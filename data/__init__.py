"""Datasets as arrays in fixed splits: of your own arrays, read from files, downloaded, or made as stand-ins.

A user's task file imports the names below, which are loaded at their first use, so that importing the package is quick.
`splits` has the types; each dataset has a file of its own beside the readers of its files, and `data.made` draws
stand-ins. Nothing here imports another package of the project, torch or Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.builtin import load
    from data.loaders import load_folder, load_npz, load_pairs
    from data.rows import load_rows
    from data.splits import DataError, Splits

__all__ = ["DataError", "Splits", "load", "load_folder", "load_npz", "load_pairs", "load_rows"]

_MODULES = {
    **dict.fromkeys(("load_folder", "load_npz", "load_pairs"), "data.loaders"),
    "load": "data.builtin",
    "load_rows": "data.rows",
    **dict.fromkeys(("DataError", "Splits"), "data.splits"),
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
