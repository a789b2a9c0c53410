"""Ctrl-C before a command handles signals: during imports it ends the command immediately, without a traceback.

A KeyboardInterrupt during an import is swallowed there, or becomes an ImportError of the module.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

IMPORTING = "<frozen importlib"
"""The start of the file names that code objects of Python's import machinery have."""
PACKAGE = "search"
_has_begun = False


def take_interrupts() -> None:
    """Handles SIGINT if this process is one of our commands, `python -m search.NAME`, unless it ignores SIGINT."""
    if _is_our_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def begin() -> None:
    """Notes that the command has begun: it handles a KeyboardInterrupt from now on, except during imports."""
    global _has_begun
    _has_begun = True


def _is_our_command() -> bool:
    """Whether Python is looking for the module of `-m`, which then is the first of `sys.argv`, and it is ours."""
    if sys.argv[:1] != ["-m"]:
        return False
    module = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    return module.partition(".")[0] == PACKAGE


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _has_begun or _is_importing(frame):
        os.write(2, b"stopped immediately\n")
        os._exit(128 + number)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False
