"""The search's command in a process of its own, as a user runs it, on the embedded digits."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]


def start(runs_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "search.run", "data=made", "address=local", f"runs_dir={runs_dir}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def environment() -> dict[str, str]:
    """Ours without Ray's: a Ray that happens to run on this machine must not be joined."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def run(runs_dir: Path, *arguments: str, timeout_seconds: float = 150) -> tuple[int, str]:
    """Exit code and output."""
    with start(runs_dir, *arguments) as process:
        output, _ = process.communicate(timeout=timeout_seconds)
    return process.returncode, output


def timeless(table: pd.DataFrame) -> pd.DataFrame:
    """A table without names and times, in a fixed order."""
    times = ["run", "train_seconds", "images_per_second", "started_at", "ended_at", "seconds"]
    keys = ["trial", "step"] if "step" in table else ["trial"]
    return table.drop(columns=times, errors="ignore").sort_values(keys, ignore_index=True)
