"""Trials an hour by how many trials share a GPU, with and without NVIDIA's MPS, beside one stock process a trial.

    python -m benchmarks.gpu.packing data_dir=FOLDER

Each search is the command that a user types, of the same seed and so of the same candidates, none of them stopped
early: a trial alone on the GPU at a time, then 2, 4 and so on, and the first once more, for what accuracies differ by
without any packing. More trials side by side are also more trials, or most of the time would be the search's end.

Stock is a trial as a tutorial has it, a process of its own: PyTorch's modules in float32, images from torchvision's
dataset through a DataLoader (`loader`), or all of them on the GPU beforehand (`resident`). It trains candidates of this
very search, those that took a median time there, one after another; Python's start and its imports belong to it.

Without a GPU trials share the CPU's cores.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import results
from benchmarks.command_line import load_mnist, read_settings
from benchmarks.gpu.on_gpu import attempt, find_device, say
from benchmarks.peers.tutorial import plain_module
from results.keys import key
from spaces.recipe import Candidate

CLAIM = "Claim: packed on one GPU, at least 10 times the trials an hour of one stock process a trial, as good as alone."
MIN_RATIO = 10.0
VAL_IMAGES = 9_000
MPS_CONTROL = "nvidia-cuda-mps-control"
PROBE = "import torch; print(torch.ones(1, device='cuda').item())"

STOCK = """
import sys, time
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision import datasets, transforms

path, folder, device, kind, batch, rate, epochs, train = sys.argv[1:]
model = torch.load(path, weights_only=False).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=float(rate))
scaled = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
mnist = datasets.MNIST(folder, train=True, transform=scaled)
order = torch.randperm(60_000)
parts = order[:int(train)], order[51_000:]
if kind == "resident":
    images = mnist.data.to(device).unsqueeze(1).float().div(255).sub(0.1307).div(0.3081)
    labels = mnist.targets.to(device)

def batches(part, size, shuffle):
    if kind == "resident":
        order = part[torch.randperm(len(part))] if shuffle else part
        return [(images[places], labels[places]) for places in order.to(device).split(size)]
    return DataLoader(Subset(mnist, part.tolist()), batch_size=size, shuffle=shuffle)

for epoch in range(int(epochs)):
    model.train()
    for x, y in batches(parts[0], int(batch), True):
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        held_out = batches(parts[1], 1000, False)
        right = sum((model(x.to(device)).argmax(1) == y.to(device)).sum().item() for x, y in held_out)
print(right / len(parts[1]))
"""


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    packs: list[int] = key([1, 2, 4, 8, 16], "how many trials share the GPU; 1 must be among them")
    mps: str = key("auto", "auto: with and without, where it can be started; off")
    trials: int = key(32, "trials of a search")
    rounds: int = key(6, "so many for each that trains at a time, if that is more")
    epochs: int = key(4, "epochs of a trial")
    train: int = key(51_000, "training images")
    stock: int = key(2, "trainings of each stock kind")
    stock_kinds: list[str] = key(["loader", "resident"], "which ones")
    seed: int = key(1, "seed of every search")
    budget_seconds: int = key(400, "no further search is begun after these")
    search_seconds: int = key(150, "a search that takes longer is ended")
    folder: str | None = key(None, "where the searches' folders are left", "a temporary one")
    extra: list[str] = key([], "further keys for search.run")


@dataclass(frozen=True)
class Search:
    """One search: what its trials came to, and when they ran, in seconds from its command's start."""

    pack: int
    label: str
    seconds: float
    board: pd.DataFrame

    @property
    def complete(self) -> pd.DataFrame:
        return self.board[self.board["status"] == "COMPLETE"].set_index("trial")

    @property
    def training_seconds(self) -> float:
        """From the first trial's start to the last one's end."""
        return (self.board["ended_at"].max() - self.board["started_at"].min()).total_seconds()

    @property
    def trials_an_hour(self) -> float:
        return 3600 * len(self.complete) / self.training_seconds

    @property
    def images_a_second(self) -> float:
        rates, seconds = (self.complete[name].to_numpy(float) for name in ("images_per_second", "train_seconds"))
        return float(rates @ seconds) / self.training_seconds


@dataclass
class Session:
    """All that is done in one run of this benchmark."""

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
    """What matters most first: time may run out."""
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
        "\n| trials on a GPU | trials | an hour | images/s | whole command | its start and end | accuracy: mean "
        "difference to alone | largest | trials beyond 2 SE |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for pack in packs:
        if time.monotonic() > session.deadline:
            say(f"| {pack} {label} | left out: the time is up |")
            continue
        try:
            session.searches.append(search(session, pack, label))
            say(row(session.searches[-1], session.alone))
        except subprocess.SubprocessError as error:
            say(f"| {pack} {label} | {told(error)} |")


def search(session: Session, pack: int, label: str) -> Search:
    settings, name = session.settings, f"pack-{pack}{label and '-'}{label}"
    trials = max(settings.trials, settings.rounds * pack)
    is_gpu, cores = session.device.type == "cuda", len(os.sched_getaffinity(0))
    share = min(1, cores / pack) / (2 if is_gpu else 1)  # where a GPU computes, no core is waited for
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
    cells = [f"{found.pack} {found.label}", f"{len(found.complete)} of {total}", f"{found.trials_an_hour:,.0f}"]
    cells += [f"{found.images_a_second:,.0f}", f"{found.seconds:.0f} s", f"{found.seconds - seconds:.0f} s"]
    return f"| {' | '.join([*cells, *differences(found, alone)])} |"


