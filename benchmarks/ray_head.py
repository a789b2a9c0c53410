"""Starts a separate Ray head for a measurement or a test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
"""Environment of the head and of all processes that join it: Ray would ask for a token if the user's home has one."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def ray_head(port: int, options: Mapping[str, object], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Runs `ray start --head` with these options until the block ends; yields the PID of the head's first process.

    All processes of this Ray end with the block.
    """
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += ["--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as own, log.open("w") as output:
        # In a session of its own, so that killing the group ends all of Ray, simulated nodes included
        process = subprocess.Popen(
            command,
            env={**environment, **NO_TOKEN, "RAY_TMPDIR": own},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _await_answer(port, process)
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_answer(port: int, process: subprocess.Popen[bytes]) -> None:
    while True:
        assert process.poll() is None, f"ray start ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
