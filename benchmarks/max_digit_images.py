"""Claim: max-digit's images are made from MNIST at 1,000 images per second and core at least.

    python -m benchmarks.max_digit_images data_dir=FOLDER

Timed is all that a first run waits for, from MNIST's files to images and labels on disk: reading the digits, starting
the processes, computing textures, making and writing images. One process and one per core take turns (A B A B ...).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command_line import load_mnist, read_settings
from data.made.workers import num_cores
from data.max_digit import load_made
from results.keys import key

CLAIM = "Claim: max-digit's images are made from MNIST at 1,000 images per second and core at least."
MIN_RATE = 1_000


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    images: int = key(12_000, "images made each time; 60,000 at full scale")
    rounds: int = key(3, "repetitions of each")


def main() -> None:
    settings = read_settings(Settings, "max_digit_images", CLAIM)
    folder, _ = load_mnist(settings.data_dir)
    rates: dict[int, list[float]] = {1: [], num_cores(): []}
    for number in range(settings.rounds):
        for num_processes in rates:
            seconds = seconds_to_make(folder, settings.images, num_processes)
            rates[num_processes].append(settings.images / seconds)
            print(f"round {number}, processes {num_processes}: {settings.images / seconds:,.0f} images/s", flush=True)
    print_verdict(rates)


def seconds_to_make(folder: Path, num_images: int, num_processes: int) -> float:
    num_test = max(1, num_images // 6)
    with tempfile.TemporaryDirectory() as data_dir:
        (Path(data_dir) / "MNIST").symlink_to((folder / "MNIST").absolute())
        start = time.perf_counter()
        load_made(
            Path(data_dir),
            lambda line: None,
            num_train=num_images - num_test,
            num_test=num_test,
            num_workers=num_processes,
        )
        return time.perf_counter() - start


def print_verdict(rates: dict[int, list[float]]) -> None:
    print("\n| processes | images/s: median (min to max) | per core |")
    print("|---|---|---|")
    medians = {num_processes: statistics.median(values) for num_processes, values in rates.items()}
    for num_processes, values in rates.items():
        spread = f"{medians[num_processes]:,.0f} ({min(values):,.0f} to {max(values):,.0f})"
        print(f"| {num_processes} | {spread} | {medians[num_processes] / num_processes:,.0f} |")
    most = max(rates)
    slowest = min(median / num_processes for num_processes, median in medians.items())
    print(f"\nratio of {most} processes to 1: {medians[most] / medians[1]:.2f}; n = {len(rates[most])}")
    print(f"at least {MIN_RATE:,} images per second and core: {'met' if slowest >= MIN_RATE else 'NOT MET'}")


if __name__ == "__main__":
    main()
