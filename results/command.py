"""What every command shares: its keys (`results.keys`), its help, and what a user's mistake comes to.

It stands here, since the report is a command too, and knows nothing above this package.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from results.keys import check_name, check_ranges, entries_of, key, keys_help, parse_into, read_fields

__all__ = [
    "FAILED",
    "SIGNALLED",
    "USER_ERROR",
    "StorageError",
    "argument_of",
    "check_name",
    "check_ranges",
    "command_line",
    "entries_of",
    "key",
    "keys_help",
    "parse_into",
    "read_fields",
    "run_command",
]

from results import interrupts
from results.output import lasting_output
from results.wording import visible

Config = TypeVar("Config")

FAILED = 1
USER_ERROR = 2
SIGNALLED = 128


class StorageError(Exception):
    """A run's folder does not take what is written: no fault of a trial or its candidate, which stay as they are."""


@lasting_output()
def run_command(
    name: str,
    arguments: Sequence[str] | None,
    *,
    help_text: Callable[[], str],
    parse: Callable[[Sequence[str]], Config],
    work: Callable[[Config], int],
) -> int:
    """Parses the arguments, by default those of the process, and does the work, whose exit code it passes on.

    A ValueError is a user's mistake: one paragraph and exit code 2. A StorageError gives 1, and Ctrl-C 130.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    interrupts.begin()
    try:
        if any(argument in ("-h", "--help", "help") for argument in arguments):
            print(help_text(), flush=True)
            return 0
        return work(parse(arguments))
    except ValueError as mistake:
        return _say(name, mistake, USER_ERROR)
    except StorageError as error:
        return _say(name, error, FAILED)
    except KeyboardInterrupt as stop:
        return _say(name, str(stop) or "stopped at once", SIGNALLED + signal.SIGINT)


def command_line(module: str, *arguments: str) -> str:
    """A line that runs a module of this package, as it can be typed here, with this Python."""
    found = shutil.which("python")
    if found and os.path.abspath(found) == sys.executable:  # not resolved: a virtual environment's is a link
        python = "python"
    else:
        inside = os.path.relpath(sys.executable)
        python = sys.executable if inside.startswith(os.pardir) else inside
    return shlex.join([python, "-m", module, *arguments])


def argument_of(name: str, text: str) -> str:
    """A key=value that is read back as this text. A key that takes a list, too, would read one from [a]."""
    return f"{name}={text}"


def _say(name: str, what: object, exit_code: int) -> int:
    print(visible(f"{name}: {what}"), file=sys.stderr)
    return exit_code
