"""Claim: an epoch of the large tasks takes seconds on a GPU, not minutes as published.

    python -m benchmarks.gpu.full_scale data_dir=FOLDER

max_digit's published networks train on the images of `scale=full`, made from MNIST, with the published batch sizes and
larger ones. documents' published network trains as its report says: on 144 whole pages of 420x540 in batches of 16,
nine steps. The noise on these pages is drawn for each step, because Frugal trains on patches if pages have targets of
their own; the task's own patches are a separate row. If the pages are unavailable, made pages are used.

Timed are whole epochs after a first one, training alone and with validation, as in the published numbers. Operations
are 6 per multiply-accumulate of the forward pass. Their rate is printed as a share of that of a bfloat16 matrix
product, measured here.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.command_line import read_settings
from benchmarks.gpu.on_gpu import Ceilings, attempt, find_device, say, seconds_of
from data.max_digit import max_digit
from data.splits import Split
from results.keys import key
from search import tasks
from search.planning.keys import find_data_dir
from spaces.goal import Classify, Denoise, Goal
from spaces.network import short_number
from spaces.recipe import Candidate
from trainables.goals import DeviceSplit
from trainables.machine import describe, fastest_precision, prepare_process
from trainables.training import Training

CLAIM = "Claim: an epoch of the large tasks takes seconds on a GPU, not minutes as published."
PUBLISHED_PAGES, VAL_PAGES = 144, 16
SIGMA = 0.1
"""The standard deviation of the noise on whole pages; the time of an epoch does not depend on it."""


@dataclass(frozen=True)
class Published:
    """The published time of an epoch; none of the reports names its hardware."""

    seconds: float
    num_images: int


PUBLISHED = {
    # Furtado, Krishna, Zhou: 'the first training run on the 48,000 data points took an average of 108 seconds' (V.A)
    "keras-max-digit": Published(108, 48_000),
    # The same: 'an average of 171 seconds per epoch'; 5,000 of 50,000 images were kept for validation
    "resnet18-max-digit": Published(171, 45_000),
    # Shanmuhvel, section 3.3: nine steps of 16 pages in 230 to 234 seconds
    "wide-denoiser": Published(230, PUBLISHED_PAGES),
}


@dataclass
class Settings:
    data_dir: str | None = key(None, "folder of data files", "$FRUGAL_DATA_DIR, else a cache in your home")
    device: str = key("auto", "cuda, cpu or auto")
    parts: list[str] = key(["max_digit", "documents"], "parts to run")
    networks: list[str] = key([], "max_digit's published networks to run", "all")
    larger_batches: list[int] = key([256], "batch sizes besides the published ones")
    images: int | None = key(None, "images of max_digit, a tenth of them for validation", "50,000, as at scale=full")
    pages: int = key(PUBLISHED_PAGES, "whole pages in an epoch")
    height: int = key(420, "height of a page in pixels")
    width: int = key(540, "width of a page in pixels")
    epochs: int = key(3, "timed epochs")


@dataclass(frozen=True)
class Course:
    """The timed epochs of one network."""

    num_images: int
    train_seconds: list[float]
    val_seconds: list[float]

    @property
    def seconds(self) -> float:
        """Returns the median seconds of an epoch with its validation."""
        return statistics.median(a + b for a, b in zip(self.train_seconds, self.val_seconds, strict=True))

    @property
    def images_per_second(self) -> float:
        """Returns the rate of training without validation."""
        return self.num_images / statistics.median(self.train_seconds)


def main() -> None:
    settings = read_settings(Settings, "gpu.full_scale", CLAIM)
    prepare_process()
    device, data_dir = find_device(settings.device), Path(find_data_dir(settings.data_dir))
    peak = Ceilings.measure(device).flops_per_second
    about = describe(device)
    say(
        f"{about['device']}, PyTorch {about['torch']}, {fastest_precision(device)}; peak {peak / 1e12:.4g} TFLOP/s",
        "\n| network | batch | images | epoch | with validation | images/s | TFLOP/s | share of peak | published |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    parts = {"max_digit": time_max_digit, "documents": time_documents}
    sys.exit(attempt({name: bound(parts[name], settings, data_dir, device, peak) for name in settings.parts}))


def bound(part: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: part(*arguments)


def time_max_digit(settings: Settings, data_dir: Path, device: torch.device, peak: float) -> None:
    task = tasks.find("max_digit")
    dataset = max_digit(settings.images, 1) if settings.images else task.dataset
    splits = dataset.load("made", data_dir, log)
    train, val = (DeviceSplit.of(part.x, part.y, device) for part in (splits.train, splits.val))
    references = {name: each.candidate for name, each in task.references.items()}
    for name in settings.networks or references:
        for batch in (references[name].recipe.batch_size, *settings.larger_batches):
            candidate = in_batches(references[name], batch)
            course = time_epochs(candidate, Classify(), train, val, settings.epochs)
            print_row(name, candidate, candidate.network.num_macs, course, peak)


def time_documents(settings: Settings, data_dir: Path, device: torch.device, peak: float) -> None:
    task = tasks.find("documents")
    published = task.references["wide-denoiser"].candidate
    splits = task.dataset.load("auto", data_dir, log)
    say(f"| pages: {splits.name} | | | | | | | | |")
    train, val = (whole_pages(splits.train, number, settings, device) for number in (settings.pages, VAL_PAGES))
    whole = replace(published, network=published.network.resized(settings.height, settings.width))
    course = time_epochs(whole, Denoise(sigma=SIGMA), train, val, settings.epochs)
    print_row("wide-denoiser", whole, whole.network.num_macs, course, peak)
    train, val = (DeviceSplit.of(part.x, part.y, device) for part in (splits.train, splits.val))
    course = time_epochs(published, task.goal, train, val, settings.epochs)
    side = task.goal.side([tuple(page.shape) for page in train.x])  # type: ignore[attr-defined]
    patch = published.network.resized(side, side)
    print_row(f"the same on patches of {side}x{side}", published, patch.num_macs, course, peak)


def log(line: str) -> None:
    """Prints the messages of datasets to stderr, so that they do not interrupt a table."""
    print(line, file=sys.stderr, flush=True)


def in_batches(candidate: Candidate, batch_size: int) -> Candidate:
    return replace(candidate, recipe=replace(candidate.recipe, batch_size=batch_size))


def whole_pages(pages: Split, number: int, settings: Settings, device: torch.device) -> DeviceSplit:
    """Returns `number` clean pages of one size; repeats pages if there are fewer."""
    assert isinstance(pages.y, list)
    size = settings.height, settings.width
    large = [page[: size[0], : size[1]] for page in pages.y if page.shape[0] >= size[0] and page.shape[1] >= size[1]]
    x = np.stack([large[index % len(large)] for index in range(number)])
    return DeviceSplit.of(x, np.zeros(number, np.int64), device)


def time_epochs(candidate: Candidate, goal: Goal, train: DeviceSplit, val: DeviceSplit, epochs: int) -> Course:
    """Times epochs after the first, in which steps are recorded and libraries choose their kernels."""
    training = Training(candidate, train, val, goal=goal, seed=0, epochs=epochs + 1)
    course = Course(training.steps_per_epoch * training.batch_size, [], [])
    for epoch in range(epochs + 1):
        trained, validated = (seconds_of(work, train.device) for work in (training.train_part, training.scores))
        if epoch > 0:
            course.train_seconds.append(trained)
            course.val_seconds.append(validated)
    return course


def print_row(name: str, candidate: Candidate, macs: int, course: Course, peak: float) -> None:
    flops = 6 * macs * course.images_per_second
    cells = [f"{name} ({short_number(macs)} MACs)", f"{candidate.recipe.batch_size}", f"{course.num_images:,}"]
    cells += [spread(course.train_seconds), f"{course.seconds:.3f} s", f"{course.images_per_second:,.0f}"]
    cells += [f"{flops / 1e12:.4g}", f"{flops / peak:.1%}", compare_to_published(name, course)]
    say(f"| {' | '.join(cells)} |")


def spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


def compare_to_published(name: str, course: Course) -> str:
    """Compares images per second with validation, because epochs differ in length."""
    if name not in PUBLISHED:
        return ""
    published = PUBLISHED[name]
    ratio = published.seconds / published.num_images * course.num_images / course.seconds
    return f"{published.seconds:g} s for {published.num_images:,}: {ratio:,.3g} times as fast"


if __name__ == "__main__":
    main()
