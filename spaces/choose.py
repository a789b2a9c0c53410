"""Spaces that are functions: each choice is made where the function needs it, and a plain `if` makes it conditional."""

from __future__ import annotations

import builtins
import math
import operator
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from spaces.layers import InvalidNetwork
from spaces.recipe import Candidate
from spaces.space import Parameter, Params, Space, Suggest, Value, describe

Option = TypeVar("Option", bound=Value)

MAX_CALLS = 300
"""The maximum number of calls of a function that find out which choices it makes."""
RANDOM_CALLS = 40
"""How many of these calls make all of their choices at random, after the extremes of each choice were tried."""


class Choose:
    """Makes choices by name, each name at most once. All methods raise ValueError for a mistake in their arguments.

    A space is a function that receives one:

        def space(choose):
            layers = [Conv(choose.int("width", 4, 32, log=True), 3), Activation()]
            if choose.of("pooled", [True, False]):
                layers.append(Pool(choose.of("pooling", ["max", "average"])))
            return [*layers, GlobalPool(), Dense(10)]

    A name has letters, digits and underscores. It always has the same range or options.
    """

    def __init__(self, suggest: Suggest) -> None:
        self._suggest = suggest
        self.made: Params = {}
        """The choices made so far, in order."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"there is no choose.{name}; there are choose.int, choose.float and choose.of")

    def int(
        self, name: str, low: builtins.int, high: builtins.int, *, log: bool = False, step: builtins.int = 1
    ) -> builtins.int:
        """Returns a whole number from low to high, both included. With `log`, its logarithm is uniform."""
        call = f"choose.int({name!r}, {low!r}, {high!r})"
        low, high, step = (_whole(value, call) for value in (low, high, step))
        _check_range(low, high, log, call)
        if step < 1 or (log and step > 1):
            raise ValueError(f"{call}: the step must be at least 1, and 1 with log=True, but is {step}")
        high -= (high - low) % step
        return builtins.int(self.suggest(name, IntDistribution(low, high, log=log, step=step)))

    def float(self, name: str, low: builtins.float, high: builtins.float, *, log: bool = False) -> builtins.float:
        """Returns a number from low to high. With `log`, its logarithm is uniform."""
        call = f"choose.float({name!r}, {low!r}, {high!r})"
        low, high = (_number(value, call) for value in (low, high))
        _check_range(low, high, log, call)
        return builtins.float(self.suggest(name, FloatDistribution(low, high, log=log)))

    def of(self, name: str, options: Sequence[Option]) -> Option:
        """Returns one of the options, which are all bool, all int, all float or all str."""
        _check_options(options, f"choose.of({name!r}, {options!r})")
        return self.suggest(name, CategoricalDistribution(options))

    def suggest(self, name: str, distribution: BaseDistribution) -> Any:
        """Returns a value of a distribution of Optuna: what the methods above choose from."""
        _check_name(name)
        if name in self.made:
            raise ValueError(
                f"{name!r} is chosen twice; give each choice a name of its own, such as {name + '_2'!r}, "
                "or keep the first one's value in a variable"
            )
        self.made[name] = self._suggest(name, distribution)
        return self.made[name]


class Given(Choose):
    """Repeats choices that were made before. Raises ValueError for a choice that is not among them."""

    def __init__(self, params: Mapping[str, Value]) -> None:
        def find(name: str, distribution: BaseDistribution) -> Value:
            if name not in params:
                raise ValueError(f"{name} is missing")
            return params[name]

        super().__init__(find)


@dataclass(frozen=True, kw_only=True)
class ChosenSpace(Space):
    """A space whose candidates a function makes. Its `parameters` are the choices that the function was found to make.

    A draw calls the function once, and keeps the candidate for `build`.
    """

    maker: _Maker
    declared: Mapping[str, BaseDistribution]
    """Each parameter's distribution in the function; a pinned parameter has another one in `parameters`."""

    def draw(self, suggest: Suggest) -> Params:
        """Returns the choices that the function makes, up to its end or to an InvalidNetwork."""

        def take(name: str, distribution: BaseDistribution) -> Any:
            _check_declared(name, distribution, self.declared)
            return suggest(name, self._drawn_from[name])

        choose = Choose(take)
        self.maker.make(choose)
        return choose.made

    @cached_property
    def _drawn_from(self) -> dict[str, BaseDistribution]:
        return {parameter.name: parameter.distribution for parameter in self.parameters}


