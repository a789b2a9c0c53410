"""Checks of a task: its data, its space, and a training of its networks on a few examples. They take seconds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from data.leaks import find_leaks
from data.splits import Split, Splits
from results.wording import count, number
from search.checkup.findings import Finding, Severity
from search.checkup.local_checks import in_one_line
from search.planning.plan import Plan
from search.planning.survey import Survey, survey
from spaces.goal import Custom
from spaces.network import short_number
from spaces.recipe import Augmentation, Candidate, Recipe

if TYPE_CHECKING:
    from trainables.training import Training

NUM_DRAWS = 100
NUM_EXAMPLES, NUM_VALUES = 64, 400_000
"""Limits on the examples of the trainings of a check, and on the values that they hold."""
LEARNING_STEPS, LEARNING_RATES = 60, (1e-3, 1e-2)
MUST_FALL = 0.9
"""The loss of a repeated batch must fall to this share of its start at least."""
RARE = 0.1
"""A class with less than this share of an equal one is called rare."""


def check_task(plan: Plan, splits: Splits) -> Iterator[Finding]:
    """Yields the findings of all checks, in order; a check that needs the one before it is left out if that fails."""
    yield from _check_data(splits)
    yield from _check_leaks(splits)
    seen = survey(plan.space, plan.budget, plan.config.seed, NUM_DRAWS)
    yield _check_budget(plan, seen)
    if not seen.feasible:
        return
    yield _check_counts(plan, seen)
    candidate = sorted(seen.feasible, key=lambda each: each.network.num_macs)[len(seen.feasible) // 10]
    trial = _Trial(plan, _few(splits.train), _few(splits.val), candidate)
    first = _check_training(trial)
    yield from first
    if any(finding.severity == Severity.broken for finding in first):
        return
    yield _check_learning(trial)
    yield _check_repetition(trial, seen.feasible)
    yield _check_resuming(trial)
    yield _check_export(trial)


def _check_data(splits: Splits) -> Iterator[Finding]:
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in parts.items())
    yield _ok(
        "data",
        f"{splits.name}: {sizes} examples; x {_describe(splits.train.x)}, y {_describe(splits.train.y)}",
    )
    for name in ("val", "test"):
        if not len(parts[name]):
            cure = "give examples for it, or leave it to Splits.of"
            found = _broken if name == "val" else _warn
            yield found("data", f"{name} has no examples", cure)
    if splits.train.labels is None or splits.train.labels.dtype.kind not in "iu":
        return
    yield from _check_labels(parts, splits)


def _check_labels(parts: dict[str, Split], splits: Splits) -> Iterator[Finding]:
    names = splits.classes or tuple(str(label) for label in range(splits.num_classes))
    for name, split in parts.items():
        labels = split.labels
        if labels is None or not len(labels):
            continue
        if wrong := [int(label) for label in np.unique(labels) if not 0 <= label < len(names)]:
            cure = f"labels number the classes from 0 to {len(names) - 1}; Splits.of does so for you"
            yield _broken("data", f"y of {name} has the label {wrong[0]}, out of range", cure)
            return
    assert splits.train.labels is not None
    counts = np.bincount(splits.train.labels, minlength=len(names))
    missing = [names[label] for label in np.flatnonzero(counts == 0)]
    rare = [names[label] for label in np.flatnonzero((counts > 0) & (counts < RARE * counts.sum() / len(counts)))]
    balance = f"{len(names)} classes of {counts.min():,} to {counts.max():,} training examples"
    if missing:
        yield _broken("classes", f"{balance}; none of {missing[0]}", "give training examples of it")
    elif rare:
        cure = "a score that counts classes equally, such as macro F1, says more than accuracy"
        yield _warn("classes", f"{balance}; {', '.join(rare[:5])} rare", cure)
    else:
        yield _ok("classes", balance)


def _check_leaks(splits: Splits) -> Iterator[Finding]:
    leaks = find_leaks(splits)
    for leak in leaks:
        cure = "scores on them say nothing about new examples; remove them, or keep equal ones in one split"
        yield _broken("leaks", str(leak), cure)
    if not leaks:
        yield _ok("leaks", "no example is in two splits")


def _check_budget(plan: Plan, seen: Survey) -> Finding:
    rates = seen.rates() or "none rejected"
    if seen.feasible:
        smallest, largest = seen.smallest(), seen.largest()
        assert smallest is not None and largest is not None  # noqa: PT018
        sizes = f"{smallest.network.num_params:,} to {largest.network.num_params:,} parameters"
        return _ok("space", f"{seen.num_draws} draws: {rates}; {sizes}")
    smallest = seen.smallest()
    size = f"; the smallest network has {smallest.network.num_params:,} parameters" if smallest else ""
    size += f", {short_number(smallest.network.num_macs)} MACs" if smallest else ""
    limits = f"max_params={plan.budget.max_params} max_macs={plan.budget.max_macs}"
    cure = f"raise the budget ({limits}), or let space() choose smaller networks"
    return _broken("space", f"all of {seen.num_draws} draws are rejected: {rates}{size}", cure)


def _check_counts(plan: Plan, seen: Survey) -> Finding:
    """Compares the counted parameters of each draw with those of its built module."""
    from trainables.build import build

    for candidate in seen.feasible:
        module = build(candidate.network, 0, "meta", plan.task.code)
        built = sum(weight.numel() for weight in module.parameters())
        if built != candidate.network.num_params:
            cause = f"a network was counted at {candidate.network.num_params:,} parameters, and built with {built:,}"
            return _broken("counts", cause, "space() must return equal networks for equal choices")
    return _ok("counts", f"parameters of {count(len(seen.feasible), 'built network')} are as counted")


@dataclass(frozen=True)
class _Trial:
    """What the trainings of the checks have in common."""

    plan: Plan
    train: Split
    val: Split
    candidate: Candidate

    def training(self, candidate: Candidate | None = None, epochs: int = 3, seed: int = 1) -> Training:
        import torch

        from trainables.goals import DeviceSplit
        from trainables.training import Training

        cpu = torch.device("cpu")
        return Training(
            candidate or self.candidate,
            DeviceSplit.of(self.train.x, self.train.y, cpu),
            DeviceSplit.of(self.val.x, self.val.y, cpu),
            goal=self.plan.goal,
            seed=seed,
            epochs=epochs,
            data_dir=self.plan.data_dir,
            code=self.plan.task.code,
        )


def _check_training(trial: _Trial) -> list[Finding]:
    """Trains a network on a few examples, forwards and backwards, and scores it."""
    try:
        report = trial.training().advance()
    except Exception as error:
        return [_broken("training", in_one_line(error), "mend the line that it names")]
    shapes = f"{list(trial.candidate.network.input_shape)} to {list(trial.candidate.network.output_shape)}"
    found = [_ok("training", f"{shapes}, loss {number(report.train_loss)}, score {number(report.val_score)}")]
    if not (math.isfinite(report.train_loss) and math.isfinite(report.val_loss)):
        cure = "look for a division by zero or a logarithm of zero in the loss or the module"
        found = [_broken("training", f"the loss is {report.train_loss}", cure)]
    if not math.isfinite(report.val_score):
        cure = "score() must return a number for every output; guard empty classes and divisions by zero"
        return [*found, _broken("score", f"the score is {report.val_score}", cure)]
    goal = trial.plan.goal
    if isinstance(goal, Custom) and goal.bounds and not goal.bounds[0] <= report.val_score <= goal.bounds[1]:
        cure = "correct `bounds`, or the score"
        return [*found, _broken("score", f"{report.val_score} is not within {goal.bounds}", cure)]
    return found


def _check_learning(trial: _Trial) -> Finding:
    """Trains on one batch again and again, without what makes that hard; the loss must fall."""
    best = math.inf
    for rate in LEARNING_RATES:
        recipe = Recipe(optimizer="adam", learning_rate=rate, batch_size=NUM_EXAMPLES, augmentation=Augmentation())
        training = trial.training(replace(trial.candidate, recipe=recipe), epochs=LEARNING_STEPS)
        losses = [training.train_part() for _ in range(LEARNING_STEPS)]
        share = min(losses[-5:]) / losses[0] if losses[0] else 0.0
        if share <= MUST_FALL:
            cause = f"the loss of a repeated batch falls from {number(losses[0])} to {number(min(losses[-5:]))}"
            return _ok("learning", cause)
        best = min(best, share)
    cause = f"the loss of a repeated batch stays at {best:.0%} of its start for {count(LEARNING_STEPS, 'step')}"
    cure = "does the loss depend on the outputs, and do the outputs depend on the weights (no detach, no argmax)?"
    return _broken("learning", cause, cure)


def _check_repetition(trial: _Trial, others: list[Candidate]) -> Finding:
    """Trains a network twice from one seed, with another one in between; both must be equal."""
    first = trial.training().advance()
    again = trial.training().advance()
    if _curve(first) != _curve(again):
        cause = "two trainings from one seed differ: randomness that is not seeded, or state that stays between trials"
        cure = "use torch's random functions, not random or numpy.random; keep no state outside the module"
        return _broken("replay", cause, cure)
    trial.training(others[0], seed=2).advance()
    if _curve(trial.training().advance()) != _curve(first):
        cure = "keep no state in global variables or class attributes"
        return _broken(
            "replay",
            "a training differs after another trial in the same process: state stays between trials",
            cure,
        )
    return _ok("replay", "trainings from one seed are equal, bit for bit")


def _check_resuming(trial: _Trial) -> Finding:
    """Resumes a training from a checkpoint; it must go on as the undisturbed one does."""
    whole = trial.training()
    whole.advance()
    checkpoint = whole.save()
    expected = whole.advance()
    resumed = trial.training()
    resumed.load(checkpoint)
    if _curve(resumed.advance()) != _curve(expected):
        cure = "register what forward() changes as a buffer: self.register_buffer(name, tensor)"
        return _broken(
            "checkpoint",
            "a resumed training differs: the module has state that is not in its state_dict",
            cure,
        )
    return _ok("checkpoint", "a resumed training continues bit for bit")


def _check_export(trial: _Trial) -> Finding:
    from trainables.model import load_model, model_bytes
    from trainables.onnx_file import ExportFailed, write_onnx

    training = trial.training()
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.pt")
        facts = {"goal": trial.plan.goal.to_json(), "input_dtype": str(_dtype(trial.train))}
        path.write_bytes(model_bytes(trial.candidate, training.weights(), facts))
        try:
            write_onnx(load_model(path, trial.plan.task.code), path.with_suffix(".onnx"))
        except ExportFailed as error:
            cure = "export=onnx would fail; use operations that torch.onnx supports, without branches on values"
            return _warn("onnx", in_one_line(error), cure)
    return _ok("onnx", "exported, and equal to PyTorch's outputs")


def _few(split: Split) -> Split:
    """Returns a few examples, of each class some."""
    whole = Splits(name="few", origin="original", train=split, val=split, test=split)
    return whole.at_most(max(2, min(NUM_EXAMPLES, NUM_VALUES // split.x[0].size))).train


def _curve(report: Any) -> tuple[float, ...]:
    return report.train_loss, report.val_loss, report.val_score


def _dtype(split: Split) -> np.dtype:
    return (split.x[0] if isinstance(split.x, list) else split.x).dtype


def _describe(values: np.ndarray | list[np.ndarray]) -> str:
    if isinstance(values, list):
        return f"{values[0].dtype} of {count(len({each.shape for each in values}), 'size')}"
    return f"{values.dtype} {list(values.shape[1:]) or ''}".strip()


def _ok(part: str, cause: str) -> Finding:
    return Finding(Severity.ok, part, cause)


def _warn(part: str, cause: str, cure: str) -> Finding:
    return Finding(Severity.warn, part, cause, cure)


def _broken(part: str, cause: str, cure: str) -> Finding:
    return Finding(Severity.broken, part, cause, cure)
