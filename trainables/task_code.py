"""The code of a user's task: the text of its file, which the driver and every worker execute for themselves."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spaces.choose import Given
from spaces.goal import Goal
from spaces.layers import InvalidNetwork
from spaces.own import Own

if TYPE_CHECKING:
    from torch import nn


class TaskFileError(ValueError):
    """An error in a user's task file. The message has the line, its text and the error."""


@dataclass(frozen=True)
class TaskCode:
    """The functions of a user's task. It travels to workers as its text, or pickled if it was made in Python."""

    text: str
    """The text of the file; empty for functions that were given in Python."""
    path: str
    """Where the file was when the run started, for messages."""
    given: Mapping[str, Any] | None = field(default=None, compare=False)
    """The functions and values that were given in Python, by name; None for a file."""

    @cached_property
    def namespace(self) -> Mapping[str, Any]:
        """The names that the file defines. Raises TaskFileError if it cannot be executed."""
        if self.given is not None:
            return self.given
        module = ModuleType(Path(self.path).stem)
        module.__file__ = self.path
        # So that a traceback shows the lines of the text that was executed, on a node that has no such file too
        linecache.cache[self.path] = (len(self.text), None, self.text.splitlines(keepends=True), self.path)
        with errors_of(self.path):
            exec(compile(self.text, self.path, "exec"), module.__dict__)
        return vars(module)

    def __getstate__(self) -> dict[str, Any]:
        return {"text": self.text, "path": self.path, "given": self.given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def goal(self) -> Goal | None:
        """The goal of the file, with its functions if they are the user's; None if the file names none."""
        return self.namespace.get("goal")

    @property
    def augment(self) -> Callable[..., Any] | None:
        """The user's augmentation of a batch, or None."""
        found = self.namespace.get("augment")
        return found if callable(found) else None

    def make_module(self, own: Own) -> nn.Module:
        """Returns the module that the user's function makes of a candidate's choices. Raises TaskFileError."""
        with errors_of(self.path):
            if own.name:
                made = self.namespace["references"][own.name]
                return made() if callable(made) else made
            return self.namespace["space"](Given(dict(own.choices_made)))


@contextmanager
def errors_of(path: str) -> Iterator[None]:
    """Turns an error in the user's code into a TaskFileError with the line where it arose."""
    try:
        yield
    except (TaskFileError, InvalidNetwork):
        raise
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise TaskFileError(f"{error.filename}, line {error.lineno}: {line}\nSyntaxError: {error.msg}") from None
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        where = f"{path}, line {frames[-1].lineno}: {frames[-1].line}" if frames else path
        raise TaskFileError(f"{where}\n{type(error).__name__}: {error}") from error
