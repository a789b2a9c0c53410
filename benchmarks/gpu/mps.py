"""NVIDIA's MPS, through which processes share a GPU at the same time instead of in turns."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.gpu.on_gpu import describe_failure

CONTROL = "nvidia-cuda-mps-control"
PROBE = "import torch; print(torch.ones(1, device='cuda').item())"


@contextmanager
def mps() -> Iterator[str]:
    """Runs MPS for the processes that are started within the block; yields why it does not work, or an empty string."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: f"{folder}/{name}" for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")}
        for path in environment.values():
            Path(path).mkdir()
        os.environ.update(environment)  # this process must not use the GPU before or within the block
        try:
            yield _start(Path(environment["CUDA_MPS_LOG_DIRECTORY"]))
        finally:
            subprocess.run([CONTROL], input="quit\n", text=True, capture_output=True, timeout=60)
            for name in environment:
                del os.environ[name]


def _start(logs: Path) -> str:
    try:
        with (logs / "start.log").open("w") as output:  # not a pipe, which the daemon might keep open
            subprocess.run([CONTROL, "-d"], stdout=output, stderr=output, check=True, timeout=30)
        subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=120)
        servers = subprocess.run(
            [CONTROL], input="get_server_list\n", capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        logged = [line for path in sorted(logs.glob("*.log")) for line in path.read_text().splitlines()[-3:]]
        reason = describe_failure(error) if isinstance(error, subprocess.SubprocessError) else str(error)
        return " / ".join([reason, *logged])
    return "" if servers.stdout.strip() else "MPS started, but did not serve a test process"
