"""What every command shares: `--help`, the exit code, and how a user's mistake is reported."""

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
        return _say(name, str(stop) or "stopped immediately", SIGNALLED + signal.SIGINT)


def _say(name: str, what: object, exit_code: int) -> int:
    print(escape_controls(f"{name}: {what}"), file=sys.stderr)
    return exit_code
