"""Claim: one driver feeds as many slots as a small cluster has; past that, slots wait for it.

    python -m benchmarks.driver workers=[8,32,96]

It runs the whole command on made data; only training is fake. A fake trial sleeps for `seconds`, saves a checkpoint of
the size of tiny10k's, and reports. Ray counts as many CPUs as there are workers.

Measured are CPU seconds of the driver, the checkpoint store, Ray and the workers, and the share of time in which slots
are busy. The first trials wait for each other until every worker has one, because starting the workers takes longer
than their reports; busy time counts from then on. Two lengths of trials separate the cost of a report from the cost of
a trial.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.cluster.connection import QUIET

os.environ.update(QUIET)  # must be set before Ray is imported

import numpy as np
import psutil
import ray
from ray import tune

import results
from benchmarks.command_line import read_settings
from benchmarks.ray_head import NO_TOKEN, free_port, ray_head
from results.keys import key
from search import run
from search.trials import tuning
from trainables.trial_spec import TrialSpec

CLAIM = "Claim: one driver feeds as many slots as a small cluster has; past that, slots wait for it."
CHECKPOINT_BYTES = 150_000
PARTS = {"ray::CheckpointStore": "store", "ray::_Inner": "workers"}
"""Parts of the names of processes, and the names of their rows; all other processes count as Ray's own."""


@dataclass
class Settings:
    workers: list[int] = key([8, 32, 96], "numbers of trials in parallel")
    trials: int = key(128, "trials of each search")
    reports: list[int] = key([4, 16], "reports of a trial: two lengths")
    seconds: float = key(1.0, "seconds between two reports of a trial")


class Fake(tune.Trainable):
    """A trial that sleeps instead of training; its scores are noise that depends on its number."""

    def setup(self, config: dict[str, Any], arrays: Any = None, store: Any = None, threads: int = 1) -> None:
        assert arrays is not None
        self.store, self.saving = store, None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.spec, self.step_number = TrialSpec.from_json(new_config["spec"]), 0
        self.scores = np.random.default_rng(self.spec.number).uniform(0.9, 1.0, size=1_000)
        return True

    def step(self) -> dict[str, Any]:
        seconds, last = float(os.environ["FAKE_SECONDS"]), self.spec.epochs
        if self.step_number == 0:
            await_others(self.spec.number)
        time.sleep(seconds)
        self.step_number += 1
        if self.saving is not None:
            ray.get(self.saving)
        self.saving = self.store.save.remote(self.spec.number, bytes(CHECKPOINT_BYTES), self.step_number)
        score = float(self.scores[self.step_number])
        report = {
            "step": self.step_number,
            "epoch": float(self.step_number),
            "train_loss": 1 - score,
            "val_loss": 1 - score,
            "val_score": score,
            "learning_rate": 1e-3,
            "seconds": seconds,
            "num_images": 51_000,
            "finished": self.step_number == last,
            "metrics": {},
            "device": "none",
            "node": "none",
        }
        return {"report": json.dumps(report)}


def await_others(number: int) -> None:
    """Waits until FAKE_TOGETHER trials have called this."""
    folder, needed = Path(os.environ["FAKE_FOLDER"]), int(os.environ["FAKE_TOGETHER"])
    (folder / str(number)).touch()
    while len(os.listdir(folder)) < needed:
        time.sleep(0.2)


