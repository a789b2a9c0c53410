"""The tables of finished and running searches: what they hold, how they are written, read and drawn."""

from results.all_runs import load
from results.analysis.comparable import comparable
from results.conditions import CONDITIONS

__all__ = ["CONDITIONS", "comparable", "load"]
