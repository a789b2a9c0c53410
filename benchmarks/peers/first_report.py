"""Claim: a search's first report comes sooner than a tutorial's.

    python -m benchmarks.peers.first_report data_dir=FOLDER

Timed is a cold command, from the start of its process to the first report in the journal, minus the seconds of training
in that report. The command starts Ray. The peer is stock Ray Tune with a tutorial's loop, up to the first line that a
trial writes.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command_line import load_mnist, read_settings
from benchmarks.peers import whole_search
from results.keys import key

CLAIM = "Claim: a search's first report comes sooner than a tutorial's."
POLL_SECONDS = 0.02


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    repeats: int = key(5, "cold starts of each")
    train: int = key(2_000, "training images")


def main() -> None:
    settings = read_settings(Settings, "peers.first_report", CLAIM)
    load_mnist(settings.data_dir)
    kinds: dict[str, list[float]] = {whole_search.FRUGAL: [], "ray_tune": []}
    for seed in range(settings.repeats):
        for name, seconds in kinds.items():
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                seconds.append(to_first_report(settings, name, seed + 1, Path(folder)))
            print(f"{name}, start {seed + 1}: {seconds[-1]:.1f} s", flush=True)
    print("\n| command | seconds to the first report, without its training: median (min to max) |\n|---|---|")
    for name, seconds in kinds.items():
        print(f"| {name} | {statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f}) |")


def to_first_report(settings: Settings, name: str, seed: int, folder: Path) -> float:
    same = whole_search.Settings(data_dir=settings.data_dir, trials=2, epochs=1, train=settings.train, val=500)
    if name == whole_search.FRUGAL:
        words, read = whole_search.frugal_words(same, seed, folder), training_in_journal
    else:
        words, read = whole_search.peer_words(same, name, seed, folder), training_in_lines
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        training = await_report(process, folder, read)
        return time.monotonic() - start - training
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait()


def await_report(process: subprocess.Popen[bytes], folder: Path, read: Callable[[Path], float | None]) -> float:
    while (training := read(folder)) is None:
        assert process.poll() in (None, 0), f"the search ended with {process.returncode}"
        time.sleep(POLL_SECONDS)
    return training


def training_in_journal(folder: Path) -> float | None:
    """Returns the seconds of training and validation in the first report, or None if there is none yet."""
    journal = folder / "a" / "journal.log"
    for line in journal.read_text().splitlines() if journal.exists() else []:
        attributes = json.loads(line).get("user_attr", {}) if line.endswith("}") else {}
        if "report:1" in attributes:
            return attributes["report:1"]["seconds"]
    return None


def training_in_lines(folder: Path) -> float | None:
    """Returns the same from the first line of a peer's trial."""
    for path in folder.glob("*.jsonl"):
        if os.path.getsize(path):
            return json.loads(path.read_text().splitlines()[0])["seconds"]
    return None


if __name__ == "__main__":
    main()
