"""The tables of finished and running searches: what they hold, how they are written, read and drawn."""

from results.interrupts import take_interrupts

take_interrupts()  # before the imports that take long

from results.all_runs import load  # noqa: E402
from results.comparable import comparable  # noqa: E402
from results.conditions import CONDITIONS  # noqa: E402

__all__ = ["CONDITIONS", "comparable", "load"]
