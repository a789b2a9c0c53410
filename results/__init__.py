"""The tables of finished and running searches: what they hold, how they are written, read and drawn."""

from results.all_runs import load

__all__ = ["load"]
