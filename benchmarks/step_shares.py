"""Claim: convolutions take most of a training step on one core.

    taskset -c 1 python -m benchmarks.step_shares
    taskset -c 1 python -m benchmarks.step_shares tasks=[tiny10k] candidates=24

It measures each task's published networks and, with `candidates`, the mean over random candidates drawn as a search
draws them, each with equal weight.

PyTorch's profiler measures the time within each operation; the rest of the wall-clock time is spent in Python and in
PyTorch between operations. Images are random, because the time of a step depends only on their shape. Networks with a
frozen backbone are left out, because most of their work is done once, and so are those of over 20 million weights.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.command_line import read_settings
from results.keys import key
from search import tasks
from search.planning.survey import survey
from search.study.budget import Budget
from search.tasks import Task
from spaces.goal import Goal, Restore
from spaces.recipe import Candidate
from trainables.goals import DeviceSplit
from trainables.machine import prepare_process
from trainables.training import Training

CLAIM = "Claim: convolutions take most of a training step on one core."
MAX_PARAMS = 20_000_000
WARM_UP_STEPS = 5
PAGES, PAGE_SHAPE = 4, (420, 540)
BATCHES = 2
DRAWS = 20
"""The number of draws for each wanted candidate: most draws are over the budget."""
KINDS = {"convolution": ("conv",), "products": ("mm", "linear"), "normalization": ("batch_norm",)}
"""The kinds of operations, and the parts of names by which they are recognized."""
OTHERS, BETWEEN = "other operations", "between them"


@dataclass
class Settings:
    seconds: float = key(3.0, "time for each network's measured steps")
    tasks: list[str] = key([], "tasks to measure", "all")
    candidates: int | None = key(None, "number of random candidates of each task", "none")
    seed: int = key(5, "seed of the random candidates")


def main() -> None:
    settings = read_settings(Settings, "step_shares", CLAIM)
    prepare_process()
    print(f"| task | network | batch | µs per image | {' | '.join([*KINDS, OTHERS, BETWEEN])} |")
    print("|---|---|---|---|" + "---|" * (len(KINDS) + 2))
    for name in settings.tasks or tasks.names():
        task = tasks.find(name)
        for name_of_reference, reference in task.references.items():
            candidate, network = reference.candidate, reference.candidate.network
            if not network.num_fixed_layers and network.num_params <= MAX_PARAMS:
                spent = measure(training_of(candidate, task.goal), settings.seconds)
                print_shares(f"{name} | {name_of_reference} | {candidate.recipe.batch_size}", spent)
        if settings.candidates:
            drawn = random_candidates(task, settings.candidates, settings.seed)
            seconds = settings.seconds / len(drawn)
            spent = sum((measure(training_of(each, task.goal), seconds) for each in drawn), Counter())
            mean = Counter({kind: each / len(drawn) for kind, each in spent.items()})
            print_shares(f"{name} | {len(drawn)} random candidates | theirs", mean)


def random_candidates(task: Task, num: int, seed: int) -> list[Candidate]:
    """Draws feasible candidates; fewer than `num` if the space has hardly any."""
    budget = Budget(max_params=task.max_params, max_macs=task.laptop.max_macs, max_code=task.max_code)
    return survey(task.space.pinned(task.laptop.fix), budget, seed, DRAWS * num).feasible[:num]


def training_of(candidate: Candidate, goal: Goal) -> Training:
    split = DeviceSplit.of(*images(candidate, goal), torch.device("cpu"))
    return Training(candidate, split, split, goal=goal, seed=0, epochs=1000)


def images(candidate: Candidate, goal: Goal) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images with labels, or random pages with targets."""
    random = np.random.default_rng(0)
    if isinstance(goal, Restore):
        x, y = random.integers(0, 256, (2, PAGES, *PAGE_SHAPE), dtype=np.uint8)
        return x, y
    x = random.integers(0, 256, (BATCHES * candidate.recipe.batch_size, *candidate.network.input_shape), dtype=np.uint8)
    return x, np.zeros(len(x), np.int64)


def measure(training: Training, max_seconds: float) -> Counter[str]:
    """Returns microseconds per image, by kind of operation."""
    while training.num_steps < WARM_UP_STEPS:
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
    spent: Counter[str] = Counter()
    for event in profile.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    spent[BETWEEN] = max(0.0, seconds - spent.total())
    num_images = (training.num_steps - first) * training.batch_size
    return Counter({kind: 1e6 * each / num_images for kind, each in spent.items()})


def kind_of(operation: str) -> str:
    return next((kind for kind, parts in KINDS.items() if any(part in operation for part in parts)), OTHERS)


def print_shares(name: str, spent: Counter[str]) -> None:
    shares = " | ".join(f"{spent[kind] / spent.total():.0%}" for kind in (*KINDS, OTHERS, BETWEEN))
    print(f"| {name} | {spent.total():.0f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
