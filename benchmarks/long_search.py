"""Claim: the driver costs as little for the last of thousands of trials as for the first hundreds.

    python -m benchmarks.long_search

It runs the whole command on made data; only training is fake. A fake trial reports immediately, and larger networks
report higher scores, so that TPE proposes candidates near the budget, where most draws are rejected.

Measured are the driver's CPU seconds in windows of a hundred trials (from the first suggestion of a window to the first
of the next), the time of each suggestion, memory, and the files that remain. Then the same run gets one more trial: the
time from the command to that trial's suggestion is the time to resume.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.cluster.connection import QUIET

os.environ.update(QUIET)  # must be set before Ray is imported

import numpy as np
import psutil

import results
from benchmarks.command_line import read_settings
from benchmarks.driver import Fake, local_cluster, together
from benchmarks.ray_head import NO_TOKEN
from results.keys import key
from search import run
from search.study.study import Study
from search.trials import tuning

CLAIM = "Claim: the driver costs as little for the last of thousands of trials as for the first hundreds."
WINDOW = 100
MAX_TRIAL_SECONDS, MAX_SUGGESTION_SECONDS, MAX_GROWTH = 0.060, 0.050, 2.0
MAX_MEMORY, MAX_FILES, MAX_RESUME_SECONDS = 700 * 2**20, 20, 20.0


@dataclass
class Settings:
    trials: int = key(5_000, "trials of the search")
    reports: int = key(10, "reports of each trial")
    slots: int = key(2, "trials in parallel")
    early: int = key(500, "number of the early trial that the last one is compared with")


class LargerIsBetter(Fake):
    """A fake trial whose score grows with the network, so that the best candidates are near the budget's limit."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        super().reset_config(new_config)
        network = self.spec.candidate.network
        self.scores = 0.9 + 0.08 * network.num_params / 10_000 + 0.1 * (self.scores - 0.9)
        return True


@dataclass
class Marks:
    """For each suggestion: its start, its duration, and the process's CPU seconds and memory before it."""

    started: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def watch(self, suggest: Callable[[Study], Any]) -> Callable[[Study], Any]:
        def watched(study: Study) -> Any:
            self.cpu.append(time.process_time())
            self.memory.append(psutil.Process().memory_info().rss)
            self.started.append(time.monotonic())
            start = time.perf_counter()
            try:
                return suggest(study)
            finally:
                self.seconds.append(time.perf_counter() - start)

        return watched

    def cpu_per_trial(self, last: int) -> float:
        """Returns the CPU seconds per trial in the window that ends with this trial."""
        return (self.cpu[last - 1] - self.cpu[last - 1 - WINDOW]) / WINDOW

    def slowest(self, last: int) -> float:
        """Returns the 99th percentile of the suggestion times in the five windows up to this trial."""
        return float(np.quantile(self.seconds[max(0, last - 5 * WINDOW) : last], 0.99))


def main() -> None:
    settings = read_settings(Settings, "long_search", CLAIM)
    os.environ["FAKE_SECONDS"] = "0"
    tuning.TrialTrainable = LargerIsBetter  # type: ignore[misc]
    marks = Marks()
    Study.suggest = marks.watch(Study.suggest)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, together(1), local_cluster(settings.slots) as (address, _):
        seconds, spent, memory = search(settings, settings.trials, address, folder)
        print_windows(settings, marks)
        files = [path for path in Path(folder, "a").rglob("*") if path.is_file() and path.parent.name != "models"]
        start = time.monotonic()
        search(settings, settings.trials + 1, address, folder)
        resumed = marks.started[-1] - start
    late, early = settings.trials, settings.early
    checks = [
        ("driver CPU per trial, all included", 1000 * spent / late, 1000 * MAX_TRIAL_SECONDS, "ms"),
        (
            f"its growth, from trial {early} to {late}",
            marks.cpu_per_trial(late) / marks.cpu_per_trial(early),
            MAX_GROWTH,
            "",
        ),
        (
            "suggestion, 99th percentile",
            1000 * float(np.quantile(marks.seconds, 0.99)),
            1000 * MAX_SUGGESTION_SECONDS,
            "ms",
        ),
        (f"its growth, from trial {early} to {late}", marks.slowest(late) / marks.slowest(early), MAX_GROWTH, ""),
        ("peak memory of the driver", memory / 2**20, MAX_MEMORY / 2**20, "MiB"),
        ("files in the run's folder", len(files), MAX_FILES, ""),
        ("resuming, to the next suggestion", resumed, MAX_RESUME_SECONDS, "s"),
    ]
    print(f"\n{late} trials of {settings.reports} reports on {settings.slots} slots took {seconds:.0f} s")
    print()
    print("| what | measured | at most | |\n|---|---|---|---|")
    for what, measured, limit, unit in checks:
        print(f"| {what} | {measured:.3g} {unit} | {limit:g} {unit} | {'met' if measured <= limit else 'NOT MET'} |")


def search(settings: Settings, trials: int, address: str, folder: str) -> tuple[float, float, float]:
    """Runs the command; returns its seconds, CPU seconds and peak memory in bytes."""
    words = [f"num_trials={trials}", f"max_epochs={settings.reports}", f"grace_epochs={settings.reports}", "data=made"]
    words += [f"address={address}", f"runs_dir={folder}", "run=a", "references=false", "report=false"]
    start, cpu = time.monotonic(), time.process_time()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        code = run.main([*words, "confirm.top_k=0"])
    spent = time.monotonic() - start, time.process_time() - cpu, peak_memory()
    assert code == 0, f"the search ended with {code}"
    assert len(results.load("tiny10k", Path(folder), table="curves")) == trials * settings.reports
    return spent


def print_windows(settings: Settings, marks: Marks) -> None:
    print(
        "| trials | driver CPU, ms per trial | suggestion, ms: median | 99th percentile | MiB |\n|---|---|---|---|---|"
    )
    for last in range(settings.early, settings.trials + 1, settings.early):
        median = 1000 * statistics.median(marks.seconds[last - WINDOW : last])
        print(
            f"| {last - WINDOW} to {last} | {1000 * marks.cpu_per_trial(last):.1f} | {median:.1f} "
            f"| {1000 * marks.slowest(last):.1f} | {marks.memory[last - 1] / 2**20:.0f} |",
            flush=True,
        )


def peak_memory() -> float:
    """Returns this process's peak memory in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    os.environ.update(NO_TOKEN)
    main()
