"""The goal Segment: the class of each pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from spaces.goal import Segment
from spaces.recipe import Recipe
from trainables.device_split import DeviceSplit
from trainables.inference import batches, to_float
from trainables.patches import Patches
from trainables.task_code import TaskCode
from trainables.work import Answer, Predict, Scores, Work, listed, mean_ratio, mean_ratio_scores, taken


class SegmentWork(Work):
    """Class maps from logits [B, classes, H, W]; images are drawn whole or in patches."""

    gives = "maps"

    def __init__(self, goal: Segment, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        shapes = [tuple(image.shape) for image in listed(split.x)]
        self.patching = goal.patching(shapes)
        self.num_patches = self.patching.patches(shapes) if self.patching else [1] * len(shapes)
        self.shapes = shapes

    def __len__(self) -> int:
        return sum(self.num_patches)

    @cached_property
    def patches(self) -> Patches:
        assert self.patching is not None
        x, y = listed(self.split.x), listed(self.split.y)
        maps = [_without_channel(classes, 3).unsqueeze(0) for classes in y]
        return Patches(x, maps, self.patching.side(self.shapes), self.num_patches)

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if self.patching:
            x, y = self.patches.draw(places, generator)
            return to_float(x), y.squeeze(1).long()
        x, y = taken(self.split.x, places), taken(self.split.y, places)
        return to_float(x), _without_channel(y, x.dim()).long()

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        return _cross_entropy(outputs, targets, "mean", recipe.label_smoothing)

    def answers(self, predict: Predict) -> Iterator[Answer]:
        return ((x, outputs.argmax(1), y) for x, outputs, y in self._outputs(predict))

    def scores(self, predict: Predict) -> Scores:
        loss, right = torch.zeros(2, dtype=torch.float64, device=self.split.device)
        num_pixels, sums = 0, None
        for _, outputs, y in self._outputs(predict):
            loss += _cross_entropy(outputs, y, "sum")
            maps = outputs.argmax(1)
            right += (maps == y).sum()
            num_pixels += y.numel()
            terms = torch.stack([each.sum(0) for each in _iou_terms(maps, y, outputs.shape[1])])
            sums = terms if sums is None else sums + terms
        assert sums is not None
        mean_loss = loss.item() / num_pixels
        found = mean_ratio(*sums).item(), right.item() / num_pixels
        score, accuracy = (math.nan if math.isnan(mean_loss) else each for each in found)
        return Scores(mean_loss, score, {"pixel_accuracy": accuracy})

    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        num_classes = 1 + max(int(each.max()) for _, *maps in answers for each in maps)
        terms = [_iou_terms(maps, y, num_classes) for _, maps, y in answers]
        parts, wholes = (torch.cat(each) for each in zip(*terms, strict=True))
        return mean_ratio_scores(parts, wholes)

    def _outputs(self, predict: Predict) -> Iterator[Answer]:
        """Yields inputs, logits [B, classes, H, W] and class maps int64 [B, H, W]."""
        if isinstance(self.split.x, Tensor) and isinstance(self.split.y, Tensor):
            pairs = batches(self.split.x, self.split.y)
        else:
            pairs = ((x.unsqueeze(0), y.unsqueeze(0)) for x, y in zip(self.split.x, self.split.y, strict=True))
        return ((x, predict(x), _without_channel(y, x.dim()).long()) for x, y in pairs)


def _without_channel(maps: Tensor, dimensions: int) -> Tensor:
    """Returns class maps of inputs with these dimensions, one of which is the channel, without a channel."""
    return maps.squeeze(dimensions - 3) if maps.dim() == dimensions else maps


def _cross_entropy(outputs: Tensor, targets: Tensor, reduction: str, label_smoothing: float = 0.0) -> Tensor:
    """Returns the cross-entropy by pixel, as of a table: torch's own for maps adds in a changing order on a GPU."""
    logits = outputs.movedim(1, -1).flatten(0, -2)
    return functional.cross_entropy(logits, targets.flatten(), reduction=reduction, label_smoothing=label_smoothing)


def _iou_terms(maps: Tensor, targets: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Returns float64 [B, classes], whose sums over images have the IoU as their ratio: intersections and unions."""
    size = len(maps) * num_classes
    first = torch.arange(len(maps), device=maps.device).view(-1, *[1] * (maps.dim() - 1)) * num_classes

    def counts(classes: Tensor) -> Tensor:
        return torch.bincount(classes.flatten(), minlength=size).double().view(len(maps), num_classes)

    predicted, true = counts(first + maps), counts(first + targets)
    both = counts((first + targets)[maps == targets])
    return both, predicted + true - both
