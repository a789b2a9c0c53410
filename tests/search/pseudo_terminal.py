"""A pseudo-terminal of a given width, on which a command runs."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def run_on_terminal(
    command: Sequence[str], columns: int, *, folder: Path, environment: Mapping[str, str]
) -> tuple[int, list[str]]:
    """Returns the exit code, and all lines in the order shown, including those overwritten later."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    known = {name: text for name, text in environment.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    with subprocess.Popen(
        command, cwd=folder, env={**known, "TERM": "xterm-256color"}, stdin=its, stdout=its, stderr=its
    ) as process:
        os.close(its)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    text = CODES.sub("", shown.decode())
    return process.returncode, [line.rstrip() for line in re.split(r"[\r\n]+", text)]


def _read(terminal: int) -> bytes:
    """Returns the next output, or nothing once all its processes have ended."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
