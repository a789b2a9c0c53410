"""The tables of finished and running searches: their schemas, how they are written and read, and reports of them.

It may import data and spaces, and neither torch nor Ray. `load`, `comparable` and `CONDITIONS` are public.
"""

from results.all_runs import load
from results.analysis.comparable import comparable
from results.conditions import CONDITIONS

__all__ = ["CONDITIONS", "comparable", "load"]
