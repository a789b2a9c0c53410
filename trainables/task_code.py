"""The code of a user's task: the text of its file, which the driver and every worker execute for themselves."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from spaces.choose import Given
from spaces.goal import Goal
from spaces.layers import InvalidNetwork
from spaces.own import Own
from trainables import HERE, PACKAGES

if TYPE_CHECKING:
    from torch import nn


_LIBRARIES = (
    "/site-packages/",
    "/dist-packages/",
    f"{sysconfig.get_path('stdlib')}/",
    *(f"{HERE}/{p}/" for p in PACKAGES),
)
"""Parts of the paths of code that is not the user's."""


def is_library(filename: str) -> bool:
    """Returns whether a file is of a package, and not the user's."""
    return any(part in filename for part in _LIBRARIES)


class TaskFileError(ValueError):
    """An error in a user's task file. The message has the line, the error and the line's text."""


@dataclass(frozen=True)
class TaskCode:
    """The functions of a user's task. It travels to workers as its text, or pickled if it was made in Python."""

    text: str
    """The text of the file; empty for functions that were given in Python."""
    path: str
    """Where the file was when the run started, for messages."""
    given: Mapping[str, Any] | None = field(default=None, compare=False)
    """The functions and values that were given in Python, by name; None for a file."""

    @classmethod
    def read(cls, path: str | Path) -> TaskCode:
        """Reads a file. Raises ValueError if it cannot be read."""
        try:
            return cls(Path(path).expanduser().read_text(encoding="utf-8-sig"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"task={path}: cannot be read: {error}") from None

    @cached_property
    def namespace(self) -> Mapping[str, Any]:
        """The names that the file defines. Raises TaskFileError if it cannot be executed."""
        if self.given is not None:
            return self.given
        module = ModuleType(f"task_file_{Path(self.path).stem}")
        module.__file__ = self.path
        # So that a traceback shows the lines of the text that was executed, on a node that has no such file too
        linecache.cache[self.path] = (len(self.text), None, self.text.splitlines(keepends=True), self.path)
        with errors_of(self.path), _importable(module):
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

    def own_imports(self) -> list[str]:
        """Returns the names of the modules in or below the file's folder that the file takes something from."""
        folder = Path(self.path).resolve().parent
        found = [] if self.given is not None else own_modules(self.namespace.values())
        return sorted(each.__name__ for each in found if folder in Path(str(each.__file__)).resolve().parents)

    def given_modules(self) -> list[ModuleType]:
        """Returns the user's modules that functions given in Python come from, which workers may lack."""
        return own_modules((self.given or {}).values())

    def make_module(self, own: Own) -> nn.Module:
        """Returns the module that the user's function makes of a candidate's choices. Raises TaskFileError."""
        from torch import nn  # here, so that the driver can read a task without torch

        where = f'references["{own.name}"]' if own.name else "space()"
        with errors_of(self.path):
            if own.name:
                made = self.namespace["references"][own.name]
                if isinstance(made, nn.Module):
                    raise TaskFileError(f"{self.path}: {where} is a module; expected a function that makes a new one")
                made = made()
            else:
                made = self.namespace["space"](Given(dict(own.choices_made)))
        if not isinstance(made, nn.Module):
            raise TaskFileError(f"{self.path}: {where} gave {type(made).__name__}; expected a torch.nn.Module")
        return made


def own_modules(values: Iterable[Any]) -> list[ModuleType]:
    """Returns the modules that these values come from, and that those modules import, except those of packages."""
    found: dict[str, ModuleType] = {}
    remaining = list(values)
    while remaining:
        value = remaining.pop()
        if isinstance(value, Mapping):
            remaining += value.values()
        elif is_dataclass(value) and not isinstance(value, type):  # a goal, with its functions
            remaining += vars(value).values()
        module = value if isinstance(value, ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
        file = getattr(module, "__file__", None)
        if module and file and not is_library(file) and module.__name__ not in (*found, "__main__"):
            found[module.__name__] = module
            remaining += vars(module).values()
    return list(found.values())


@contextmanager
def _importable(module: ModuleType) -> Iterator[None]:
    """Lists a module among the imported ones while its text is executed, since dataclasses look for it there."""
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]


@contextmanager
def errors_of(path: str) -> Iterator[None]:
    """Turns an error in the user's code into a TaskFileError with the line where it arose.

    The first line of the message has the place and the error, since tables show it alone; the second has the code.
    """
    try:
        yield
    except (TaskFileError, InvalidNetwork, MemoryError):
        raise
    except SyntaxError as error:
        where = f"{error.filename}, line {error.lineno}" if error.filename else path
        raise TaskFileError(_message(error, where, error.text)) from None
    except (Exception, SystemExit) as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's; not the user's mistake
            raise
        frame = _user_frame(error, path)
        where = f"{frame.filename}, line {frame.lineno}" if frame else path or "the task's code"
        raise TaskFileError(_message(error, where, frame.line if frame else None)) from error


def _user_frame(error: BaseException, path: str) -> traceback.FrameSummary | None:
    """Returns the last line of the user's that raised: in their file, or outside of all packages for a notebook."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [frame for frame in frames if frame.filename == path]
    found = found or [frame for frame in frames if not is_library(frame.filename)]
    return found[-1] if found else None


def _message(error: BaseException, where: str, line: str | None) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{where}: {type(error).__name__}: {text}" + (f"\n    {line.strip()}" if line else "")
