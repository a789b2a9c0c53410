"""Claim: a suitable candidate reaches 99% of MNIST's validation images within a second of training on a GPU.

    python -m benchmarks.gpu.step data_dir=FOLDER

It has four parts, and prints each when it is done.

- `ceilings` measures the peak rates of the device.
- `steps` compares three loops in turns: the step recorded as a CUDA graph, the same step started kernel by kernel, and
  a tutorial's loop. All images are on the device. Timed are whole epochs without validation; the tutorial's loop reads
  its loss only once per epoch.
- `kernels` counts the kernels of a step, and compares its time with three lower bounds.
- `accuracy` trains until 99% of the validation images are classified correctly.

All parts also run on a CPU, where no step is recorded and PyTorch's operations count as kernels.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.command_line import load_mnist, read_settings
from benchmarks.gpu.accuracy import print_accuracy
from benchmarks.gpu.candidates import CANDIDATES, unvalidated_training
from benchmarks.gpu.kernels import print_kernels
from benchmarks.gpu.on_gpu import Ceilings, attempt, find_device, micro, say, seconds_of
from benchmarks.peers.tutorial import optimizer_of, plain_module
from results.keys import key
from search.tasks.tiny10k import PIXELS
from spaces.recipe import Candidate
from trainables.augment import augment
from trainables.goals import DeviceSplit
from trainables.machine import describe, fastest_precision, prepare_process

CLAIM = "Claim: a suitable candidate reaches 99% of MNIST's validation images within a second of training on a GPU."


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder that holds MNIST/raw", "$FRUGAL_DATA_DIR, else a cache in your home")
    device: str = key("auto", "cuda, cpu or auto")
    parts: list[str] = key(["ceilings", "steps", "kernels", "accuracy"], "parts to run")
    candidates: list[str] = key(list(CANDIDATES), "candidates to measure")
    blocks: int = key(7, "timed epochs of each loop")
    train: int = key(51_000, "training images")
    val: int = key(9_000, "validation images")
    seeds: int = key(5, "trainings to 99%, after a first one that does not count")
    epochs: int = key(5, "epochs of each training to 99%")


def main() -> None:
    settings = read_settings(Settings, "gpu.step", CLAIM)
    prepare_process()
    device, (_, splits) = find_device(settings.device), load_mnist(settings.data_dir)
    splits = splits.limited(settings.train, settings.val)
    train, val = (DeviceSplit.of(part.x, part.y, device) for part in (splits.train, splits.val))
    say(*(f"{name}: {value}" for name, value in describe(device).items()), f"precision: {fastest_precision(device)}")
    step_seconds: dict[str, float] = {}  # `steps` fills it for `kernels`
    ceilings = cache(lambda: Ceilings.measure(device))
    parts = {
        "ceilings": lambda: print_ceilings(ceilings()),
        "steps": lambda: step_seconds.update(print_steps(settings.candidates, train, settings.blocks)),
        "kernels": lambda: print_kernels(settings.candidates, train, ceilings(), step_seconds),
        "accuracy": lambda: print_accuracy(train, val, settings.seeds, settings.epochs),
    }
    sys.exit(attempt({name: parts[name] for name in settings.parts}))


def print_ceilings(ceilings: Ceilings) -> None:
    say("\n| a kernel that does nothing, in a graph | started by Python | copy, TB/s | bf16 products, TFLOP/s |")
    say("|---|---|---|---|")
    rates = f"{ceilings.bytes_per_second / 1e12:.3g} | {ceilings.flops_per_second / 1e12:.4g}"
    say(f"| {micro(ceilings.kernel_seconds)} | {micro(ceilings.eager_seconds)} | {rates} |")


class PlainLoop:
    """The loop of tutorials: float32 and PyTorch's defaults; the standardized images are on the device."""

    def __init__(self, candidate: Candidate, train: DeviceSplit) -> None:
        assert isinstance(train.x, Tensor)
        assert isinstance(train.y, Tensor)
        self.recipe, self.y = candidate.recipe, train.y
        self.x = (train.x.float() / 255 - PIXELS.mean) / PIXELS.std
        self.model = plain_module(candidate.network).to(train.device)
        self.optimizer = optimizer_of(self.recipe, self.model.parameters())
        self.generator = torch.Generator(train.device).manual_seed(0)

    def train_part(self) -> float:
        """Trains an epoch without its last, incomplete batch, and returns the mean loss."""
        order, size = torch.randperm(len(self.x), device=self.x.device), self.recipe.batch_size
        batches = order[: len(order) // size * size].split(size)
        self.model.train()
        total = torch.zeros((), device=self.x.device)
        for indices in batches:
            images = augment(self.x[indices], self.recipe.augmentation, self.generator)
            self.optimizer.zero_grad()
            loss = functional.cross_entropy(self.model(images), self.y[indices])
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return total.item() / len(batches)


def print_steps(names: Sequence[str], train: DeviceSplit, blocks: int) -> dict[str, float]:
    """Prints the seconds per step of the three loops, and returns those of the recorded one by candidate."""
    say(
        "\n| candidate | batch | tutorial's loop, float32 | ours, kernel by kernel | ours, recorded | first to last |",
        "|---|---|---|---|---|---|",
    )
    medians = {}
    for name in names:
        plain, eager, recorded = time_steps(CANDIDATES[name], train, blocks)
        medians[name] = statistics.median(recorded)
        ratios = [a / b for a, b in zip(plain, recorded, strict=True)]
        cells = [f"{CANDIDATES[name].recipe.batch_size}", *map(spread, (plain, eager, recorded))]
        cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        say(f"| {name} | {' | '.join(cells)} |")
    say(f"\nSeconds per step, medians of {blocks} epochs of each loop (min to max).")
    return medians


def time_steps(candidate: Candidate, train: DeviceSplit, blocks: int) -> tuple[list[float], list[float], list[float]]:
    """Returns the seconds per step in each block, of the tutorial's loop, ours kernel by kernel, and ours recorded."""
    ours = [
        unvalidated_training(candidate, train, epochs=blocks + 1, record_steps=recorded) for recorded in (False, True)
    ]
    loops = [PlainLoop(candidate, train), *ours]
    for loop in loops:
        loop.train_part()
    steps = ours[0].steps_per_epoch
    taken = [[seconds_of(loop.train_part, train.device) / steps for loop in loops] for _ in range(blocks)]
    plain, eager, recorded = (list(column) for column in zip(*taken, strict=True))
    return plain, eager, recorded


def spread(seconds: Sequence[float]) -> str:
    return f"{micro(statistics.median(seconds))} ({micro(min(seconds))} to {micro(max(seconds))})"


if __name__ == "__main__":
    main()
