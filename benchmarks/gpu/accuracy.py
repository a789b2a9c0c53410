"""The seconds of training until 99% of MNIST's validation images are classified correctly."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.command_line import mean_and_sd
from benchmarks.gpu.candidates import QUICK, unvalidated_training
from benchmarks.gpu.on_gpu import say, seconds_of
from spaces.network import short_number
from spaces.recipe import Candidate
from trainables.goals import DeviceSplit
from trainables.recording import WARM_UP
from trainables.training import Training

TARGET, MAX_SECONDS = 0.99, 1.0


@dataclass(frozen=True)
class Course:
    """The course of a training: seconds of its set-up and, per epoch, seconds of training and validation, and score."""

    setup_seconds: float
    train_seconds: list[float]
    val_seconds: list[float]
    scores: list[float]

    def seconds_to(self, target: float, *, with_validation: bool) -> float | None:
        """Returns the seconds from the first step to the end of the first epoch that reaches the target, or None."""
        for epoch, score in enumerate(self.scores, 1):
            if score >= target:
                return sum(self.train_seconds[:epoch]) + with_validation * sum(self.val_seconds[:epoch])
        return None


def train_whole(candidate: Candidate, train: DeviceSplit, val: DeviceSplit, epochs: int, seed: int) -> Course:
    device = train.device
    trainings: list[Training] = []
    setup = seconds_of(lambda: trainings.append(Training(candidate, train, val, seed=seed, epochs=epochs)), device)
    course = Course(setup, [], [], [])
    for _ in range(epochs):
        course.train_seconds.append(seconds_of(trainings[0].train_part, device))
        course.val_seconds.append(seconds_of(lambda: course.scores.append(trainings[0].scores().score), device))
    return course


def print_accuracy(train: DeviceSplit, val: DeviceSplit, seeds: int, epochs: int) -> None:
    """Trains the candidate of the claim with each seed, after a first training that does not count."""
    network, recipe = QUICK.network, QUICK.recipe
    say(
        f"\nquick: {network.num_params:,} parameters, {short_number(network.num_macs)} MACs; batch "
        f"{recipe.batch_size}, {recipe.schedule} to {recipe.learning_rate:g}, {epochs} epochs of "
        f"{len(train):,} images",
        "\n| seed | set-up | training to 99% | with validation | whole training | with validation | accuracies |",
        "|---|---|---|---|---|---|---|",
    )
    courses = []
    for seed in range(seeds + 1):
        course = train_whole(QUICK, train, val, epochs, seed)
        _print_course("the process's first" if seed == 0 else f"{seed}", course)
        if seed > 0:
            courses.append(course)
    _print_verdict(courses, train)


def _print_course(name: str, course: Course) -> None:
    reached = [course.seconds_to(TARGET, with_validation=validation) for validation in (False, True)]
    trained, validated = sum(course.train_seconds), sum(course.val_seconds)
    seconds = [f"{course.setup_seconds:.3f} s", *("never" if each is None else f"{each:.3f} s" for each in reached)]
    seconds += [f"{trained:.3f} s", f"{trained + validated:.3f} s"]
    say(f"| {name} | {' | '.join(seconds)} | {', '.join(f'{score:.2%}' for score in course.scores)} |")


def _print_verdict(courses: list[Course], train: DeviceSplit) -> None:
    first = [
        seconds_of(unvalidated_training(QUICK, _few(train, WARM_UP + 1)).train_part, train.device) for _ in courses
    ]
    reached = [course.seconds_to(TARGET, with_validation=True) for course in courses]
    quick = sum(each is not None and each < MAX_SECONDS for each in reached)
    say(
        f"\nThe first {WARM_UP + 1} steps, with the recording: median {statistics.median(first):.3f} s "
        f"({min(first):.3f} to {max(first):.3f}); they are part of all times above but the set-up's.",
        f"After the last epoch: {mean_and_sd([course.scores[-1] for course in courses])}.",
        f"{TARGET:.0%} within {MAX_SECONDS:g} s of training and validation: {quick} of {len(courses)} trainings: "
        f"{'met' if quick == len(courses) else 'NOT MET'}",
    )


def _few(train: DeviceSplit, steps: int) -> DeviceSplit:
    size = steps * QUICK.recipe.batch_size
    return DeviceSplit(train.x[:size], train.y[:size])
