"""Writes a function as text that differs if it would compute something else, so that two tasks never count as one."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from trainables.task_code import is_library

MAX_TEXT = 200
"""The maximum length of a value's text; a longer one is replaced by its digest."""


def function_text(name: str, value: object) -> str:
    """Returns a part of a task as text: a function's source, then what it uses by name, each on lines of its own.

    These are the defaults of its arguments, the variables of an enclosing function, and the global names of the user's
    that it mentions, functions among them with all that they use. Objects other than functions, numbers, text, arrays
    and collections of these count by their type alone.
    """
    return "\n".join(_Writer().lines(name, value))


def digest_of(*functions: object) -> str:
    """Returns 8 letters that follow from functions' text, in which comments and layout make no difference."""
    texts = [_normalized(function_text("function", each)) for each in functions]
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]
    return digest.translate(
        str.maketrans("0123456789", "ghijklmnop")
    )  # since tables quote text that starts as a number


class _Writer:
    """Writes values once each, since functions may call each other."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def lines(self, name: str, value: object) -> Iterator[str]:
        if isinstance(value, MethodType):
            yield from self.lines(name, value.__func__)
            yield f"{name}.__self__ = {_text(value.__self__)}"
        elif isinstance(value, partial):
            yield from self.lines(name, value.func)
            for key, bound in [*enumerate(value.args), *value.keywords.items()]:
                yield from self.lines(f"{name}.{key}" if isinstance(key, str) else f"{name}.argument_{key}", bound)
        elif isinstance(value, Mapping):
            for key, each in value.items():
                yield from self.lines(f"{name}[{key!r}]", each)
        elif (isinstance(value, FunctionType) and not is_library(value.__code__.co_filename)) or _is_own_class(value):
            yield from self._definition(name, value)
        else:
            yield f"{name} = {_text(value)}"

    def _definition(self, name: str, value: Any) -> Iterator[str]:
        if id(value) in self.seen:
            return
        self.seen.add(id(value))
        source = _source(value)
        is_named = source.startswith((f"def {name}(", f"class {name}"))
        yield source if is_named else f"# {name}\n{source}"
        if isinstance(value, FunctionType):
            yield from self._uses(name, value)
        else:
            for method in vars(value).values():
                if isinstance(method, FunctionType):
                    yield from self._uses(f"{name}.{method.__name__}", method)

    def _uses(self, name: str, function: FunctionType) -> Iterator[str]:
        """Yields the lines of the values that a function takes from around it."""
        defaults = inspect.signature(function).parameters.values()
        for parameter in defaults:
            if parameter.default is not inspect.Parameter.empty:
                yield from self.lines(f"{name}.{parameter.name}", parameter.default)
        found = {key: function.__globals__[key] for key in _names(function.__code__) if key in function.__globals__}
        for key, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                found[key] = cell.cell_contents
            except ValueError:  # a variable without a value yet
                continue
        for key, value in found.items():
            if not isinstance(value, ModuleType):
                yield from self.lines(key, value)


def _names(code: CodeType) -> dict[str, None]:
    """Returns the names that code and the functions within it mention, in order."""
    names = dict.fromkeys(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            names |= _names(inner)
    return names


def _is_own_class(value: object) -> bool:
    try:
        return inspect.isclass(value) and not is_library(inspect.getfile(value))
    except (OSError, TypeError):  # a class of C, or one that was typed in
        return False


def _source(value: Any) -> str:
    try:
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        found = (code.co_code, code.co_consts, code.co_names) if code else value.__qualname__
        return f"# {value.__qualname__}: no source; {_digest(repr(found).split(' at 0x')[0].encode())}"


def _text(value: object) -> str:
    if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        array = np.asarray(value)
        return f"array {array.dtype} {list(array.shape)} {_digest(array.tobytes())}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if " at 0x" in text:  # an address differs from one process to another
        return f"{type(value).__module__}.{type(value).__qualname__}"
    return text if len(text) <= MAX_TEXT else f"{type(value).__qualname__} {_digest(text.encode())}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _normalized(text: str) -> str:
    try:
        return ast.dump(ast.parse(text))
    except SyntaxError:
        return text
