"""Work: the computations of a goal on one split, and how an example's contribution to a score is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from spaces.goal import Goal
from spaces.recipe import Recipe
from trainables.augment import augment
from trainables.device_split import DeviceSplit
from trainables.inference import to_float
from trainables.task_code import TaskCode, TaskFileError, errors_of

Predict = Callable[[Tensor], Tensor]
"""Maps a batch of inputs, uint8 or float, to the network's outputs, float32."""

Answer = tuple[Tensor, Tensor, Tensor]
"""The inputs, outputs and targets of a batch."""


@dataclass(frozen=True)
class Scores:
    """A network's mean loss, its goal's metric and further metrics on a split."""

    loss: float
    score: float
    metrics: dict[str, float] = field(default_factory=dict)


class Work(ABC):
    """The computations of a goal on one split. `len` is the number of examples in an epoch."""

    gives: Literal["classes", "images", "maps", "values"] = "values"
    """The kind of a network's outputs: logits of classes, images, class maps, or any other numbers."""

    def __init__(self, goal: Goal, split: DeviceSplit, code: TaskCode | None = None) -> None:
        self.split, self.code = split, code

    def __len__(self) -> int:
        return len(self.split)

    def examples(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns inputs, float32 [B, ...], and targets of the examples at `places` [B], drawn anew each time.

        The user's own augmentation comes last. Raises TaskFileError if it fails.
        """
        inputs, targets = self.draw(places, recipe, generator)
        if self.code is None or self.code.augment is None:
            return inputs, targets
        with self.user_errors():
            changed = self.code.augment(inputs, targets, generator)
        if not (isinstance(changed, tuple) and len(changed) == 2 and all(isinstance(each, Tensor) for each in changed)):
            raise TaskFileError(f"{self.code.path}: augment() gave no pair of tensors; expected (inputs, targets)")
        return changed

    def user_errors(self) -> AbstractContextManager[None]:
        """Returns a context in which an error is the user's, with the line of their file if there is one."""
        return errors_of(self.code.path) if self.code else nullcontext()

    @abstractmethod
    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns the inputs and targets of `examples` before the user's own augmentation."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        """Returns the loss that training minimizes, for float32 outputs."""

    @abstractmethod
    def answers(self, predict: Predict) -> Iterator[Answer]:
        """Yields the answers for all examples of the split in their order, in batches; equal for equal networks.

        Inputs are uint8 or float. Outputs and targets, by what the goal `gives`:

        - classes: logits [B, classes] and labels int64 [B]
        - images: images [B, C, H, W] from 0 to 1, both
        - maps: class maps int64 [B, ...], both
        - values: outputs float32 [B, ...] and targets of any type
        """

    @abstractmethod
    def scores(self, predict: Predict) -> Scores:
        """Returns the scores of a network's answers. NaN outputs give NaN."""

    @abstractmethod
    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        """Returns each example's contribution to the score, float64 [N]; their mean is the score and varies like it.

        `answers` are those of the whole split, in its order.
        """


def augmented(x: Tensor, places: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Returns the inputs at `places` as floats, augmented by the recipe if they are images."""
    inputs = to_float(x.index_select(0, places))
    return augment(inputs, recipe.augmentation, generator) if inputs.dim() == 4 else inputs


def root_scores(squares: Tensor, sizes: Tensor) -> Tensor:
    """Returns contributions to sqrt(sum of squares / sum of sizes), both float64 [N], by the delta method.

    The root is linearized around the score.
    """
    mse = squares.sum() / sizes.sum()
    deviations = (squares - mse * sizes) / sizes.mean()
    return mse.sqrt() + deviations / (2 * mse.sqrt().clamp_min(torch.finfo(torch.float64).tiny))


def mean_ratio(parts: Tensor, wholes: Tensor) -> Tensor:
    """Returns the mean over K of parts[k] / wholes[k], both [K], leaving out wholes of 0; 0 if all are."""
    counted = wholes != 0
    return (parts / wholes)[counted].mean() if counted.any() else torch.zeros((), dtype=torch.float64)


def mean_ratio_scores(parts: Tensor, wholes: Tensor) -> Tensor:
    """Returns contributions to the `mean_ratio` of the sums over N of both, float64 [N, K], by the delta method.

    Each ratio is linearized around its value in the whole split.
    """
    totals = wholes.sum(0)
    counted = totals != 0
    if not counted.any():
        return torch.zeros(len(parts), dtype=torch.float64)
    parts, wholes, totals = parts[:, counted], wholes[:, counted], totals[counted]
    ratios = parts.sum(0) / totals
    deviations = (parts - ratios * wholes) / (totals / len(parts))
    return ratios.mean() + deviations.mean(1)


def one_size(values: Tensor | list[Tensor], goal: Goal) -> Tensor:
    """Returns examples that all have one size. Raises ValueError for a list."""
    if isinstance(values, Tensor):
        return values
    raise ValueError(f"{type(goal).__name__} needs examples of one size, an array [N, ...]; found a list of arrays")


def listed(values: Tensor | list[Tensor]) -> list[Tensor]:
    return list(values)


def taken(values: Tensor | list[Tensor], places: Tensor) -> Tensor:
    """Returns the examples [B, ...] at these places, which are of one size."""
    return values[places] if isinstance(values, Tensor) else torch.stack([values[place] for place in places.tolist()])
