"""Spaces by a function that makes its choices as it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from spaces.space import Value


class Choose(Protocol):
    """Makes a choice by name. A function of a user's task receives one."""

    def int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        """Returns a whole number from low to high."""
        ...

    def float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Returns a number from low to high."""
        ...

    def of(self, name: str, options: Sequence[Any]) -> Any:
        """Returns one of the options."""
        ...


class Given:
    """Repeats choices that were made before."""

    def __init__(self, params: Mapping[str, Value]) -> None:
        self.params = params

    def int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> Any:
        return self.params[name]

    def float(self, name: str, low: float, high: float, *, log: bool = False) -> Any:
        return self.params[name]

    def of(self, name: str, options: Sequence[Any]) -> Any:
        return self.params[name]