def chosen_space(
    function: Callable[[Choose], Candidate],
    *,
    explore: Callable[[Choose], object] | None = None,
    allowed: Callable[[Params, Candidate], bool | str] | None = None,
) -> ChosenSpace:
    """Returns the space of the candidates that a function makes of its choices.

    The function is called up to MAX_CALLS times to find its choices, and later once for each draw. To find them faster,
    give `explore`: a function that makes the same choices and nothing else. Raises ValueError for a mistake in the
    choices, and what the function raises, except InvalidNetwork, which only rejects a draw.
    """
    declared = _find_choices(explore or function)
    parameters = tuple(Parameter(name, distribution) for name, distribution in declared.items())
    maker = _Maker(function)
    return ChosenSpace(parameters, maker.build, allowed, maker=maker, declared=declared)


class _Maker:
    """Makes candidates by a function. The last one is kept, since most draws are built at once."""

    def __init__(self, function: Callable[[Choose], Candidate]) -> None:
        self._function = function
        self._last: tuple[Params, Candidate | InvalidNetwork] | None = None

    def make(self, choose: Choose) -> Candidate | InvalidNetwork:
        """Returns the candidate of these choices, or why it cannot be built."""
        try:
            made = self._function(choose)
        except InvalidNetwork as error:
            made = error
        self._last = dict(choose.made), made
        return made

    def build(self, params: Params) -> Candidate:
        """Returns the candidate of a draw. Raises InvalidNetwork if it cannot be built."""
        last = self._last
        made = last[1] if last and last[0] == params else self.make(Given(params))
        if isinstance(made, InvalidNetwork):
            raise made
        return made


def _find_choices(function: Callable[[Choose], object]) -> dict[str, BaseDistribution]:
    """Returns the choices that a function makes, each with its distribution, in the order in which it makes them.

    Each extreme value or option of each choice is tried in the context in which the choice was found first, until no
    new choice appears. Then some draws are random, from a generator of their own: the result is always the same.
    """
    rng = random.Random(0)
    found: dict[str, BaseDistribution] = {}
    draws: list[Params] = []
    contexts: deque[Params] = deque([{}])
    num_random = 0
    for _ in range(MAX_CALLS):
        is_random = not contexts
        num_random += is_random
        if num_random > RANDOM_CALLS:
            break
        choose = _Try({} if is_random else contexts.popleft(), found, rng if is_random else None)
        with suppress(InvalidNetwork):  # such a draw will be rejected, but has its choices
            function(choose)
        contexts += choose.further
        draws.append(choose.made)
    return {name: found[name] for name in _in_order(found, draws)}


class _Try(Choose):
    """Chooses the values of a context, and others at random if there is a generator. Adds new choices to `found`."""

    def __init__(self, context: Params, found: dict[str, BaseDistribution], rng: random.Random | None) -> None:
        super().__init__(self._take)
        self._context, self._found, self._rng = context, found, rng
        self.further: list[Params] = []
        """The contexts to try for each new choice."""

    def _take(self, name: str, distribution: BaseDistribution) -> Value:
        if name not in self._found:
            self._found[name] = distribution
            self.further += [{**self.made, name: value} for value in extremes(distribution)]
        _check_declared(name, distribution, self._found)
        if name in self._context:
            return self._context[name]
        return random_value(distribution, self._rng) if self._rng else extremes(distribution)[0]


def _in_order(found: Iterable[str], draws: Iterable[Iterable[str]]) -> list[str]:
    """Returns the names in an order that agrees with that of each draw, if the draws agree with each other."""
    before: dict[str, set[str]] = {name: set() for name in found}
    for first, second in (pair for names in draws for pair in pairwise(names)):
        before[second].add(first)
    order: dict[str, None] = {}
    last = ""
    while before:
        ready = [name for name in before if before[name] <= order.keys()] or [*before]
        last = next((name for name in ready if last in before[name]), ready[0])
        order[last] = None
        del before[last]
    return [*order]


