"""The driver: from the command line to a finished run."""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

if "trainables" not in sys.modules:  # which finds the other packages beside it; so it must itself be the one beside us
    found = PathFinder.find_spec("trainables", [str(Path(__file__).parents[1])])
    assert found is not None
    assert found.loader is not None
    sys.modules["trainables"] = module_from_spec(found)
    found.loader.exec_module(sys.modules["trainables"])
    del found

from search.command_line.interrupts import take_interrupts

take_interrupts()  # before the imports that take long
