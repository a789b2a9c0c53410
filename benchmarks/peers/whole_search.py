"""Claim: a search trains at least 4 times the useful images per second of a tutorial's with Ray Tune or Optuna.

    python -m benchmarks.peers.whole_search data_dir=FOLDER

All searches draw from the same space: tiny10k's with bertoldi's network fixed, so that an image costs the same in every
trial; optimizer, learning rate, weight decay and dropout vary. TPE and successive halving have the same settings, a
trial has one thread, two trials run in parallel, and all train on the same 12,000 images.

Timed is the whole process of a search, from command to end; searches run in turns. Useful images are those on which a
trial with a finite score trained. A peer's trials (peer_search.py) train as in PyTorch's tutorials (tutorial.py);
`..._with_our_loop` uses the peer's scheduling with Frugal's training, so that only scheduling differs.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import results
from benchmarks.command_line import load_mnist, read_settings
from results.keys import key

CLAIM = "Claim: a search trains at least 4 times the useful images per second of a tutorial's with Ray Tune or Optuna."
MIN_RATIO = 4.0
SLOTS, GRACE, REDUCTION = 2, 1, 3
PINS = ["stages=2", "padding=same", "pooling=max", "convs_1=2", "convs_2=1", "kernel_1=3", "kernel_2=3", "width_1_1=8"]
PINS += ["width_1_2=8", "width_2_1=16", "head=flatten", "hidden=false", "batch_norm=false", "activation=relu"]
PINS += ["batch_size=128", "schedule=constant", "augmentation=none", "ema=false", "label_smoothing=0"]
FRUGAL = "frugal"
OUR_LOOP = "_with_our_loop"
PEERS = ("ray_tune", f"ray_tune{OUR_LOOP}", "optuna", f"optuna{OUR_LOOP}")


@dataclass
class SearchSettings:
    """The settings that a search shares with its peers'."""

    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    trials: int = key(12, "trials of a search")
    epochs: int = key(3, "maximum epochs of a trial")
    train: int = key(12_000, "training images")
    val: int = key(2_000, "validation images")
    seed: int = key(1, "seed of the search, the first one if there are several")


@dataclass
class Settings(SearchSettings):
    repeats: int = key(3, "searches of each kind")


@dataclass(frozen=True)
class Search:
    """The result of one search."""

    seconds: float
    images: float
    training: float
    """The seconds of training and validation, summed over all slots."""
    num_trials: int
    """The number of trials with a finite score."""
    best: float

    @property
    def rate(self) -> float:
        return self.images / self.seconds


def main() -> None:
    settings = read_settings(Settings, "peers.whole_search", CLAIM)
    load_mnist(settings.data_dir)  # ends here if it is unavailable
    searches: dict[str, list[Search]] = {name: [] for name in (FRUGAL, *PEERS)}
    for repeat in range(settings.repeats):
        for name, done in searches.items():
            with tempfile.TemporaryDirectory() as folder:
                done.append(search(settings, name, settings.seed + repeat, Path(folder)))
            last = done[-1]
            print(
                f"{name}, seed {settings.seed + repeat}: {last.seconds:.0f} s, {last.num_trials} useful trials, "
                f"{last.rate:,.0f} images/s, best {last.best:.2%}",
                flush=True,
            )
    print_comparison(settings, searches)


def search(settings: Settings, name: str, seed: int, folder: Path) -> Search:
    words = frugal_words(settings, seed, folder) if name == FRUGAL else peer_words(settings, name, seed, folder)
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
    seconds = time.monotonic() - start
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return of_frugal(folder, seconds) if name == FRUGAL else of_peer(folder, seconds)


def frugal_words(settings: SearchSettings, seed: int, folder: Path) -> list[str]:
    return [
        *("search.run", "task=tiny10k", "data=original", f"num_trials={settings.trials}"),
        *(f"max_epochs={settings.epochs}", f"grace_epochs={GRACE}", f"reduction_factor={REDUCTION}", f"seed={seed}"),
        *(f"train_examples={settings.train}", f"val_examples={settings.val}", f"concurrency={SLOTS}", "address=local"),
        *("references=false", "confirm.top_k=0", "report=false", f"runs_dir={folder}", "run=a"),
        *(f"fix.{pin}" for pin in PINS),
        *([f"data_dir={settings.data_dir}"] if settings.data_dir else []),
    ]


def peer_words(settings: SearchSettings, name: str, seed: int, folder: Path) -> list[str]:
    same = [f"{word}={getattr(settings, word)}" for word in ("trials", "epochs", "train", "val")]
    same += [f"data_dir={settings.data_dir}"] if settings.data_dir else []
    return ["benchmarks.peers.peer_search", f"peer={name}", f"folder={folder}", f"seed={seed}", *same]


def of_frugal(folder: Path, seconds: float) -> Search:
    board = results.load("tiny10k", folder)
    board = board[board["score"].notna()]
    images = (board["images_per_second"] * board["train_seconds"]).sum()
    return Search(seconds, float(images), float(board["train_seconds"].sum()), len(board), float(board["score"].max()))


def of_peer(folder: Path, seconds: float) -> Search:
    """Reads the result from the lines that a peer's trials wrote, one per epoch."""
    lines = [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]
    useful = [line for line in lines if math.isfinite(line["loss"])]
    return Search(
        seconds,
        sum(line["images"] for line in useful),
        sum(line["seconds"] for line in useful),
        len({line["trial"] for line in useful}),
        max(line["score"] for line in useful),
    )


def print_comparison(settings: Settings, searches: dict[str, list[Search]]) -> None:
    print("\n| search | useful images/s: median (min to max) | seconds | slots train | useful trials | best |")
    print("|---|---|---|---|---|---|")
    for name, done in searches.items():
        rates = [each.rate for each in done]
        share = statistics.median(each.training / (SLOTS * each.seconds) for each in done)
        seconds, trials, best = (
            statistics.median(getattr(each, what) for each in done) for what in ("seconds", "num_trials", "best")
        )
        spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        print(f"| {name} | {spread} | {seconds:.0f} | {share:.0%} | {trials:g} of {settings.trials} | {best:.2%} |")
    print()
    for name in PEERS:
        ratios = [a.rate / b.rate for a, b in zip(searches[FRUGAL], searches[name], strict=True)]
        median = statistics.median(ratios)
        claim = "" if OUR_LOOP in name else f": {MIN_RATIO:g} times: {'met' if median >= MIN_RATIO else 'NOT MET'}"
        print(f"frugal to {name}: median {median:.2f} ({min(ratios):.2f} to {max(ratios):.2f}){claim}")


if __name__ == "__main__":
    main()
