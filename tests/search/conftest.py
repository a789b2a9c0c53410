"""What tests of whole commands share."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.search.command import ROOT, environment


@pytest.fixture(scope="session")
def nowhere() -> Iterator[str]:
    """An address= where no Ray answers: a search that nothing stops before ends there, and trains nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"address=127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A Ray of two CPUs for all commands that do not mind sharing one: `address=...`, as the command line has it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "tests.search.shared_ray"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), text=True, **pipes) as process:
        assert process.stdout
        yield next(line.strip() for line in process.stdout if line.startswith("address="))
        process.communicate()
