"""A run of the real command that tests kill and resume, with a log of its workers' epochs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import results
from tests.search.command import ROOT, environment, timeless
from tests.waiting import HANG_SECONDS


@dataclass(frozen=True)
class Run:
    """The run 'a' in `runs_dir`, started with `arguments` on the Ray cluster at `address`."""

    runs_dir: Path
    address: str
    arguments: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return self.runs_dir / "a"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.log"

    @property
    def log(self) -> Path:
        return self.runs_dir / "epochs.log"

    @property
    def output(self) -> str:
        """Returns the output of all sessions."""
        return (self.runs_dir / "output.txt").read_text()

    @contextmanager
    def started(self, **changes: str) -> Iterator[subprocess.Popen[str]]:
        """Starts or resumes the run, with changes to its environment; kills it at the end of the block."""
        self.runs_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.faults.driver", "data=made", f"address={self.address}", "run=a"]
        command += ["confirm.top_k=0", "report=false"]
        with (self.runs_dir / "output.txt").open("a") as output:
            process = subprocess.Popen(
                [*command, f"runs_dir={self.runs_dir}", *self.arguments],
                cwd=ROOT,
                env={**environment(), "FAULTS_LOG": str(self.log), **changes},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                process_group=0,  # so that a test can signal the whole group
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                kill(process)

    def wait(self, process: subprocess.Popen[str], exit_code: int) -> None:
        found = process.wait(timeout=HANG_SECONDS)
        assert found == exit_code, self.output

    def wait_until(self, condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
        """Waits until the condition holds; fails if the process ends first."""
        assert wait_for(lambda: condition() or process.poll() is not None), f"waited too long:\n{self.output}"
        assert condition(), f"ended too soon:\n{self.output}"

    def finish(self) -> None:
        """Resumes the run and waits for its end."""
        with self.started() as process:
            self.wait(process, 0)

    def table(self, name: str = "leaderboard") -> pd.DataFrame:
        return timeless(results.load("tiny10k", self.runs_dir, table=name))

    def epochs(self, what: str = "end") -> Counter[tuple[int, int]]:
        """Returns how often each (trial, epoch) was trained, or started if `what` is 'begin'."""
        return Counter((trial, epoch) for kind, trial, epoch, _ in self.notes() if kind == what)

    def notes(self) -> list[tuple[str, int, int, int]]:
        """Returns the log of workers: kind, trial, epoch and process ID."""
        lines = self.log.read_text().split("\n")[:-1] if self.log.exists() else []
        return [(kind, *map(int, numbers)) for kind, *numbers in (line.split() for line in lines)]  # type: ignore[misc]

    def repeated(self) -> int:
        """Returns the number of times that an epoch was trained again."""
        return sum(count - 1 for count in self.epochs().values())

    def cut_off(self) -> int:
        """Returns the number of epochs that were started and not ended."""
        return self.epochs("begin").total() - self.epochs().total()

    def picture(self) -> dict[str, Any]:
        """Returns candidates, reports and decisions, without times and nodes."""
        tables = {name: self.table(name).drop(columns="node", errors="ignore") for name in ("leaderboard", "curves")}
        return {name: table.to_dict("list") for name, table in tables.items()}


def wait_for(condition: Callable[[], Any]) -> bool:
    """Waits for the condition; returns False after HANG_SECONDS."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
