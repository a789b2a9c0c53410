"""Ctrl-C before a command listens for signals itself: in the midst of imports it ends at once, and without a traceback.

A KeyboardInterrupt in the midst of an import is swallowed there, or comes out as an ImportError of the module.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

IMPORTING = "<frozen importlib"
"""How code objects of Python's import machinery name their file."""
_begun = False


def take_interrupts() -> None:
    """Takes SIGINT in a process that is a command, `python -m PACKAGE.MODULE`, unless SIGINT is ignored there."""
    is_command = sys.argv[:1] == ["-m"]  # as Python has it while it looks for the module
    if is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def begin() -> None:
    """The command itself has begun: from here on, it answers a KeyboardInterrupt outside of imports."""
    global _begun
    _begun = True


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _begun or _is_importing(frame):
        os.write(2, b"stopped immediately\n")
        os._exit(128 + number)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False