def main() -> None:
    settings = read_settings(Settings, "driver", CLAIM)
    os.environ["FAKE_SECONDS"] = str(settings.seconds)
    tuning.TrialTrainable = Fake  # type: ignore[misc]
    print("| workers | trials | reports per trial | seconds | slots busy | driver, CPU s | store | Ray | workers |")
    print("|---|---|---|---|---|---|---|---|---|")
    few, many = settings.reports
    for workers in settings.workers:
        half = measure(workers, settings.trials // 2, few, settings.seconds)
        short = measure(workers, settings.trials, few, settings.seconds)
        long = measure(workers, settings.trials, many, settings.seconds)
        report = (long - short) / (settings.trials * (many - few))
        trial = (short - half) / (settings.trials - settings.trials // 2) - few * report
        print(f"\n{workers} workers: {1000 * trial:.1f} ms per trial, {1000 * report:.1f} ms per report\n", flush=True)


def measure(workers: int, trials: int, reports: int, report_seconds: float) -> float:
    """Runs a search, prints its row, and returns the driver's CPU seconds."""
    with (
        tempfile.TemporaryDirectory() as folder,
        together(min(workers, trials)) as all_started_at,
        local_cluster(workers) as (address, head),
        Watch(head) as watch,
    ):
        words = [f"num_trials={trials}", f"max_epochs={reports}", f"grace_epochs={reports}", "data=made"]
        words += [f"address={address}", f"runs_dir={folder}", "run=a", "references=false", "report=false"]
        start = time.monotonic()
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            code = run.main([*words, "confirm.top_k=0"])
        seconds = time.monotonic() - start
        assert code == 0, f"the search ended with {code}"
        assert len(results.load("tiny10k", Path(folder), table="curves")) == trials * reports
        last_end = results.load("tiny10k", Path(folder))["ended_at"].max().timestamp()
        busy = trials * reports * report_seconds / (min(workers, trials) * (last_end - all_started_at()))
    cells = [f"{watch.spent[part]:.1f}" for part in ("driver", "store", "Ray", "workers")]
    print(f"| {workers} | {trials} | {reports} | {seconds:.0f} | {busy:.0%} | {' | '.join(cells)} |", flush=True)
    return watch.spent["driver"]


@contextmanager
def together(num_trials: int) -> Iterator[Callable[[], float]]:
    """Makes the first `num_trials` fake trials wait for each other; yields the time when all had started (Unix time).

    Enter it before there are workers: they inherit it through the environment.
    """
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(FAKE_FOLDER=folder, FAKE_TOGETHER=str(num_trials))
        yield lambda: sorted(path.stat().st_mtime for path in Path(folder).iterdir())[num_trials - 1]


class Watch:
    """Measures CPU seconds of this process and of Ray's, by part. It samples every second, because processes end."""

    def __init__(self, head: psutil.Process) -> None:
        self.head, self.over = head, threading.Event()
        self.first: dict[tuple[str, int], float] = {}
        self.last: dict[tuple[str, int], float] = {}
        self.thread = threading.Thread(target=self._look_often, daemon=True)

    def __enter__(self) -> Watch:
        self.first = self._look()
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()
        self.last |= self._look()

    @property
    def spent(self) -> Counter[str]:
        """Returns CPU seconds by part: driver, store, Ray, workers."""
        spent: Counter[str] = Counter()
        for (part, process), seconds in self.last.items():
            spent[part] += seconds - self.first.get((part, process), 0.0)
        return spent

    def _look_often(self) -> None:
        while not self.over.wait(1.0):
            self.last |= self._look()

    def _look(self) -> dict[tuple[str, int], float]:
        found = {("driver", os.getpid()): _spent(psutil.Process())}
        for process in self.head.children(recursive=True):
            try:
                command = " ".join(process.cmdline())
                part = next((part for name, part in PARTS.items() if name in command), "Ray")
                found[part, process.pid] = _spent(process)
            except psutil.NoSuchProcess:
                continue
        return found


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def local_cluster(num_cpus: int) -> Iterator[tuple[str, psutil.Process]]:
    """Starts a separate Ray that counts `num_cpus` CPUs; yields its address and its first process."""
    port = free_port()
    with ray_head(port, {"num-cpus": num_cpus}, os.environ, Path(os.devnull)) as head:
        yield f"127.0.0.1:{port}", psutil.Process(head)


if __name__ == "__main__":
    os.environ.update(NO_TOKEN)
    main()
