"""Helpers of the GPU benchmarks: the device, its measured peak rates, and parts that fail independently."""

from __future__ import annotations

import statistics
import subprocess
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch

from search.command_line.command import FAILED


def find_device(name: str) -> torch.device:
    found = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(found if name == "auto" else name)


def attempt(parts: dict[str, Callable[[], None]]) -> int:
    """Runs all parts, even after one of them fails, and returns the exit code."""
    failed = 0
    for name, part in parts.items():
        try:
            part()
        except Exception:
            say(f"\n{name} FAILED:", *traceback.format_exc().splitlines())
            failed = FAILED
    return failed


def describe_failure(error: subprocess.SubprocessError) -> str:
    """Formats in one line why a process failed, with the end of its output."""
    output = getattr(error, "stderr", None) or getattr(error, "output", None) or ""
    text = output if isinstance(output, str) else output.decode(errors="replace")
    return f"FAILED: {str(error)[-60:]} {' / '.join(text.strip().splitlines()[-3:])}"


def say(*lines: str) -> None:
    print("\n".join(lines), flush=True)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Returns the seconds of one call, from an idle device to an idle device."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass(frozen=True)
class Ceilings:
    """The measured peak rates of a device."""

    kernel_seconds: float
    """The time from one kernel's start to the next in a CUDA graph of dependent kernels that do next to nothing."""
    eager_seconds: float
    """The same if Python starts each kernel."""
    bytes_per_second: float
    """The rate of a copy, counting bytes read and bytes written."""
    flops_per_second: float
    """The rate of a product of square bfloat16 matrices."""

    @classmethod
    def measure(cls, device: torch.device) -> Ceilings:
        is_gpu = device.type == "cuda"
        eager, recorded = _seconds_of_a_kernel(device)
        num_bytes, side = (2**31, 8192) if is_gpu else (2**26, 512)
        source = torch.randint(0, 256, (num_bytes,), dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        copying = _median_seconds(lambda: target.copy_(source), device)
        left, right = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
        multiplying = _median_seconds(lambda: left @ right, device)
        return cls(recorded, eager, 2 * num_bytes / copying, 2 * side**3 / multiplying)


def _seconds_of_a_kernel(device: torch.device, kernels: int = 1000) -> tuple[float, float]:
    """Returns the seconds of a kernel that Python starts, and of one in a CUDA graph."""
    value = torch.zeros(1, device=device)

    def add() -> None:
        for _ in range(kernels):
            value.add_(1)

    eager = _median_seconds(add, device) / kernels
    if device.type != "cuda":
        return eager, eager
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        add()
    return eager, _median_seconds(graph.replay, device) / kernels


def _median_seconds(work: Callable[[], object], device: torch.device, repeats: int = 11) -> float:
    for _ in range(3):
        work()
    return statistics.median(seconds_of(work, device) for _ in range(repeats))


def micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f} µs"
