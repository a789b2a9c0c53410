"""A reader tried on many files in a process of its own, whose memory is bounded: what it says of each."""

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
"""What a reader may take beyond what its process has once everything is imported."""


def outcomes(reader: str, paths: Sequence[Path]) -> list[str]:
    """For each file what "package.module:function" raises on it, as "ValueError: reason", or "read".

    A process that a signal ends, or that meets anything but a ValueError, fails the test that asks.
    """
    command = [sys.executable, "-m", "tests.bounded", reader]
    text = json.dumps([str(path) for path in paths])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=text, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{paths[len(told)]}: {done.returncode}: {done.stderr[-2000:]}"
    return told


def main(reader: str) -> None:
    module, _, name = reader.partition(":")
    read = getattr(import_module(module), name)
    limit = psutil.Process().memory_info().vms + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for path in json.load(sys.stdin):
        try:
            read(Path(path))
            told = "read"
        except ValueError as error:
            told = f"ValueError: {error}"
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