def extremes(distribution: BaseDistribution) -> Sequence[Any]:
    """Returns the options, or the lowest and the highest value."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return choices
        case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
            return (low, high) if low < high else (low,)
    raise TypeError(f"unknown distribution {distribution!r}")


def random_candidates(space: Space, number: int, max_params: int | None = None) -> Iterator[Candidate]:
    """Yields the candidates among a number of random draws, always the same, that are valid and within `max_params`."""
    rng = random.Random(0)
    for _ in range(number):
        with suppress(InvalidNetwork):
            candidate = space.build(space.draw(lambda name, distribution: random_value(distribution, rng)))
            candidate.network.trace()
            if max_params is None or candidate.network.num_params <= max_params:
                yield candidate


def random_value(distribution: BaseDistribution, rng: random.Random) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return rng.choice(choices)
        case IntDistribution(low=low, high=high, log=True):
            return min(round(math.exp(rng.uniform(math.log(low), math.log(high)))), high)
        case IntDistribution(low=low, high=high, step=step):
            return rng.randrange(low, high + 1, step)
        case FloatDistribution(low=low, high=high, log=True):
            return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
        case FloatDistribution(low=low, high=high):
            return rng.uniform(low, high)
    raise TypeError(f"unknown distribution {distribution!r}")


def _check_declared(name: str, distribution: BaseDistribution, declared: Mapping[str, BaseDistribution]) -> None:
    """Raises ValueError for a choice with another distribution than before, or one that was never found."""
    if name not in declared:
        raise ValueError(
            f"{name!r} is chosen so rarely that {RANDOM_CALLS} random draws did not find it; choose it before "
            "the condition that it depends on, or make that condition more likely"
        )
    if distribution != declared[name]:
        here, before = (f"{describe(each)}{_step(each)}" for each in (distribution, declared[name]))
        raise ValueError(
            f"{name!r} is chosen from {here} here and from {before} elsewhere; always choose it from the same values, "
            "or give it two names"
        )


def _step(distribution: BaseDistribution) -> str:
    if isinstance(distribution, IntDistribution) and distribution.step > 1:
        return f" in steps of {distribution.step}"
    return ""


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not (name.isidentifier() and name.isascii()):
        raise ValueError(
            f"{name!r} is no name of a choice; a name is letters, digits and underscores, and starts with no digit"
        )


def _whole(value: Any, call: str) -> int:
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        return operator.index(value)
    raise ValueError(f"{call}: {value!r} is no whole number; choose.float takes others")


def _number(value: Any, call: str) -> float:
    if not isinstance(value, bool | str) and hasattr(value, "__float__") and math.isfinite(value):
        return float(value)
    raise ValueError(f"{call}: {value!r} is no finite number")


def _check_range(low: float, high: float, log: bool, call: str) -> None:
    if low > high:
        raise ValueError(f"{call}: the low end {low:g} is above the high end {high:g}; swap them")
    if log and low <= 0:
        raise ValueError(f"{call}: with log=True the low end must be above 0, but is {low:g}")


def _check_options(options: object, call: str) -> None:
    """Raises ValueError unless these are options of one type: a table has them in one column."""
    if isinstance(options, str) or not isinstance(options, Sequence):
        raise ValueError(f"{call}: the options must be a list, such as [3, 5, 7]; found a {type(options).__name__}")
    if not options:
        raise ValueError(f"{call}: there are no options; list at least one")
    if unknown := [option for option in options if type(option) not in (bool, int, float, str)]:
        raise ValueError(
            f"{call}: {unknown[0]!r} is {type(unknown[0]).__name__}; options are bool, int, float or str. "
            "Choose among names, and look up what they stand for"
        )
    if len({type(option) for option in options}) > 1:
        raise ValueError(f"{call}: the options must have one type: all bool, all int, all float or all str")
    if len({*options}) < len(options) or any(option != option for option in options):
        raise ValueError(f"{call}: each option must be listed once, and none be NaN")
