"""Runs a reader on many files in a separate process with limited memory, and collects the outcomes."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import psutil

from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[1]
MORE_BYTES = 400 * 2**20
"""The memory that a reader may use beyond that of its process after all imports."""


def outcomes(reader: str, paths: Sequence[Path]) -> list[str]:
    """Calls "package.module:function" with each path, and returns "ValueError: reason" or "read" for each.

    Fails the test if a signal ends the process or if the reader raises another exception.
    """
    command = [sys.executable, "-m", "tests.bounded", reader]
    text = json.dumps([str(path) for path in paths])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=text, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{paths[len(found)]}: {done.returncode}: {done.stderr[-2000:]}"
    return found


def main(reader: str) -> None:
    module, _, name = reader.partition(":")
    read = getattr(import_module(module), name)
    limit = psutil.Process().memory_info().vms + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for path in json.load(sys.stdin):
        try:
            read(Path(path))
            outcome = "read"
        except ValueError as error:
            outcome = f"ValueError: {error}"
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
