"""The goals whose targets are numbers: Regress, and MultiLabel, whose numbers are 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from spaces.goal import MultiLabel, Regress
from spaces.recipe import Recipe
from trainables.device_split import DeviceSplit
from trainables.inference import batches
from trainables.task_code import TaskCode
from trainables.work import (
    Answer,
    Predict,
    Scores,
    Work,
    augmented,
    mean_ratio,
    mean_ratio_scores,
    one_size,
    root_scores,
)


class RegressWork(Work):
    """Squared or absolute errors, of outputs in the targets' unit."""

    def __init__(self, goal: Regress, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        self.is_squared = goal.error == "squared"
        y = one_size(split.y, goal).to(torch.float32)
        self.x, self.y = one_size(split.x, goal), y.unsqueeze(1) if y.dim() == 1 else y

    @cached_property
    def variance(self) -> float:
        """The mean squared distance of the split's targets from their mean, over all values of an example."""
        y = self.y.double()
        return (y - y.mean(0)).square().mean().item()

    @cached_property
    def unit(self) -> float:
        """The divisor of the loss: a constant prediction's error, so that learning rates suit targets of any unit."""
        return (self.variance if self.is_squared else math.sqrt(self.variance)) or 1.0

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return augmented(self.x, places, recipe, generator), self.y[places]

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        _check_shapes(outputs, targets)
        errors = outputs - targets
        return (errors.square() if self.is_squared else errors.abs()).mean() / self.unit

    def answers(self, predict: Predict) -> Iterator[Answer]:
        return ((x, predict(x), y) for x, y in batches(self.x, self.y))

    def scores(self, predict: Predict) -> Scores:
        sums = torch.zeros(2, dtype=torch.float64, device=self.y.device)
        for _, outputs, targets in self.answers(predict):
            _check_shapes(outputs, targets)
            errors = (outputs - targets).double()
            sums += torch.stack([errors.square().sum(), errors.abs().sum()])
        mse, mae = (sums / self.y.numel()).tolist()
        rmse, r2 = math.sqrt(mse), 1 - mse / self.variance if self.variance else math.nan
        if self.is_squared:
            return Scores(mse / self.unit, rmse, {"mae": mae, "r2": r2})
        return Scores(mae / self.unit, mae, {"rmse": rmse, "r2": r2})

    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        errors = torch.cat([(outputs - targets).double().flatten(1) for _, outputs, targets in answers])
        if not self.is_squared:
            return errors.abs().mean(1)
        squares = errors.square().mean(1)
        return root_scores(squares, torch.ones_like(squares))


class MultiLabelWork(Work):
    """Answers to K questions of yes or no, from logits."""

    def __init__(self, goal: MultiLabel, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        self.x, self.y = one_size(split.x, goal), one_size(split.y, goal).to(torch.float32)

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return augmented(self.x, places, recipe, generator), self.y[places]

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs, targets)

    def answers(self, predict: Predict) -> Iterator[Answer]:
        return ((x, predict(x), y) for x, y in batches(self.x, self.y))

    def scores(self, predict: Predict) -> Scores:
        loss, right, exact = torch.zeros(3, dtype=torch.float64, device=self.y.device)
        parts, wholes = torch.zeros(2, self.y.shape[1], dtype=torch.float64, device=self.y.device)
        for _, outputs, targets in self.answers(predict):
            loss += functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum")
            is_right = (outputs >= 0) == (targets == 1)
            right += is_right.sum()
            exact += is_right.all(1).sum()
            more_parts, more_wholes = _f1_terms(outputs, targets)
            parts += more_parts.sum(0)
            wholes += more_wholes.sum(0)
        mean_loss = loss.item() / self.y.numel()
        found = [mean_ratio(parts, wholes).item(), right.item() / self.y.numel(), exact.item() / len(self.y)]
        score, accuracy, exact_match = (math.nan if math.isnan(mean_loss) else each for each in found)
        return Scores(mean_loss, score, {"hamming_accuracy": accuracy, "exact_match": exact_match})

    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        terms = [_f1_terms(outputs, targets) for _, outputs, targets in answers]
        parts, wholes = (torch.cat(each) for each in zip(*terms, strict=True))
        return mean_ratio_scores(parts, wholes)


def _f1_terms(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Returns float64 [B, K], whose sums over examples have F1 as their ratio: 2 TP, and 2 TP + FP + FN."""
    predicted, true = outputs >= 0, targets == 1
    return 2 * (predicted & true).double(), predicted.double() + true.double()


def _check_shapes(outputs: Tensor, targets: Tensor) -> None:
    """Raises ValueError rather than let one be repeated to the shape of the other."""
    if outputs.shape != targets.shape:
        expected, found = list(targets.shape[1:]), list(outputs.shape[1:])
        raise ValueError(f"Regress needs an output {expected} for each example, like its target; found {found}")
