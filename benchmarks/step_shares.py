"""What a training step on one core is spent on: how much is not convolution.

    taskset -c 1 python -m benchmarks.step_shares
    taskset -c 1 python -m benchmarks.step_shares tasks=[tiny10k] candidates=24

For each task's published networks, and for candidates drawn at random as a search draws them: their mean, an image of
each counted alike.

PyTorch's profiler counts the time within each operation; what is left of the wall clock is Python's, and PyTorch's own
way from one operation to the next. Images are random: what a step takes depends on their shape alone. Networks with a
backbone are left out, since most of theirs is computed once, as are those of over 20 million weights.
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
from trainables.recording import WARM_UP
from trainables.training import Training

CLAIM = "Claim: convolutions are most of what a training step takes."
MAX_PARAMS = 20_000_000
PAGES, PAGE_SHAPE = 4, (420, 540)
BATCHES = 2
DRAWS = 20
"""So many times as many are drawn as are wanted: most break the budget."""
KINDS = {"convolution": ("conv",), "products": ("mm", "linear"), "normalization": ("batch_norm",)}
"""Which operations count as which, by a part of their names."""
OTHERS, BETWEEN = "other operations", "between them"


@dataclass
class Settings:
    seconds: float = key(3.0, "time for each network's measured steps")
    tasks: list[str] = key([], "which ones", "all")
    candidates: int | None = key(None, "random candidates of each task too, this many", "none")
    seed: int = key(5, "of the random candidates")


def main() -> None:
    settings = read_settings(Settings, "step_shares", CLAIM)
    prepare_process()
    print(f"| task | network | batch | µs an image | {' | '.join([*KINDS, OTHERS, BETWEEN])} |")
    print("|---|---|---|---|" + "---|" * (len(KINDS) + 2))
    for name in settings.tasks or tasks.names():
        task = tasks.find(name)
        for name_of_reference, reference in task.references.items():
            candidate, network = reference.candidate, reference.candidate.network
            if not network.num_fixed_layers and network.num_params <= MAX_PARAMS:
                spent = measure(begin(candidate, task.goal), settings.seconds)
                print_shares(f"{name} | {name_of_reference} | {candidate.recipe.batch_size}", spent)
        if settings.candidates:
            drawn = random_candidates(task, settings.candidates, settings.seed)
            spent = sum((measure(begin(each, task.goal), settings.seconds / len(drawn)) for each in drawn), Counter())
            mean = Counter({kind: each / len(drawn) for kind, each in spent.items()})
            print_shares(f"{name} | {len(drawn)} random candidates | theirs", mean)


def random_candidates(task: Task, num: int, seed: int) -> list[Candidate]:
    """Feasible ones, fewer if the space hardly has any."""
    budget = Budget(max_params=task.max_params, max_macs=task.laptop.max_macs, max_code=task.max_code)
    return survey(task.space.pinned(task.laptop.fix), budget, seed, DRAWS * num).feasible[:num]


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


def measure(training: Training, max_seconds: float) -> Counter[str]:
    """Microseconds an image, by kind of operation."""
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
