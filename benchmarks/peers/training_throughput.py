"""Claim: Frugal trains at least 3.5 times the images per second of a tutorial's loop on one core, and as well.

    python -m benchmarks.peers.training_throughput data_dir=FOLDER

Both train bertoldi's network on the same 51,000 images of MNIST, standardized, with batch 128 and Adam 1e-3, in turns
(A B A B ...), one seed after another, each training in a process of its own. Timed is an epoch from its first batch to
its last step: fetching images, forward, backward, optimizer. Not timed are reading MNIST's files, building network and
optimizer, and validation. Frugal's loop cannot train without validating, so it validates a single image, whose time
counts against it. After the last epoch both are validated on the same 9,000 images.

An epoch of Frugal drops its last, incomplete batch (56 images); only images that it trained on count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import torch

from benchmarks.command_line import load_mnist, mean_and_sd, read_settings
from benchmarks.peers import tutorial
from results.keys import key
from search.tasks.tiny10k import BERTOLDI, PIXELS
from spaces.recipe import Candidate
from trainables.goals import DeviceSplit
from trainables.machine import prepare_process
from trainables.training import Training

CLAIM = "Claim: Frugal trains at least 3.5 times the images per second of a tutorial's loop on one core, and as well."
MIN_RATIO = 3.5
CPU = torch.device("cpu")


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    seeds: int = key(5, "trainings of each loop")
    epochs: int = key(3, "epochs of a training")


@dataclass(frozen=True)
class Epoch:
    """An epoch of training: its wall-clock time and its CPU time."""

    num_images: int
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Outcome:
    """The epochs and the final accuracy of one training."""

    epochs: list[Epoch]
    val_accuracy: float

    @property
    def images_per_second(self) -> float:
        return sum(epoch.num_images for epoch in self.epochs) / sum(epoch.seconds for epoch in self.epochs)

    @property
    def images_per_cpu_second(self) -> float:
        return sum(epoch.num_images for epoch in self.epochs) / sum(epoch.cpu_seconds for epoch in self.epochs)


def main() -> None:
    settings = read_settings(Settings, "peers.training_throughput", CLAIM)
    frugal, plain = [], []
    for seed in range(settings.seeds):
        frugal.append(run_in_new_process(train_with_frugal, settings, seed))
        print_outcome("frugal", seed, frugal[-1])
        plain.append(run_in_new_process(train_plainly, settings, seed))
        print_outcome("plain", seed, plain[-1])
    print_comparison(frugal, plain)


def run_in_new_process(train: Callable[[Settings, int], Outcome], settings: Settings, seed: int) -> Outcome:
    """Trains in a new process, because Frugal's set-up (threads, memory) must not affect the other loop."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(train, settings, seed).result()


def train_with_frugal(settings: Settings, seed: int) -> Outcome:
    prepare_process()
    _, splits = load_mnist(settings.data_dir)
    train = DeviceSplit.of(splits.train.x, splits.train.y, CPU)
    val = DeviceSplit.of(splits.val.x, splits.val.y, CPU)
    one_image = DeviceSplit(val.x[:1], val.y[:1])
    network = replace(BERTOLDI.network, layers=(PIXELS, *BERTOLDI.network.layers))
    training = Training(Candidate(network, BERTOLDI.recipe), train, one_image, seed=seed, epochs=settings.epochs)
    epochs = [timed(lambda: training.advance().num_images) for _ in range(settings.epochs)]
    return Outcome(epochs, training.scores(val).score)


def train_plainly(settings: Settings, seed: int) -> Outcome:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    folder, splits = load_mnist(settings.data_dir)
    recipe, model = BERTOLDI.recipe, tutorial.plain_module(BERTOLDI.network)
    images = tutorial.images_of(folder, splits.train)
    loader = tutorial.loader_of(images, recipe.batch_size)
    optimizer = tutorial.optimizer_of(recipe, model.parameters())

    def train_epoch() -> int:
        tutorial.train_epoch(model, loader, optimizer)
        return len(images)

    epochs = [timed(train_epoch) for _ in range(settings.epochs)]
    return Outcome(epochs, tutorial.accuracy(model, tutorial.images_of(folder, splits.val)))


def timed(train_epoch: Callable[[], int]) -> Epoch:
    start, cpu_start = time.perf_counter(), time.process_time()
    num_images = train_epoch()
    return Epoch(num_images, time.perf_counter() - start, time.process_time() - cpu_start)


def print_outcome(name: str, seed: int, outcome: Outcome) -> None:
    seconds = ", ".join(f"{epoch.seconds:.2f}" for epoch in outcome.epochs)
    print(
        f"{name:<6} seed {seed}: {outcome.images_per_second:7,.0f} images/s, validation accuracy "
        f"{100 * outcome.val_accuracy:.2f}%; epochs of {seconds} s",
        flush=True,
    )


def print_comparison(frugal: list[Outcome], plain: list[Outcome]) -> None:
    print("\n| loop | images/s: median (min to max) | images per CPU second: median | validation accuracy: mean ± sd |")
    print("|---|---|---|---|")
    for name, outcomes in (("frugal", frugal), ("plain", plain)):
        rates = [outcome.images_per_second for outcome in outcomes]
        cpu_rate = statistics.median(outcome.images_per_cpu_second for outcome in outcomes)
        spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        accuracy = mean_and_sd([outcome.val_accuracy for outcome in outcomes])
        print(f"| {name} | {spread} | {cpu_rate:,.0f} | {accuracy} |")
    ratios = [a.images_per_second / b.images_per_second for a, b in zip(frugal, plain, strict=True)]
    cpu_ratios = [a.images_per_cpu_second / b.images_per_cpu_second for a, b in zip(frugal, plain, strict=True)]
    median = statistics.median(ratios)
    print(
        f"\nratio of each seed's two trainings: median {median:.2f} ({min(ratios):.2f} to "
        f"{max(ratios):.2f}); by CPU time {statistics.median(cpu_ratios):.2f} ({min(cpu_ratios):.2f} to "
        f"{max(cpu_ratios):.2f}); n = {len(ratios)}"
    )
    print(f"at least {MIN_RATIO:g} times the plain loop: {'met' if median >= MIN_RATIO else 'NOT MET'}")
    print(compare_accuracies([o.val_accuracy for o in frugal], [o.val_accuracy for o in plain]))


def compare_accuracies(frugal: list[float], plain: list[float]) -> str:
    """Formats the difference of the means with its standard error (Welch's t); beyond 2 errors it counts as real."""
    if len(frugal) < 2:
        return "accuracies: one seed is too few to compare them"
    difference = statistics.mean(frugal) - statistics.mean(plain)
    error = ((statistics.variance(frugal) + statistics.variance(plain)) / len(frugal)) ** 0.5
    verdict = "equal within 2 standard errors" if abs(difference) <= 2 * error else "DIFFERENT"
    return f"accuracies: frugal minus plain is {100 * difference:+.2f} ± {100 * error:.2f} points (± 1 SE): {verdict}"


if __name__ == "__main__":
    main()
