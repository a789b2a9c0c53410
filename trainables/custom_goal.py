"""The goal Custom: the user's own loss and score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from spaces.goal import Custom
from spaces.recipe import Recipe
from trainables.device_split import DeviceSplit
from trainables.inference import batches, to_float
from trainables.task_code import TaskCode, TaskFileError
from trainables.work import Answer, Predict, Scores, Work, augmented, one_size

MAX_GROUPS = 100
"""The number of groups of examples that are left out in turn to see how much a score varies."""


class CustomWork(Work):
    """Calls the user's functions. The score is of the whole split at once, since it may not be a mean."""

    def __init__(self, goal: Custom, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        self.goal = _with_functions(goal, code)
        self.x, self.y = one_size(split.x, goal), one_size(split.y, goal)

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return augmented(self.x, places, recipe, generator), _as_targets(self.y[places])

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        assert self.goal.loss is not None
        with self.user_errors():
            loss = self.goal.loss(outputs, targets)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            found = f"a tensor {list(loss.shape)}" if isinstance(loss, Tensor) else f"{loss!r:.80}"
            raise TaskFileError(f"{self._where('loss')} gave {found}; expected a tensor of one number, such as a mean")
        if outputs.requires_grad and not loss.requires_grad:
            raise TaskFileError(f"{self._where('loss')} has no gradient; expected operations that torch differentiates")
        return loss.reshape(())

    def answers(self, predict: Predict) -> Iterator[Answer]:
        return ((x, predict(x), _as_targets(y)) for x, y in batches(self.x, self.y))

    @torch.no_grad()
    def scores(self, predict: Predict) -> Scores:
        pairs = [(outputs, targets) for _, outputs, targets in self.answers(predict)]
        outputs, targets = (torch.cat(each) for each in zip(*pairs, strict=True))
        if outputs.isnan().any():  # many a score raises for these, or takes them for a class
            return Scores(math.nan, math.nan)
        score, *others = self._score(outputs, targets).items()
        return Scores(self.loss(outputs, targets, Recipe()).item(), score[1], dict(others))

    @torch.no_grad()
    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        """Takes a jackknife that leaves out a group of examples at a time (Shao & Wu 1989).

        Leaving a group of n out of N moves the score by about the sum of its examples' influences / (N - n). The sum
        varies n times as much as one example, so each gets the sum / sqrt(n).
        """
        outputs, targets = (torch.cat([answer[part] for answer in answers]) for part in (1, 2))
        num_examples, num_groups = len(outputs), min(MAX_GROUPS, len(outputs))
        score = self._only_score(outputs, targets)
        if num_examples == 1:
            return torch.tensor([score], dtype=torch.float64)
        group_of = torch.arange(num_examples) % num_groups
        sizes = torch.bincount(group_of).double()
        rest = [self._only_score(outputs[group_of != g], targets[group_of != g]) for g in range(num_groups)]
        influences = (num_examples - sizes) * (score - torch.tensor(rest, dtype=torch.float64)) / sizes.sqrt()
        deviations = influences[group_of]
        return score + deviations - deviations.mean()

    def _only_score(self, outputs: Tensor, targets: Tensor) -> float:
        return next(iter(self._score(outputs, targets).values()))

    def _score(self, outputs: Tensor, targets: Tensor) -> dict[str, float]:
        """Returns the user's score and further metrics, the score first. Raises TaskFileError for anything else."""
        assert self.goal.score is not None
        with self.user_errors():
            found = self.goal.score(outputs, targets)
        named: dict[str, Any] = found if isinstance(found, dict) and found else {self.goal.name: found}
        try:
            return {str(name): float(value) for name, value in named.items()}
        except (TypeError, ValueError, RuntimeError):
            expected = "expected a number, or a dict of numbers whose first is the score"
            given = f"a tensor {list(found.shape)}" if isinstance(found, Tensor) else f"{found!r:.80}"
            raise TaskFileError(f"{self._where('score')} gave {given}; {expected}") from None

    def _where(self, function: str) -> str:
        return f"{self.code.path}: {function}()" if self.code else f"{function}()"


def _with_functions(goal: Custom, code: TaskCode | None) -> Custom:
    """Returns the goal with its functions, which the task's code has if JSON carried the goal."""
    if (goal.loss is None or goal.score is None) and code is not None and isinstance(code.goal, Custom):
        goal = code.goal
    missing = [name for name in ("loss", "score") if not callable(getattr(goal, name))]
    if missing and code is None:
        raise ValueError("the loss and the score of a Custom goal are in its task's file: pass task=FILE")
    if missing:
        raise TaskFileError(f"{code.path}: goal = Custom(...) lacks {' and '.join(missing)}" if code else "")
    return goal


def _as_targets(y: Tensor) -> Tensor:
    """Returns images as floats from 0 to 1, other bytes as floats, and labels, class maps and floats as they are."""
    if y.dtype != torch.uint8:
        return y
    return to_float(y) if y.dim() >= 4 else y.to(torch.float32)
