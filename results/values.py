"""Reads the value of a key by the type that the key is declared with."""

from __future__ import annotations

import math
import os
import re
import types
import typing
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

MOST_WHOLE = 2**63 - 1
"""The largest whole number of the tables, of NumPy and of PyTorch."""
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOTHING = ("", "null", "none")
_ITEM = re.compile(r"""\s*("(?:[^"]|"")*"|'(?:[^']|'')*'|[^,]*?)\s*,""")
_ECHOED_CHARACTERS = 80
_EXPECTED_NAMES = "expected names with values, as KEY.NAME=VALUE"


@dataclass(frozen=True)
class Range:
    """The numbers that a key takes: at least `least` or above `above`, and at most `most`. None is no limit."""

    least: float | None = None
    above: float | None = None
    most: float | None = None

    def check(self, value: float) -> None:
        """Raises ValueError with the range for a number outside it; NaN is outside every range."""
        if not self._is_high_enough(value):
            raise ValueError(f"must be {self._low}{self._high}")
        if not value <= (MOST_WHOLE if self.most is None else self.most):
            raise ValueError(f"must be {self._low}{self._high or f', and at most {MOST_WHOLE}'}")

    def _is_high_enough(self, value: float) -> bool:
        if self.above is not None:
            return value > self.above
        return value >= (-MOST_WHOLE if self.least is None else self.least)

    @property
    def _low(self) -> str:
        if self.above is not None:
            return f"above {self.above}"
        return f"{-MOST_WHOLE if self.least is None else self.least}" + (" or more" if self.most is None else "")

    @property
    def _high(self) -> str:
        if self.most is None:
            return ""
        return f" and at most {self.most}" if self.above is not None else f" to {self.most}"


