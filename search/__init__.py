"""Finds the best small network for a task: `python -m search.run` on the command line, `search.start` in Python.

The commands are modules of this package (run, confirm, ablate, replay, predict, doctor, report), and `api` is the way
in from Python; the folders hold what these are made of. Importing `search` is quick: it imports neither torch nor Ray.
"""

import sys
import warnings
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING

if "trainables" not in sys.modules:  # it makes the packages find each other, so it must be the one beside this one
    found = PathFinder.find_spec("trainables", [str(Path(__file__).parents[1])])
    assert found is not None
    assert found.loader is not None
    sys.modules["trainables"] = module_from_spec(found)
    found.loader.exec_module(sys.modules["trainables"])
    del found

from search.command_line.interrupts import take_interrupts

take_interrupts()  # before the imports that take long

if TYPE_CHECKING:
    from search.api import Best, Run, RunFailed, Task, open, start

__all__ = ["Best", "Run", "RunFailed", "Task", "open", "start"]


def __getattr__(name: str) -> object:
    """Imports the Python interface when it is first used: it needs pandas, which takes a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with warnings.catch_warnings():  # of tqdm, which Optuna imports, in a notebook without ipywidgets
        warnings.filterwarnings("ignore", message="IProgress not found")
        from search import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
