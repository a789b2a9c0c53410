"""The frame of every command: `--help`, the exit code, and the report of a user's mistake."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from results.files import StorageError
from results.wording import escape_controls
from search.command_line import interrupts
from search.command_line.output import lasting_output

Config = TypeVar("Config")

FAILED = 1
USER_ERROR = 2
SIGNALLED = 128


@lasting_output()
def run_command(
    name: str,
    arguments: Sequence[str] | None,
    *,
    help_text: Callable[[], str],
    parse: Callable[[Sequence[str]], Config],
    work: Callable[[Config], int],
) -> int:
    """Parses the arguments, by default those of the process, does the work, and returns its exit code.

    A ValueError is a user's mistake, printed as one paragraph with exit code 2. A StorageError gives 1, Ctrl-C 130.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    interrupts.begin()
    try:
        if any(argument in ("-h", "--help", "help") for argument in arguments):
            print(help_text(), flush=True)
            return 0
        return work(parse(arguments))
    except ValueError as mistake:
        return _report(name, mistake, USER_ERROR)
    except StorageError as error:
        return _report(name, error, FAILED)
    except KeyboardInterrupt as stop:
        return _report(name, str(stop) or "stopped immediately", SIGNALLED + signal.SIGINT)


def _report(name: str, what: object, exit_code: int) -> int:
    print(escape_controls(f"{name}: {what}"), file=sys.stderr)
    return exit_code