def differences(found: Search, alone: Search) -> list[str]:
    """Of accuracies of trials that ran in both: their mean, the largest, and how many are beyond 2 standard errors."""
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
    """Of accuracies on the validation images."""
    return np.sqrt(accuracy * (1 - accuracy) / VAL_IMAGES)


def told(error: subprocess.SubprocessError) -> str:
    """Why a process ended, in a line."""
    output = getattr(error, "stderr", None) or getattr(error, "output", None) or ""
    text = output if isinstance(output, str) else output.decode(errors="replace")
    return f"FAILED: {str(error)[-60:]} {' / '.join(text.strip().splitlines()[-3:])}"


# --- MPS ---


def search_with_mps(session: Session, packs: list[int]) -> None:
    if session.settings.mps == "off":
        return
    if session.device.type != "cuda" or not shutil.which(MPS_CONTROL):
        say(f"\nMPS: left out, there is no {'GPU' if session.device.type != 'cuda' else MPS_CONTROL}")
        return
    with mps() as trouble:
        if trouble:
            say(f"\nMPS could not be started: {trouble}")
        else:
            search_all(session, packs, "with MPS")


@contextmanager
def mps() -> Iterator[str]:
    """NVIDIA's MPS for the processes begun within it; why it does not work, or an empty string."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: f"{folder}/{name}" for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")}
        for path in environment.values():
            Path(path).mkdir()
        os.environ.update(environment)  # this process has not begun to use the GPU, and must not
        try:
            yield _start_mps(Path(environment["CUDA_MPS_LOG_DIRECTORY"]))
        finally:
            subprocess.run([MPS_CONTROL], input="quit\n", text=True, capture_output=True, timeout=60)
            for name in environment:
                del os.environ[name]


def _start_mps(logs: Path) -> str:
    try:
        with (logs / "start.log").open("w") as output:  # not a pipe, which the daemon might keep open
            subprocess.run([MPS_CONTROL, "-d"], stdout=output, stderr=output, check=True, timeout=30)
        subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=120)
        servers = subprocess.run(
            [MPS_CONTROL], input="get_server_list\n", capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError) as error:
        logged = [line for path in sorted(logs.glob("*.log")) for line in path.read_text().splitlines()[-3:]]
        return " / ".join([told(error) if isinstance(error, subprocess.SubprocessError) else str(error), *logged])
    return "" if servers.stdout.strip() else "the process that tried it was not served by it"


# --- Stock ---


def train_stock(session: Session) -> None:
    """Prints seconds of each training, and how many of them an hour holds."""
    say("\n| stock | trial | seconds, start and imports included | accuracy |", "|---|---|---|---|")
    for kind in session.settings.stock_kinds:
        seconds = session.stock_seconds[kind] = []
        for number, candidate in median_trials(session.alone, session.settings.stock):
            taken, accuracy = stock_training(session, kind, candidate)
            seconds.append(taken)
            say(f"| {kind} | {number} | {taken:.1f} | {accuracy:.2%} |")


def median_trials(alone: Search, number: int) -> list[tuple[int, Candidate]]:
    """Those whose training took nearest to the median."""
    taken = alone.complete["train_seconds"].to_numpy(float)
    nearest = np.argsort(np.abs(taken - np.median(taken)), kind="stable")[:number]
    trials, candidates = list(alone.complete.index), list(alone.complete["candidate_json"])
    return [(trials[place], Candidate.from_json(candidates[place])) for place in nearest]


def stock_training(session: Session, kind: str, candidate: Candidate) -> tuple[float, float]:
    """Seconds and accuracy."""
    settings, recipe = session.settings, candidate.recipe
    session.folder.mkdir(parents=True, exist_ok=True)
    path = session.folder / "stock.pt"
    torch.save(plain_module(candidate.network), path)
    words = [path, session.data_dir, session.device.type, kind, recipe.batch_size, recipe.learning_rate]
    words += [settings.epochs, settings.train]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STOCK, *map(str, words)],
        capture_output=True,
        text=True,
        check=True,
        timeout=settings.search_seconds,
    )
    return time.monotonic() - start, float(done.stdout)


# --- What came of it ---


def print_verdict(session: Session) -> None:
    alone = session.alone
    firsts = [search for search in session.searches if search is alone or search.pack > 1]
    best = max(firsts, key=lambda search: search.trials_an_hour)
    error = 100 * float(np.median(standard_error(alone.complete["score"].to_numpy(float))))
    say(
        f"\nMost trials an hour: {best.pack} on a GPU{' ' + best.label if best.label else ''}: "
        f"{best.trials_an_hour:,.0f}, {best.trials_an_hour / alone.trials_an_hour:.1f} times those of one at a time; "
        f"a standard error of an accuracy is {error:.2f} points."
    )
    for kind, seconds in session.stock_seconds.items():
        if not seconds:
            continue
        ratio = best.trials_an_hour * statistics.median(seconds) / 3600
        claim = f": {MIN_RATIO:g} times: {'met' if ratio >= MIN_RATIO else 'NOT MET'}" if kind == "loader" else ""
        say(f"Against stock, {kind}, {3600 / statistics.median(seconds):,.0f} an hour: {ratio:.1f} times{claim}")


if __name__ == "__main__":
    main()
