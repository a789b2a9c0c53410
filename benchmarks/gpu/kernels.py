"""The kernels of a training step, and lower bounds of its time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from benchmarks.gpu.candidates import CANDIDATES, unvalidated_training
from benchmarks.gpu.on_gpu import Ceilings, micro, say, synchronize
from spaces.layers import Flatten, Reshape, Save
from spaces.network import short_number
from spaces.recipe import Candidate
from trainables.goals import DeviceSplit

PROFILED_STEPS = 20
OPTIMIZER_BYTES = 40
"""The bytes per weight and step: Adam reads weight, gradient and two averages and writes three of them, all float32;
before that, the weight was cast to bfloat16, and its gradient written in both types."""


def print_kernels(
    names: Sequence[str], train: DeviceSplit, ceilings: Ceilings, step_seconds: Mapping[str, float]
) -> None:
    """Prints the kernels of a step, and its time (NaN if unknown) as a multiple of three lower bounds."""
    found = {}
    say(
        "\n| candidate | recorded step | kernels: called, recorded | busy | kernels' starts | bytes | operations |",
        "|---|---|---|---|---|---|---|",
    )
    for name in names:
        candidate = CANDIDATES[name]
        called, recorded = (kernels_of_step(candidate, train, record_steps=recorded) for recorded in (False, True))
        found[name] = recorded
        seconds = step_seconds.get(name, math.nan)
        num_bytes, flops = bytes_of_step(candidate), 6 * candidate.network.num_macs * candidate.recipe.batch_size
        floors = [
            called.number * ceilings.kernel_seconds,
            num_bytes / ceilings.bytes_per_second,
            flops / ceilings.flops_per_second,
        ]
        cells = [f"{seconds / floor:.1f} times {micro(floor)}" for floor in floors]
        cells[1] += f" for {short_number(num_bytes)}B"
        cells[2] += f" for {short_number(flops)}"
        numbers = f"{called.number:.0f}, {recorded.number:.0f}"
        say(f"| {name} | {micro(seconds)} | {numbers} | {micro(recorded.busy_seconds)} | {' | '.join(cells)} |")
    say("\nThe last three columns: the time of the recorded step as a multiple of each lower bound.")
    for name, kernels in found.items():
        _print_longest(name, kernels)


@dataclass(frozen=True)
class Kernels:
    """The kernels that the device runs in a step."""

    number: float
    busy_seconds: float
    by_name: dict[str, tuple[float, float]]
    """For each name of a kernel, the number per step and their seconds together."""


def kernels_of_step(candidate: Candidate, train: DeviceSplit, *, record_steps: bool) -> Kernels:
    """Profiles an epoch of a few steps; work that is done once per epoch is included, divided by the steps."""
    size = PROFILED_STEPS * candidate.recipe.batch_size
    few = DeviceSplit(train.x[:size], train.y[:size])
    training = unvalidated_training(candidate, few, epochs=2, record_steps=record_steps)
    training.train_part()
    activities = [torch.profiler.ProfilerActivity.CPU]
    if train.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profiler:
        training.train_part()
        synchronize(train.device)
    steps = training.steps_per_epoch
    seconds = defaultdict[str, list[float]](list)
    for name, taken in _kernels(profiler, train.device):
        seconds[name].append(taken)
    by_name = {name: (len(taken) / steps, sum(taken) / steps) for name, taken in seconds.items()}
    number, busy = (sum(column) for column in zip(*by_name.values(), strict=True))
    return Kernels(number, busy, by_name)


def _kernels(profiler: torch.profiler.profile, device: torch.device) -> Iterable[tuple[str, float]]:
    """Yields names and seconds of kernels and copies on a GPU, or of operations that call no others on a CPU."""
    for event in profiler.events() or []:
        is_on_gpu = event.device_type.name == "CUDA"
        is_annotation = getattr(event, "is_user_annotation", False) or event.name.startswith("Optimizer.")
        counts = is_on_gpu if device.type == "cuda" else not event.cpu_children
        if counts and not is_annotation:
            yield event.name, event.time_range.elapsed_us() / 1e6


def bytes_of_step(candidate: Candidate) -> int:
    """Estimates the bytes that a step moves if each layer runs separately, in bfloat16, without a cache.

    Forward, a layer reads its input and writes its output; backward, it reads the output's gradient and the saved input
    and writes the input's gradient. The estimate ignores that the first layer writes no gradient, and the copy of the
    batch.
    """
    network = candidate.network
    sizes = [math.prod(shape) for shape in (network.input_shape, *(step.shape for step in network.trace()))]
    moved = sum(
        3 * before + 2 * after
        for layer, (before, after) in zip(network.layers, pairwise(sizes), strict=True)
        if not isinstance(layer, Flatten | Reshape | Save)
    )
    return 2 * moved * candidate.recipe.batch_size + OPTIMIZER_BYTES * network.num_params


def _print_longest(name: str, kernels: Kernels, max_rows: int = 10) -> None:
    say(f"\n| {name}: kernels that take the longest in a recorded step | number | together |", "|---|---|---|")
    by_seconds = sorted(kernels.by_name.items(), key=lambda item: item[1][1], reverse=True)
    for kernel, (number, seconds) in by_seconds[:max_rows]:
        say(f"| {kernel[:90].replace('|', '/')} | {number:g} | {micro(seconds)} |")
