"""The goals of images and labels: the examples of a batch, the loss on them, and the scores of a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from spaces.goal import Classify, Custom, Denoise, Goal, MultiLabel, Reconstruct, Regress, Restore, Segment
from spaces.recipe import Recipe
from trainables.custom_goal import CustomWork
from trainables.device_split import DeviceSplit
from trainables.inference import batches, to_float
from trainables.patches import Patches
from trainables.segment_goal import SegmentWork
from trainables.ssim import ssim
from trainables.target_goals import MultiLabelWork, RegressWork
from trainables.task_code import TaskCode
from trainables.work import Answer, Predict, Scores, Work, augmented, listed, one_size, root_scores

NOISE_SEED = 0  # for the noise of validation and test images; changing it makes rows incomparable


def work_for(goal: Goal, split: DeviceSplit, code: TaskCode | None = None) -> Work:
    """Returns the computations of a goal on a split. Raises TypeError for a goal without any.

    `code` is the user's, with the functions of a Custom goal and their own augmentation. Raises ValueError if the goal
    needs other data, or functions that are missing.
    """
    if (work := _WORKS.get(type(goal))) is None:
        raise TypeError(f"goal {type(goal).__name__}: has no work; add it to _WORKS in trainables/goals.py")
    return work(goal, split, code)


class _Classify(Work):
    gives = "classes"

    def __init__(self, goal: Classify, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        self.x, self.y = one_size(split.x, goal), one_size(split.y, goal)

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return augmented(self.x, places, recipe, generator), self.y[places]

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        return functional.cross_entropy(outputs, targets, label_smoothing=recipe.label_smoothing)

    def answers(self, predict: Predict) -> Iterator[Answer]:
        return ((x, predict(x), y) for x, y in batches(self.x, self.y))

    def scores(self, predict: Predict) -> Scores:
        loss, correct = torch.zeros((), device=self.x.device), torch.zeros((), device=self.x.device)
        for _, outputs, y in self.answers(predict):
            loss += functional.cross_entropy(outputs, y, reduction="sum")
            correct += (outputs.argmax(1) == y).sum()
        return Scores(loss.item() / len(self.y), correct.item() / len(self.y))

    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        return torch.cat([outputs.argmax(1) == y for _, outputs, y in answers]).double()


class _Reconstruct(Work):
    gives = "images"

    def __init__(self, goal: Reconstruct, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        self.x = one_size(split.x, goal)
        if self.x.dtype != torch.uint8:
            raise ValueError(
                "Reconstruct needs pixels, uint8; for numbers take Regress(), whose targets may be x itself"
            )

    @cached_property
    def entropy(self) -> float:
        return pixel_entropy(self.x)

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = augmented(self.x, places, recipe, generator)
        return images, images

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        return cross_entropies(outputs, targets).mean()

    def answers(self, predict: Predict) -> Iterator[Answer]:
        return ((x, predict(x), to_float(x)) for (x,) in batches(self.x))

    def scores(self, predict: Predict) -> Scores:
        sums = torch.zeros(2, dtype=torch.float64, device=self.x.device)
        for _, outputs, targets in self.answers(predict):
            sums[0] += cross_entropies(outputs, targets).sum(dtype=torch.float64)
            sums[1] += (outputs - targets).square().sum(dtype=torch.float64)
        loss, mse = (sums / self.x.numel()).tolist()
        return Scores(loss, loss - self.entropy, {"mse": mse})

    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        excess = [cross_entropies(outputs, targets) - entropies(targets) for _, outputs, targets in answers]
        return torch.cat([each.double().mean(dim=(1, 2, 3)) for each in excess])


class _Denoise(Work):
    gives = "images"

    def __init__(self, goal: Denoise, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        self.sigma, self.x = goal.sigma, one_size(split.x, goal)

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        clean = augmented(self.x, places, recipe, generator)
        return add_noise(clean, self.sigma, generator), clean

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        return functional.mse_loss(outputs, targets)

    def answers(self, predict: Predict) -> Iterator[Answer]:
        generator = torch.Generator().manual_seed(NOISE_SEED)  # on the CPU, for the same noise on every device
        for (x,) in batches(self.x):
            clean = to_float(x)
            noisy = add_noise(clean, self.sigma, generator)
            yield noisy, predict(noisy).clamp_(0, 1), clean

    def scores(self, predict: Predict) -> Scores:
        sums = torch.zeros(3, dtype=torch.float64, device=self.x.device)
        for _, cleaned, clean in self.answers(predict):
            errors = (cleaned - clean).square().mean(dim=(1, 2, 3))
            sums += torch.stack([errors.sum(), psnr(errors).sum(), ssim(cleaned, clean).sum()])
        mse, mean_psnr, mean_ssim = (sums / len(self.x)).tolist()
        return Scores(mse, mse, {"psnr": mean_psnr, "ssim": mean_ssim})

    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        return torch.cat([(cleaned - clean).square().double().mean(dim=(1, 2, 3)) for _, cleaned, clean in answers])


class _Restore(Work):
    gives = "images"

    def __init__(self, goal: Restore, split: DeviceSplit, code: TaskCode | None = None) -> None:
        super().__init__(goal, split, code)
        self.x, self.y = listed(split.x), listed(split.y)
        shapes = [tuple(page.shape) for page in self.x]
        self.side, self.num_patches = goal.side(shapes), goal.patches(shapes)

    def __len__(self) -> int:
        return sum(self.num_patches)

    @cached_property
    def patches(self) -> Patches:
        return Patches(self.x, self.y, self.side, self.num_patches)

    def draw(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, y = self.patches.draw(places, generator)
        return to_float(x), to_float(y)

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        return functional.mse_loss(outputs, targets)

    def answers(self, predict: Predict) -> Iterator[Answer]:
        for x, y in zip(self.x, self.y, strict=True):
            yield x.unsqueeze(0), predict(x.unsqueeze(0)).clamp_(0, 1), to_float(y.unsqueeze(0))

    def scores(self, predict: Predict) -> Scores:
        total = torch.zeros((), dtype=torch.float64, device=self.split.device)
        for _, cleaned, clean in self.answers(predict):
            total += (cleaned - clean).square().sum(dtype=torch.float64)
        mse = total.item() / sum(page.numel() for page in self.x)
        return Scores(mse, math.sqrt(mse))

    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        """Pages are weighted by their pixels."""
        squares = torch.stack([(cleaned - clean).square().sum(dtype=torch.float64) for _, cleaned, clean in answers])
        pixels = torch.tensor([clean.numel() for *_, clean in answers], dtype=torch.float64, device=squares.device)
        return root_scores(squares, pixels)


_WORKS: dict[type[Goal], Callable[..., Work]] = {
    Classify: _Classify,
    Reconstruct: _Reconstruct,
    Denoise: _Denoise,
    Restore: _Restore,
    Regress: RegressWork,
    MultiLabel: MultiLabelWork,
    Segment: SegmentWork,
    Custom: CustomWork,
}


def pixel_entropy(x: Tensor) -> float:
    """Returns the mean binary entropy of pixels uint8 in nats, the minimum cross-entropy of any prediction of them."""
    counts = torch.bincount(x.flatten(), minlength=256).double().cpu()
    values = torch.arange(256, dtype=torch.float64) / 255
    return float(counts @ entropies(values) / counts.sum())


def entropies(values: Tensor) -> Tensor:
    """Returns the binary entropies in nats of values from 0 to 1."""
    return -torch.special.xlogy(values, values) - torch.special.xlogy(1 - values, 1 - values)


def cross_entropies(outputs: Tensor, targets: Tensor) -> Tensor:
    """Returns the binary cross-entropies in nats of outputs and targets from 0 to 1; NaN outputs give NaN.

    torch's own raises for NaN, which ends the process on a GPU. Outputs of exactly 0 and 1 are moved to the nearest
    float32 in between.
    """
    inside = outputs.clamp(torch.finfo(torch.float32).tiny, 1 - 2**-24)
    return -(targets * inside.log() + (1 - targets) * (-inside).log1p())


def add_noise(clean: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Adds Gaussian noise to pixels from 0 to 1, and clips the result to 0 to 1."""
    noise = torch.randn(clean.shape, generator=generator, device=generator.device).to(clean.device)
    return (clean + sigma * noise).clamp_(0, 1)


def psnr(errors: Tensor) -> Tensor:
    """Returns the peak signal-to-noise ratios in dB, at most 100, of mean squared errors of pixels from 0 to 1."""
    return -10 * torch.log10(errors.clamp_min(1e-10))
