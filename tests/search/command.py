"""The search's command in a process of its own, as a user runs it, on the embedded digits."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).parents[2]


def start(runs_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts a search, without a confirmation and a report unless the arguments ask for them."""
    common = ["data=made", "address=local", f"runs_dir={runs_dir}", "confirm.top_k=0", "report=false"]
    return start_command("search.run", *common, *arguments)


def start_command(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def environment() -> dict[str, str]:
    """Returns the environment without Ray's variables: a Ray on this machine must not be joined."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def run(runs_dir: Path, *arguments: str, timeout_seconds: float = HANG_SECONDS) -> tuple[int, str]:
    """Exit code and output."""
    return _result(start(runs_dir, *arguments), timeout_seconds)


def run_command(module: str, *arguments: str, timeout_seconds: float = HANG_SECONDS) -> tuple[int, str]:
    """Exit code and output."""
    return _result(start_command(module, *arguments), timeout_seconds)


def _result(process: subprocess.Popen[str], timeout_seconds: float) -> tuple[int, str]:
    with process:
        output, _ = process.communicate(timeout=timeout_seconds)
    return process.returncode, output


def timeless(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table without names and times, in a fixed order."""
    times = ["run", "train_seconds", "images_per_second", "started_at", "ended_at", "seconds"]
    keys = ["trial", "step"] if "step" in table else ["trial"]
    return table.drop(columns=times, errors="ignore").sort_values(keys, ignore_index=True)
