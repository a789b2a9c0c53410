"""Describes the machine that a trial runs on, and prepares a process for training on it."""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from pathlib import Path

import torch

from trainables.engine import has_bfloat16_instructions, unwrap_optimizers
from trainables.optim import OPTIMIZERS

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def describe(device: torch.device) -> dict[str, str]:
    """Returns everything that the last bits of a curve may depend on, and the node's name."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "node": platform.node(),
        "cpu": _cpu_model(),
        "torch": str(torch.__version__),
        "threads": str(torch.get_num_threads()),
    }


def fastest_precision(device: torch.device) -> torch.dtype:
    """Returns bfloat16 if the hardware computes in it, and float32 otherwise."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if has_bfloat16_instructions() else torch.float32


def prepare_process(num_threads: int = 1) -> None:
    """Sets the number of threads, avoids importing the compiler and keeps freed memory (glibc only).

    Call this once in a process that trains. A step takes megabytes, and new pages from the system are slow.
    """
    torch.set_num_threads(num_threads)
    unwrap_optimizers(kind for kind, _ in OPTIMIZERS.values())
    if libc := _glibc():
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 2**30)


def release_memory() -> None:
    """Returns free memory to the system (glibc only). Call this between trials, which leave different gaps."""
    if libc := _glibc():
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """Returns the C library if it is glibc. Cached, since Python reads its own executable to find out."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
