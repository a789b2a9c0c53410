"""Spaces: lists of typed parameters, some of them conditional, from which candidates are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from spaces.recipe import Candidate

Value = bool | int | float | str
Params = dict[str, Value]


class Suggest(Protocol):
    """A function that chooses a value for a parameter, such as a sampler's."""

    def __call__(self, name: str, distribution: BaseDistribution) -> Any: ...


@dataclass(frozen=True)
class Parameter:
    """A named choice. If `when` is given, a candidate has it only if `when` is true of the choices before it."""

    name: str
    distribution: BaseDistribution
    when: Callable[[Params], bool] | None = None

    def applies(self, params: Params) -> bool:
        return self.when is None or self.when(params)


@dataclass(frozen=True)
class Space:
    """Parameters in the order in which they are drawn, and `build`, which turns a draw into a Candidate.

    `build` may raise InvalidNetwork for a draw whose image shrinks to nothing.
    """

    parameters: tuple[Parameter, ...]
    build: Callable[[Params], Candidate]
    allowed: Callable[[Params, Candidate], bool | str] | None = None
    """A constraint of the user's: whether a draw and its candidate may be trained, or the reason why not."""

    def draw(self, suggest: Suggest) -> Params:
        """Returns a value for each parameter that applies."""
        return draw(self.parameters, suggest)

    def distributions(self, params: Params) -> dict[str, BaseDistribution]:
        """Returns the distribution of each parameter in a draw."""
        return {p.name: p.distribution for p in self.parameters if p.name in params}

    def pinned(self, values: Mapping[str, Any]) -> Space:
        """Returns the same space with some parameters pinned to one value; None leaves a parameter unchanged.

        Raises ValueError for an unknown parameter or a value outside the space.
        """
        self._distributions_of(values, "fix.")
        values = {name: value for name, value in values.items() if value is not None}
        self.check(values, "fix.")
        pinned = tuple(_pin(p, values[p.name]) if p.name in values else p for p in self.parameters)
        return replace(self, parameters=pinned)

    def check_drawn(self, params: Params) -> None:
        """Raises ValueError unless these are a complete draw: a value for each parameter that applies and no other."""
        self.check(params)

        def take(name: str, distribution: BaseDistribution) -> Any:
            if name not in params:
                raise ValueError(f"{name} is missing")
            return params[name]

        if surplus := params.keys() - self.draw(take).keys():
            raise ValueError(
                f"{', '.join(sorted(surplus))}: not a parameter that applies with these values of the others"
            )

    def check(self, values: Mapping[str, Any], prefix: str = "") -> None:
        """Raises ValueError for a value outside the space or an unknown name. Messages start with `prefix`."""
        for name, distribution in self._distributions_of(values, prefix).items():
            if not _contains(distribution, values[name]):
                value = values[name]
                raise ValueError(f"{prefix}{name}={value}: outside the space, which has {describe(distribution)}")

    def _distributions_of(self, names: Iterable[str], prefix: str) -> dict[str, BaseDistribution]:
        """Returns the distributions of these parameters. Raises ValueError for an unknown name."""
        known = {parameter.name: parameter.distribution for parameter in self.parameters}
        for name in names:
            if name not in known:
                raise ValueError(f"{prefix}{name}: the space has no parameter {name!r}; it has {', '.join(known)}")
        return {name: known[name] for name in names}


def draw(parameters: Iterable[Parameter], suggest: Suggest) -> Params:
    """Returns a value for each parameter that applies, in order."""
    params: Params = {}
    for parameter in parameters:
        if parameter.applies(params):
            params[parameter.name] = suggest(parameter.name, parameter.distribution)
    return params


def describe(distribution: BaseDistribution) -> str:
    """Returns a distribution as text: '4 to 12', '0.0001 to 0.03 (log)' or 'max, average, strided'."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return ", ".join(str(choice) for choice in choices)
        case IntDistribution(low=low, high=high, log=log) | FloatDistribution(low=low, high=high, log=log):
            return f"{low:g}" if low == high else f"{low:g} to {high:g}" + (" (log)" if log else "")
    raise TypeError(f"unknown distribution {distribution!r}")


def _pin(parameter: Parameter, value: Any) -> Parameter:
    distribution = parameter.distribution
    match distribution:
        case IntDistribution():
            return replace(parameter, distribution=IntDistribution(int(value), int(value)))
        case FloatDistribution():
            return replace(parameter, distribution=FloatDistribution(float(value), float(value)))
    return replace(parameter, distribution=CategoricalDistribution([value]))


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return _holds(distribution, value)
    except (TypeError, ValueError, OverflowError):  # the last for infinity
        return False


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return any(value == choice and type(value) is type(choice) for choice in choices)
        case IntDistribution(low=low, high=high, step=step):
            return (
                not isinstance(value, bool)
                and value == int(value)
                and low <= value <= high
                and not (value - low) % step
            )
        case FloatDistribution(low=low, high=high):
            return not isinstance(value, bool) and math.isfinite(value) and low <= value <= high
    return False
