"""A Ray head of its own, for the time of a measurement or of a test."""

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
"""For the head and for whoever joins it by address: Ray wants a token where the user's home happens to hold one."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def ray_head(port: int, options: Mapping[str, object], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """`ray start --head` with these options, until the block ends; its process, whose descendants end with it."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += ["--node-ip-address=127.0.0.1", "--include-dashboard=false"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as own, log.open("w") as output:
        # A session of its own: Ray's processes, those of simulated nodes too, end with it
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
