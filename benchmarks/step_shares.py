"""What a training step on one core is spent on, for each task's published networks: how much is not convolution.

    taskset -c 1 python -m benchmarks.step_shares

PyTorch's profiler counts the time within each operation; what is left of the wall clock is Python's, and PyTorch's own
way from one operation to the next. Images are random: what a step takes depends on their shape alone. Networks with a
backbone are left out, since most of theirs is computed once, as are those of over 20 million weights.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.command_line import read_settings
from results.command import key
from search import tasks
from spaces.goal import Goal, Restore
from spaces.recipe import Candidate
from trainables.goals import DeviceSplit
from trainables.machine import prepare_process
from trainables.recording import WARM_UP
from trainables.training import Training

CLAIM = "Claim: convolutions are most of what a training step takes."
MAX_PARAMS = 20_000_000
PAGES, PAGE_SHAPE = 4, (420, 540)
BATCHES = 2
KINDS = {"convolution": ("conv",), "products": ("mm", "linear")}
"""Which operations count as which, by a part of their names."""


@dataclass
class Settings:
    seconds: float = key(3.0, "time for each network's measured steps")
    tasks: list[str] = key([], "which ones", "all")


def main() -> None:
    settings = read_settings(Settings, "step_shares", CLAIM)
    prepare_process()
    print("| task | network | batch | ms a step | convolution | matrix products | other operations | between them |")
    print("|---|---|---|---|---|---|---|---|")
    for name in settings.tasks or tasks.names():
        task = tasks.find(name)
        for reference, candidate in task.references.items():
            network = candidate.network
            if not network.num_fixed_layers and network.num_params <= MAX_PARAMS:
                print_shares(f"{name} | {reference}", begin(candidate, task.goal), settings.seconds)


def begin(candidate: Candidate, goal: Goal) -> Training:
    split = DeviceSplit.of(*images(candidate, goal), torch.device("cpu"))
    return Training(candidate, split, split, goal=goal, seed=0, epochs=1000)


def images(candidate: Candidate, goal: Goal) -> tuple[np.ndarray, np.ndarray]:
    """Random ones with labels, or pages with their targets."""
    random = np.random.default_rng(0)
    if isinstance(goal, Restore):
        x, y = random.integers(0, 256, (2, PAGES, *PAGE_SHAPE), dtype=np.uint8)
        return x, y
    x = random.integers(0, 256, (BATCHES * candidate.recipe.batch_size, *candidate.network.input_shape), dtype=np.uint8)
    return x, np.zeros(len(x), np.int64)


def print_shares(name: str, training: Training, max_seconds: float) -> None:
    while training.num_steps < WARM_UP + 2:
        training.train_part()
    start = time.perf_counter()
    training.train_part()
    num_epochs = max(1, int(max_seconds / (time.perf_counter() - start)))
    first = training.num_steps
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        start = time.perf_counter()
        for _ in range(num_epochs):
            training.train_part()
        seconds = time.perf_counter() - start
    spent = {event.key: event.self_cpu_time_total / 1e6 for event in profile.key_averages()}
    parts = [sum(s for key, s in spent.items() if any(part in key for part in kind)) for kind in KINDS.values()]
    parts += [sum(spent.values()) - sum(parts), max(0.0, seconds - sum(spent.values()))]
    shares = " | ".join(f"{part / seconds:.0%}" for part in parts)
    milliseconds = 1000 * seconds / (training.num_steps - first)
    print(f"| {name} | {training.batch_size} | {milliseconds:.1f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