@dataclass(frozen=True)
class Kind:
    """The type of a key, derived from the annotation of its field.

    Text is taken literally: no character in it is special. A key of type `str | list[str]` takes a list if its value is
    in square brackets; the items are text, too. `Any` and the values of a dictionary are free: numbers, true, false,
    null, lists of these, or else text.
    """

    type: Any
    is_optional: bool = False
    takes_list: bool = False
    """Whether the key takes one text or a list of several."""

    @classmethod
    def of(cls, annotation: Any) -> Kind:
        """Returns the kind of an annotation: `int | None`, `str | list[str]`, an Enum, `dict[str, Any]` or `Any`."""
        options = [annotation]
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            options = list(typing.get_args(annotation))
        kinds = [option for option in options if option is not type(None)]
        assert len(kinds) == 1 or kinds == [str, list[str]], f"no key can have the type {annotation}"
        return cls(kinds[0], is_optional=len(kinds) < len(options), takes_list=len(kinds) > 1)

    @property
    def is_mapping(self) -> bool:
        """Whether the user chooses names below the key, as in fix.optimizer=adam."""
        return typing.get_origin(self.type) is dict or self.type is Any

    @property
    def label(self) -> str:
        """The name of the type in --help."""
        if self.takes_list:
            return "text|[a,b]"
        if _is_enum(self.type):
            return "|".join(str(each.value) for each in self.type)
        origin = typing.get_origin(self.type)
        if origin is not None:
            return {dict: "name=value", list: "[a,b]"}[origin]
        return {Any: "values", str: "text", int: "number", float: "decimal", bool: "true|false"}[self.type]

    def read(self, text: str) -> Any:
        """Returns the value of a typed text. Raises ValueError with what was expected."""
        if self.type is str:
            return self._text(text)
        if self.is_optional and text.lower() in _NOTHING:
            return None
        if self.type is Any:
            return free_value(text)
        if typing.get_origin(self.type) is list:
            (inner,) = typing.get_args(self.type)
            return [Kind(inner).read(item) for item in _items(text)]
        if typing.get_origin(self.type) is dict:
            raise ValueError(_EXPECTED_NAMES)
        return _READERS.get(self.type, self._choice)(text)

    def read_plain(self, value: Any) -> Any:
        """Returns the value of a plain Python value, as from YAML. Raises ValueError with what was expected."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, Enum):
            value = value.value
        if typing.get_origin(self.type) is dict:
            if not isinstance(value, dict):
                raise ValueError(_EXPECTED_NAMES)
            return {str(name): each for name, each in value.items()}
        if self.type is Any or (value is None and self.is_optional):
            return value
        if isinstance(value, list | tuple) and (self.takes_list or typing.get_origin(self.type) is list):
            return [Kind(str).read_plain(item) for item in value]
        is_text = isinstance(value, str)
        if is_text if self.type is str else is_text or isinstance(value, bool | int | float):
            return value if is_text and self.type is str else self.read(str(value))
        raise ValueError(self._expected)

    @property
    def _expected(self) -> str:
        if _is_enum(self.type):
            return f"expected one of [{', '.join(str(each.value) for each in self.type)}]"
        return f"expected {_IN_WORDS.get(self.type, self.label)}"

    def _text(self, text: str) -> Any:
        if self.takes_list and text.startswith("[") and text.endswith("]"):
            return _items(text)
        if text:
            return text
        if self.is_optional:
            return None
        raise ValueError("expected text, but the value is empty")

    def _choice(self, text: str) -> Enum:
        for each in self.type:
            if str(each.value) == text:
                return each
        raise ValueError(self._expected)


def free_value(text: str) -> Any:
    """Returns a number, true, false, null or [a list] of these, by YAML 1.2's core schema, or else the text itself.

    Thus `off`, `12:30`, `007` and `2024_01_05` are text. Quotes around a text are removed. Raises ValueError for a list
    that cannot be read.
    """
    if text[:1] in ("'", '"') and _unquoted(text) != text:
        return _unquoted(text)
    try:
        if text.startswith("[") and text.endswith("]"):
            return yaml.load(text, CoreLoader)
        loader = CoreLoader("")
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))
        return loader.construct_object(yaml.ScalarNode(tag, text))
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        reason = str(getattr(error, "problem", None) or error).partition("\n")[0]
        raise ValueError(f"expected a number, a word, or a list as [a,b,c]: {reason}") from None


def check_free(name: str, value: object) -> None:
    """Raises ValueError unless a value is a number, true, false, text, null or a list of these."""
    if isinstance(value, list | tuple):
        for each in value:
            check_free(name, each)
    elif isinstance(value, int) and abs(value) > MOST_WHOLE:
        raise ValueError(f"{name}: must be at most {MOST_WHOLE}")
    elif value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError(f"{name}: expected a number, text, true or false, or a list of such")


def echoed(text: object, most: int = _ECHOED_CHARACTERS) -> str:
    """Returns a value as a message repeats it, cut to at most `most` characters."""
    whole = str(text).lower() if isinstance(text, bool) else str(text)
    return whole if len(whole) <= most else f"{whole[: most - 3]}..."


class CoreLoader(yaml.SafeLoader):
    """Reads YAML 1.2's core schema. PyYAML's own, of YAML 1.1, reads off as false, 12:30 as 750 and 010 as 8."""

    yaml_implicit_resolvers: typing.ClassVar = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"expected {_IN_WORDS[int]}") from None


def _decimal(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"expected {_IN_WORDS[float]}") from None
    if not math.isfinite(value):
        raise ValueError("expected a finite number")
    return value


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise ValueError("expected true or false")
    return _SWITCHES[text.lower()]


def _items(text: str) -> list[str]:
    """Returns the items of [a,b]. An item with a comma, or with blanks at its ends, is in quotes, doubled inside it."""
    inner = text.strip()
    if len(inner) < 2 or (inner[0], inner[-1]) != ("[", "]"):
        raise ValueError("expected a list as [a,b]")
    if not (inner := inner[1:-1]).strip():
        return []
    found = [match.group(1) for match in _ITEM.finditer(f"{inner},")]
    if "" in found:
        raise ValueError("expected a list as [a,b], without empty items")
    return [_unquoted(item) for item in found]


def _unquoted(item: str) -> str:
    if len(item) > 1 and item[0] == item[-1] and item[0] in "'\"":
        return item[1:-1].replace(item[0] * 2, item[0])
    return item


def _is_enum(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Enum)


_READERS = {int: _whole, float: _decimal, bool: _switch}
_IN_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
