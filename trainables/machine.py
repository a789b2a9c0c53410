"""The machine that a trial computes on: what it is, and how a process is set up for it."""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from pathlib import Path

import torch

from trainables.engine import has_bfloat16_instructions, leave_compiler_out
from trainables.optim import OPTIMIZERS

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def describe(device: torch.device) -> dict[str, str]:
    """All that a curve's last bits may depend on, and where to look for it."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "node": platform.node(),
        "cpu": _cpu_model(),
        "torch": str(torch.__version__),
        "threads": str(torch.get_num_threads()),
    }


def fastest_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes in it, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if has_bfloat16_instructions() else torch.float32


def prepare_process(num_threads: int = 1) -> None:
    """So many threads, no compiler, and freed memory kept: a step takes megabytes, and fresh pages are slow to get.

    To be called once in a process that trains. Memory is kept where the C library is glibc.
    """
    torch.set_num_threads(num_threads)
    leave_compiler_out(kind for kind, _ in OPTIMIZERS.values())
    if libc := _glibc():
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)


def release_memory() -> None:
    """Gives free memory back to the system: between trials, as each leaves other gaps than the next can use."""
    if libc := _glibc():
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library if it is glibc, for which Python looks into its own executable."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
