"""Claim: packed on one GPU, at least 10 times the trials per hour of one stock process per trial, as good as alone.

    python -m benchmarks.gpu.packing data_dir=FOLDER

Each search is the command that a user types. All have the same seed and so the same candidates, and stop no trial
early. First one trial at a time uses the GPU, then 2, 4 and so on share it, with and without NVIDIA's MPS. The search
with one trial at a time is repeated at the end, to show how far accuracies differ without packing. With more trials in
parallel a search also has more trials; otherwise its end, when slots are idle, would take most of the time.

The peer is a stock trial: a process of its own that trains as a tutorial does (stock.py), with images from a DataLoader
(`loader`) or with all images on the GPU (`resident`). It trains candidates of this search whose training took the
median time, one after another. The start of Python and its imports count.

Without a GPU, trials share the CPU's cores.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import results
from benchmarks.command_line import load_mnist, read_settings
from benchmarks.gpu.mps import CONTROL, mps
from benchmarks.gpu.on_gpu import attempt, describe_failure, find_device, say
from benchmarks.peers.tutorial import plain_module
from results.keys import key
from spaces.recipe import Candidate

CLAIM = (
    "Claim: packed on one GPU, at least 10 times the trials per hour of one stock process per trial, as good as alone."
)
MIN_RATIO = 10.0
VAL_IMAGES = 9_000
STOCK = Path(__file__).with_name("stock.py")


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    packs: list[int] = key([1, 2, 4, 8, 16], "how many trials share the GPU; 1 must be among them")
    mps: str = key("auto", "auto: with and without MPS if available; off: without")
    trials: int = key(32, "trials of a search")
    rounds: int = key(6, "trials per slot, if that is more than trials=")
    epochs: int = key(4, "epochs of a trial")
    train: int = key(51_000, "training images")
    stock: int = key(2, "trainings of each stock kind")
    stock_kinds: list[str] = key(["loader", "resident"], "stock kinds to train")
    seed: int = key(1, "seed of every search")
    budget_seconds: int = key(400, "no further search starts after this time")
    search_seconds: int = key(150, "a search that takes longer is stopped")
    folder: str | None = key(None, "folder in which the searches' runs are kept", "a temporary one")
    extra: list[str] = key([], "further keys for search.run")


@dataclass(frozen=True)
class Search:
    """One search: the number of trials that shared the GPU, the seconds of the whole command, and the leaderboard."""

    pack: int
    label: str
    seconds: float
    board: pd.DataFrame

    @property
    def complete(self) -> pd.DataFrame:
        return self.board[self.board["status"] == "COMPLETE"].set_index("trial")

    @property
    def training_seconds(self) -> float:
        """Returns the seconds from the first trial's start to the last one's end."""
        return (self.board["ended_at"].max() - self.board["started_at"].min()).total_seconds()

    @property
    def trials_per_hour(self) -> float:
        return 3600 * len(self.complete) / self.training_seconds

    @property
    def images_per_second(self) -> float:
        rates, seconds = (self.complete[name].to_numpy(float) for name in ("images_per_second", "train_seconds"))
        return float(rates @ seconds) / self.training_seconds


@dataclass
class Session:
    """The state of one run of this benchmark."""

    settings: Settings
    data_dir: Path
    device: torch.device
    folder: Path
    deadline: float
    searches: list[Search] = field(default_factory=list)
    stock_seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def alone(self) -> Search:
        return next(search for search in self.searches if search.pack == 1)


def main() -> None:
    settings = read_settings(Settings, "gpu.packing", CLAIM)
    data_dir, _ = load_mnist(settings.data_dir)
    with tempfile.TemporaryDirectory() as temporary:
        session = Session(
            settings,
            data_dir,
            find_device("auto"),
            Path(settings.folder or temporary).absolute(),
            time.monotonic() + settings.budget_seconds,
        )
        sys.exit(attempt(parts_of(session)))


def parts_of(session: Session) -> dict[str, Callable[[], None]]:
    """Returns the parts in order of importance, because time may run out."""
    packed = sorted((pack for pack in session.settings.packs if pack > 1), reverse=True)
    return {
        "alone": lambda: search_all(session, [1], ""),
        "stock": lambda: train_stock(session),
        "packed": lambda: search_all(session, packed, ""),
        "with MPS": lambda: search_with_mps(session, packed),
        "alone again": lambda: search_all(session, [1], "again"),
        "verdict": lambda: print_verdict(session),
    }


# --- Searches ---


def search_all(session: Session, packs: list[int], label: str) -> None:
    say(
        "\n| trials per GPU | trials | per hour | images/s | whole command | its start and end | accuracy: mean "
        "difference from alone | largest | trials beyond 2 SE |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for pack in packs:
        if time.monotonic() > session.deadline:
            say(f"| {pack} {label} | left out: out of time |")
            continue
        try:
            session.searches.append(search(session, pack, label))
            say(row(session.searches[-1], session.alone))
        except subprocess.SubprocessError as error:
            say(f"| {pack} {label} | {describe_failure(error)} |")


def search(session: Session, pack: int, label: str) -> Search:
    settings, name = session.settings, f"pack-{pack}{label and '-'}{label}"
    trials = max(settings.trials, settings.rounds * pack)
    is_gpu, cores = session.device.type == "cuda", len(os.sched_getaffinity(0))
    share = min(1, cores / pack) / (2 if is_gpu else 1)  # on a GPU, trials seldom wait for a core
    words = [
        *("task=tiny10k", "data=original", "sampler=random", "references=false", "confirm.top_k=0", "report=false"),
        *(f"num_trials={trials}", f"max_epochs={settings.epochs}", f"grace_epochs={settings.epochs}"),
        *(f"concurrency={pack}", f"cpus_per_trial={share:g}", f"seed={settings.seed}", "address=local"),
        *(f"gpus_per_trial={math.floor(1e4 / pack) / 1e4 if is_gpu else 0:g}", f"train_examples={settings.train}"),
        *(f"data_dir={session.data_dir.absolute()}", f"runs_dir={session.folder}", f"run={name}", *settings.extra),
    ]
    start = time.monotonic()
    command = [sys.executable, "-m", "search.run", *words]
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=settings.search_seconds)
    seconds = time.monotonic() - start
    return Search(pack, label, seconds, results.load("tiny10k", session.folder / name))


def row(found: Search, alone: Search) -> str:
    total, seconds = len(found.board), found.training_seconds
    cells = [f"{found.pack} {found.label}", f"{len(found.complete)} of {total}", f"{found.trials_per_hour:,.0f}"]
    cells += [f"{found.images_per_second:,.0f}", f"{found.seconds:.0f} s", f"{found.seconds - seconds:.0f} s"]
    return f"| {' | '.join([*cells, *differences(found, alone)])} |"


def differences(found: Search, alone: Search) -> list[str]:
    """Formats the differences in accuracy of trials that both completed: mean, largest, number beyond 2 SE."""
    if found is alone:
        return ["", "", ""]
    both = found.complete.index.intersection(alone.complete.index)
    boards = [each.complete.loc[both] for each in (found, alone)]
    candidates, others = (list(board["candidate_json"]) for board in boards)
    assert candidates == others, "the searches drew other candidates"
    here, there = (board["score"].to_numpy(float) for board in boards)
    beyond = np.abs(here - there) > 2 * standard_error(there)
    mean, largest = 100 * (here - there).mean(), 100 * np.abs(here - there).max()
    return [f"{mean:+.3f} points", f"{largest:.2f} points", f"{beyond.sum()} of {len(both)}"]


def standard_error(accuracy: np.ndarray) -> np.ndarray:
    """Returns the standard errors of accuracies on the validation images."""
    return np.sqrt(accuracy * (1 - accuracy) / VAL_IMAGES)


# --- MPS ---


def search_with_mps(session: Session, packs: list[int]) -> None:
    if session.settings.mps == "off":
        return
    if session.device.type != "cuda" or not shutil.which(CONTROL):
        say(f"\nMPS: left out, because there is no {'GPU' if session.device.type != 'cuda' else CONTROL}")
        return
    with mps() as trouble:
        if trouble:
            say(f"\nMPS could not be started: {trouble}")
        else:
            search_all(session, packs, "with MPS")


# --- Stock ---


def train_stock(session: Session) -> None:
    """Trains stock trials, and prints the seconds and the accuracy of each."""
    say("\n| stock | trial | seconds, start and imports included | accuracy |", "|---|---|---|---|")
    for kind in session.settings.stock_kinds:
        seconds = session.stock_seconds[kind] = []
        for number, candidate in median_trials(session.alone, session.settings.stock):
            taken, accuracy = stock_training(session, kind, candidate)
            seconds.append(taken)
            say(f"| {kind} | {number} | {taken:.1f} | {accuracy:.2%} |")


def median_trials(alone: Search, number: int) -> list[tuple[int, Candidate]]:
    """Returns the trials whose training time is nearest to the median."""
    taken = alone.complete["train_seconds"].to_numpy(float)
    nearest = np.argsort(np.abs(taken - np.median(taken)), kind="stable")[:number]
    trials, candidates = list(alone.complete.index), list(alone.complete["candidate_json"])
    return [(trials[index], Candidate.from_json(candidates[index])) for index in nearest]


def stock_training(session: Session, kind: str, candidate: Candidate) -> tuple[float, float]:
    """Trains a candidate in a stock process; returns its seconds and its accuracy."""
    settings, recipe = session.settings, candidate.recipe
    session.folder.mkdir(parents=True, exist_ok=True)
    path = session.folder / "stock.pt"
    torch.save(plain_module(candidate.network), path)
    words = [path, session.data_dir, session.device.type, kind, recipe.batch_size, recipe.learning_rate]
    words += [settings.epochs, settings.train]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(STOCK), *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        timeout=settings.search_seconds,
    )
    return time.monotonic() - start, float(done.stdout)


# --- Verdict ---


def print_verdict(session: Session) -> None:
    alone = session.alone
    firsts = [search for search in session.searches if search is alone or search.pack > 1]
    best = max(firsts, key=lambda search: search.trials_per_hour)
    error = 100 * float(np.median(standard_error(alone.complete["score"].to_numpy(float))))
    say(
        f"\nMost trials per hour: {best.pack} on a GPU{' ' + best.label if best.label else ''}: "
        f"{best.trials_per_hour:,.0f}, {best.trials_per_hour / alone.trials_per_hour:.1f} times those of one at a "
        f"time; a standard error of an accuracy is {error:.2f} points."
    )
    for kind, seconds in session.stock_seconds.items():
        if not seconds:
            continue
        ratio = best.trials_per_hour * statistics.median(seconds) / 3600
        claim = f": {MIN_RATIO:g} times: {'met' if ratio >= MIN_RATIO else 'NOT MET'}" if kind == "loader" else ""
        say(f"Against stock, {kind}, {3600 / statistics.median(seconds):,.0f} per hour: {ratio:.1f} times{claim}")


if __name__ == "__main__":
    main()
