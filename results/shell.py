"""Command lines as a user can type them, for messages and reports."""

from __future__ import annotations

import os
import shlex
import shutil
import sys


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
