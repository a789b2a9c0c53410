"""Checks of a task: its data, its space, and a training of its networks on a few examples. They take seconds."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from data.splits import Split, Splits
from results.wording import count, number
from search.checkup.data_checks import check_data
from search.checkup.findings import Finding, Severity, broken, ok, warn
from search.checkup.local_checks import in_one_line
from search.planning.plan import Plan
from search.planning.survey import Survey, survey, time_epoch
from search.study.budget import SHRUNK
from spaces.goal import Custom, Goal
from spaces.network import short_number
from spaces.recipe import Augmentation, Candidate, Recipe
from trainables.task_code import TaskCode

if TYPE_CHECKING:
    from trainables.model import Model
    from trainables.training import Training

OVER_BUDGET = ("over max_params", "over max_macs", "over max_code")
NUM_DRAWS = 100
NUM_EXAMPLES, NUM_VALUES = 64, 400_000
"""Limits on the examples of the trainings of a check, and on the values that they hold."""
ENDS = ("training", "score")
"""Checks after which no other one says more, if they fail."""
LEARNING_STEPS, LEARNING_RATES = 60, (1e-3, 1e-2)
MUST_FALL = 0.9
"""The loss of a repeated batch must fall to this share of its start at least."""
LONG_SECONDS = 1_800
"""A trial that takes longer on a core gets a warning."""
NUM_COMPARED, MAX_DIFFERENCE = 8, 1e-3
"""The number of examples whose outputs are compared, and how much these may differ, as a share of the largest."""


def check_task(plan: Plan, splits: Splits) -> Iterator[Finding]:
    """Yields the findings of all checks, in order; a check that needs the one before it is left out if that fails."""
    yield from _check_imports(plan.task.code)
    yield from check_data(splits, plan.goal)
    seen = survey(plan.space, plan.budget, plan.config.seed, NUM_DRAWS)
    yield _check_budget(plan, seen)
    if not seen.feasible:
        return
    yield _check_counts(plan, seen)
    candidate = sorted(seen.feasible, key=lambda each: each.network.num_macs)[len(seen.feasible) // 10]
    trial = _Trial(plan, _few(splits.train), _few(splits.val), candidate)
    printed = io.StringIO()
    for check in (
        lambda: _check_training(trial),
        lambda: _check_learning(trial),
        lambda: [_check_repetition(trial, seen.feasible)],
        lambda: _check_resuming(trial),
        lambda: _check_time(trial, splits),
        lambda: _check_model(trial),
    ):
        with redirect_stdout(printed):
            found = [*check()]
        yield from found
        if any(each.severity == Severity.broken and each.node in ENDS for each in found):
            break
    if lines := printed.getvalue().splitlines():
        cause = f"the code of the task prints {count(len(lines), 'line')} here, the first: {lines[0]!r:.80}"
        yield warn("output", cause, "remove print() from what each step calls, since all workers print it")


def _check_imports(code: TaskCode | None) -> Iterator[Finding]:
    """Warns of the user's own modules, which are no part of the run's text."""
    names = [] if code is None else code.own_imports()
    if names:
        cause = f"the file imports {', '.join(names)}: a change there is not noticed, and other machines lack it"
        yield warn("code", cause, "move what is needed into the file, or install it as a package on all machines")


def _check_budget(plan: Plan, seen: Survey) -> Finding:
    rates = seen.rates() or "none rejected"
    if seen.feasible:
        smallest, largest = seen.smallest(), seen.largest()
        assert smallest is not None and largest is not None  # noqa: PT018
        sizes = f"{smallest.network.num_params:,} to {largest.network.num_params:,} parameters"
        return ok("space", f"{seen.num_draws} draws: {rates}; {sizes}")
    smallest = seen.smallest()
    size = f"; the smallest network has {smallest.network.num_params:,} parameters" if smallest else ""
    size += f", {short_number(smallest.network.num_macs)} MACs" if smallest else ""
    return broken("space", f"all of {seen.num_draws} draws are rejected: {rates}{size}", _cure_of_space(plan, seen))


def _cure_of_space(plan: Plan, seen: Survey) -> str:
    """Returns what to do about the most common rejection."""
    reason = seen.rejected.most_common(1)[0][0]
    if reason == SHRUNK:
        return f"correct the layers: {seen.misfit}"
    if reason in OVER_BUDGET:
        limits = f"max_params={plan.budget.max_params} max_macs={plan.budget.max_macs}"
        return f"raise the budget ({limits}), or let space() choose smaller networks"
    return "let allowed() accept more, or let space() choose other networks"


def _check_counts(plan: Plan, seen: Survey) -> Finding:
    """Compares the counted parameters of each draw with those of its built module."""
    from trainables.build import build

    own = [each for each in plan.references().values() if each.network.has_own_module]
    for candidate in [*seen.feasible, *own]:
        module = build(candidate.network, 0, "meta", plan.task.code)
        built = sum(weight.numel() for weight in module.parameters())
        if built != candidate.network.num_params:
            cause = f"a network was counted at {candidate.network.num_params:,} parameters, and built with {built:,}"
            return broken("counts", cause, "equal choices, and a reference, must always give equal networks")
    return ok("counts", f"parameters of {count(len(seen.feasible), 'built network')} are as counted")


@dataclass(frozen=True)
class _Trial:
    """What the trainings of the checks have in common."""

    plan: Plan
    train: Split
    val: Split
    candidate: Candidate

    def training(
        self, candidate: Candidate | None = None, epochs: int = 3, seed: int = 1, val: Split | None = None
    ) -> Training:
        import torch

        from trainables.goals import DeviceSplit
        from trainables.training import Training

        cpu, val = torch.device("cpu"), val or self.val
        return Training(
            candidate or self.candidate,
            DeviceSplit.of(self.train.x, self.train.y, cpu),
            DeviceSplit.of(val.x, val.y, cpu),
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
        return [broken("training", in_one_line(error), "correct the module, the loss, the score or the recipe")]
    shapes = f"{list(trial.candidate.network.input_shape)} to {list(trial.candidate.network.output_shape)}"
    found = [ok("training", f"{shapes}, loss {number(report.train_loss)}, score {number(report.val_score)}")]
    if not (math.isfinite(report.train_loss) and math.isfinite(report.val_loss)):
        losses = f"the loss is {number(report.train_loss)} in training and {number(report.val_loss)} in validation"
        cure = "look for a division or a logarithm of zero in the loss or the module, and for very large targets"
        found = [broken("training", losses, cure)]
    if not math.isfinite(report.val_score):
        cure = "score() must return a number for every output; guard empty classes and divisions by zero"
        return [*found, broken("score", f"the score is {report.val_score}", cure)]
    goal = trial.plan.goal
    if isinstance(goal, Custom) and goal.bounds and not goal.bounds[0] <= report.val_score <= goal.bounds[1]:
        cure = "correct `bounds`, or the score"
        return [*found, broken("score", f"{report.val_score} is not within {goal.bounds}", cure)]
    return found


def _check_learning(trial: _Trial) -> list[Finding]:
    """Trains on one batch again and again, without what makes that hard; the loss must fall, the score not worsen."""
    best = math.inf
    for rate in LEARNING_RATES:
        recipe = Recipe(optimizer="adam", learning_rate=rate, batch_size=NUM_EXAMPLES, augmentation=Augmentation())
        training = trial.training(replace(trial.candidate, recipe=recipe), epochs=LEARNING_STEPS, val=trial.train)
        before = training.scores().score
        losses = [training.train_part() for _ in range(LEARNING_STEPS)]
        share = min(losses[-5:]) / losses[0] if losses[0] else 0.0
        if share <= MUST_FALL:
            cause = f"the loss of a repeated batch falls from {number(losses[0])} to {number(min(losses[-5:]))}"
            return [ok("learning", cause), *_compare_scores(trial.plan.goal, before, training.scores().score)]
        best = min(best, share)
    cause = f"the loss of a repeated batch stays at {best:.0%} of its start for {count(LEARNING_STEPS, 'step')}"
    cure = "does the loss depend on the outputs, and do the outputs depend on the weights (no detach, no argmax)?"
    return [broken("learning", cause, cure)]


def _compare_scores(goal: Goal, before: float, after: float) -> Iterator[Finding]:
    """Warns if the score of examples worsens while their loss falls: its direction may be the wrong one."""
    if isinstance(goal, Custom) and goal.metric.signed(after) < goal.metric.signed(before):
        cause = f"while the loss falls, the score goes from {number(before)} to {number(after)}"
        yield warn("score", cause, f"that is worse with direction={goal.direction!r}; should it be the other one?")


def _check_repetition(trial: _Trial, others: list[Candidate]) -> Finding:
    """Trains a network twice from one seed, with another one in between; both must be equal."""
    first = trial.training().advance()
    again = trial.training().advance()
    if _curve(first) != _curve(again):
        cause = "two trainings from one seed differ: randomness that is not seeded, or state that stays between trials"
        cure = "use torch's random functions, not random or numpy.random; keep no state outside the module"
        return broken("replay", cause, cure)
    trial.training(others[0], seed=2).advance()
    if _curve(trial.training().advance()) != _curve(first):
        cure = "keep no state in global variables or class attributes"
        return broken(
            "replay",
            "a training differs after another trial in the same process: state stays between trials",
            cure,
        )
    return ok("replay", "trainings from one seed are equal, bit for bit")


def _check_resuming(trial: _Trial) -> Iterator[Finding]:
    """Resumes a training from a checkpoint; it must continue as the undisturbed one does."""
    whole = trial.training()
    whole.advance()
    checkpoint = whole.save()
    expected = whole.advance()
    resumed = trial.training()
    resumed.load(checkpoint)
    if _curve(resumed.advance()) != _curve(expected):
        cure = "register what forward() changes as a buffer: self.register_buffer(name, tensor)"
        yield broken(
            "checkpoint",
            "a resumed training differs: the module has state that is not in its state_dict",
            cure,
        )
    else:
        yield ok("checkpoint", "a resumed training continues bit for bit")


def _check_time(trial: _Trial, splits: Splits) -> Iterator[Finding]:
    """Warns if a whole trial would take very long, from the time of a few batches."""
    plan = trial.plan
    epoch = time_epoch([trial.candidate], plan.goal, splits, plan.config.seed, plan.task.code)
    seconds = epoch * plan.max_epochs
    if seconds > LONG_SECONDS:
        epochs = count(plan.max_epochs, "epoch")
        cause = f"a trial of {epochs} would take about {seconds / 3600:.1f} hours on a core"
        yield warn("time", cause, "take fewer examples or epochs (train_examples=, max_epochs=), or a faster forward()")


def _check_model(trial: _Trial) -> Iterator[Finding]:
    """Writes a trained network to a file and reads it: outputs must stay, alone and in a batch; exports it to ONNX."""
    from trainables.model import load_model, model_bytes
    from trainables.onnx_file import ExportFailed, write_onnx

    training = trial.training()
    training.advance()
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.pt")
        facts = {"goal": trial.plan.goal.to_json(), "input_dtype": str(_dtype(trial.train))}
        path.write_bytes(model_bytes(trial.candidate, training.weights(), facts))
        model = load_model(path, trial.plan.task.code)
        yield from _compare_outputs(training, model)
        try:
            write_onnx(model, path.with_suffix(".onnx"))
        except ExportFailed as error:
            cure = "export=onnx would fail; use operations that torch.onnx supports, without branches on values"
            yield warn("onnx", in_one_line(error), cure)
            return
    yield ok("onnx", "exported, and equal to PyTorch's outputs")


def _compare_outputs(training: Training, model: Model) -> Iterator[Finding]:
    """Compares outputs of a network in training with those of its file, and those in a batch with those alone."""
    import torch

    from trainables.inference import predict

    x = training.val.split.x
    batch = x[:NUM_COMPARED] if isinstance(x, torch.Tensor) else x[0].unsqueeze(0)
    training.module.eval()
    with training.randomness.for_scoring() if training.randomness else nullcontext():
        trained = predict(training.module, batch, torch.float32, training.average)
    loaded, alone = model(batch), torch.cat([model(each) for each in batch.split(1)])
    trained = trained.clamp(0, 1) if model.gives_images else trained
    tolerance = MAX_DIFFERENCE * max(1.0, trained.abs().max().item())
    if not (loaded - alone).abs().max() <= tolerance:
        cure = "no statistics of the batch (BatchNorm keeps running ones) and no randomness when self.training is False"
        yield broken("outputs", "an example gets another output alone than in a batch", cure)
    elif not (loaded - trained).abs().max() <= tolerance:
        cure = "register tensors that __init__ draws or computes as buffers: self.register_buffer(name, tensor)"
        yield broken("model", "a model that is read from its file gives other outputs than in training", cure)


def _few(split: Split) -> Split:
    """Returns a few examples, of each class some."""
    whole = Splits(name="few", origin="original", train=split, val=split, test=split)
    return whole.at_most(max(2, min(NUM_EXAMPLES, NUM_VALUES // split.x[0].size))).train


def _curve(report: Any) -> tuple[float, ...]:
    return report.train_loss, report.val_loss, report.val_score


def _dtype(split: Split) -> np.dtype:
    return (split.x[0] if isinstance(split.x, list) else split.x).dtype
