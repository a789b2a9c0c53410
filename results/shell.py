"""Writes command lines that a user can type, for messages and reports."""

from __future__ import annotations

import os
import shlex
import shutil
import sys


def command_line(module: str, *arguments: str) -> str:
    """Returns a command line that runs a module of this package with this Python, from the current folder."""
    found = shutil.which("python")
    if found and os.path.abspath(found) == sys.executable:  # not resolved: in a virtual environment it is a link
        python = "python"
    else:
        inside = os.path.relpath(sys.executable)
        python = sys.executable if inside.startswith(os.pardir) else inside
    return shlex.join([python, "-m", module, *arguments])


def argument_of(name: str, text: str) -> str:
    """Returns a key=value that is read back as this text; a key that takes lists would read [a] as one."""
    return f"{name}={text}"
