"""What each goal means at work: which examples a batch holds, the loss on them, and how a split is scored."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from data.splits import Images
from spaces.goal import Classify, Denoise, Goal, Reconstruct, Restore
from spaces.recipe import Recipe
from trainables.augment import augment
from trainables.inference import batches, to_float
from trainables.ssim import ssim

NOISE_SEED = 0  # of the noise that validation and test images carry; changing it makes rows incomparable

Predict = Callable[[Tensor], Tensor]
"""A batch of images, uint8 or from 0 to 1, to the outputs, float32."""

Answer = tuple[Tensor, Tensor, Tensor]
"""What went in for a batch, what came out, and what would have been right."""


@dataclass(frozen=True)
class Scores:
    """How good a network is on a split: its mean loss, the goal's metric, and further ones."""

    loss: float
    score: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceSplit:
    """Images uint8 [N, C, H, W] with labels int64 [N] or target images, on one device; lists where sizes differ."""

    x: Tensor | list[Tensor]
    y: Tensor | list[Tensor]

    @classmethod
    def of(cls, x: Images, y: Images, device: torch.device) -> DeviceSplit:
        """Copies images [N, H, W] or [N, C, H, W], or lists of [H, W], to a device."""
        return cls(_images(x, device), _images(y, device))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def device(self) -> torch.device:
        return self.x[0].device


def work_for(goal: Goal, split: DeviceSplit) -> Work:
    """The goal at work on a split."""
    if (work := _WORKS.get(type(goal))) is None:
        raise TypeError(f"goal {type(goal).__name__}: has no work; _WORKS in trainables/goals.py is to have it")
    return work(goal, split)


class Work(ABC):
    """A goal on one split: `len` is the number of examples in an epoch."""

    def __init__(self, split: DeviceSplit) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    @abstractmethod
    def examples(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs, float32 [B, C, H, W], and targets of the examples at `places` [B], drawn anew each time."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        """What training lowers, for float32 outputs."""

    @abstractmethod
    def answers(self, predict: Predict) -> Iterator[Answer]:
        """All images of the split in their order, in batches; the same for the same network whenever it is asked.

        Inputs are uint8 or from 0 to 1; outputs are logits [B, classes] with labels int64 [B] beside them, or images
        [B, C, H, W] with images from 0 to 1.
        """

    @abstractmethod
    def scores(self, predict: Predict) -> Scores:
        """What the answers are worth."""

    @abstractmethod
    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        """What each image contributes to the score, float64 [N]: the score is the mean of these, and varies as it does.

        `answers` are all of the split's, in their order.
        """


class _Classify(Work):
    def __init__(self, goal: Classify, split: DeviceSplit) -> None:
        super().__init__(split)
        self.x, self.y = _one(split.x), _one(split.y)

    def examples(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return _augmented(self.x, places, recipe, generator), self.y[places]

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
    def __init__(self, goal: Reconstruct, split: DeviceSplit) -> None:
        super().__init__(split)
        self.x = _one(split.x)

    @cached_property
    def entropy(self) -> float:
        return pixel_entropy(self.x)

    def examples(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = _augmented(self.x, places, recipe, generator)
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
    def __init__(self, goal: Denoise, split: DeviceSplit) -> None:
        super().__init__(split)
        self.sigma, self.x = goal.sigma, _one(split.x)

    def examples(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        clean = _augmented(self.x, places, recipe, generator)
        return add_noise(clean, self.sigma, generator), clean

    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        return functional.mse_loss(outputs, targets)

    def answers(self, predict: Predict) -> Iterator[Answer]:
        generator = torch.Generator().manual_seed(NOISE_SEED)  # on the CPU: the same noise on every device
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
    def __init__(self, goal: Restore, split: DeviceSplit) -> None:
        super().__init__(split)
        self.x, self.y = _many(split.x), _many(split.y)
        shapes = [tuple(page.shape) for page in self.x]
        self.side, self.num_patches = goal.side(shapes), goal.patches(shapes)

    def __len__(self) -> int:
        return sum(self.num_patches)

    @cached_property
    def patches(self) -> _Patches:
        return _Patches(self.x, self.y, self.side, self.num_patches)

    def examples(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
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
        """The root's linear part around the score (the delta method); a page counts by its pixels."""
        squares = torch.stack([(cleaned - clean).square().sum(dtype=torch.float64) for _, cleaned, clean in answers])
        pixels = torch.tensor([clean.numel() for *_, clean in answers], dtype=torch.float64, device=squares.device)
        mse = squares.sum() / pixels.sum()
        deviations = (squares - mse * pixels) / pixels.mean()
        return mse.sqrt() + deviations / (2 * mse.sqrt().clamp_min(torch.finfo(torch.float64).tiny))


class _Patches:
    """Random patches of pages of any sizes and of their target pages: all pixels in one row, taken by their places."""

    def __init__(self, x: list[Tensor], y: list[Tensor], side: int, num_patches: list[int]) -> None:
        device, sizes = x[0].device, torch.tensor([page.shape[-2:] for page in x])
        self.x, self.y = (torch.cat([page.flatten() for page in pages]) for pages in (x, y))
        self.starts = (sizes.prod(1).cumsum(0) - sizes.prod(1)).to(device)
        self.widths = sizes[:, 1].to(device)
        self.corners = (sizes - side + 1).double().to(device)
        """How many rows and columns a patch's corner may lie in."""
        self.ends = torch.tensor(num_patches).cumsum(0).to(device)
        self.within = torch.arange(side, device=device)

    def draw(self, places: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Patches uint8 [B, 1, side, side]; a place stands for a page, which has a place for each of its patches."""
        pages = torch.searchsorted(self.ends, places, right=True)
        uniform = torch.rand((len(places), 2), generator=generator, device=places.device)
        top, left = (uniform * self.corners[pages]).long().unbind(1)
        widths = self.widths[pages]
        firsts = self.starts[pages] + top * widths + left
        rows = firsts[:, None] + self.within * widths[:, None]
        pixels = rows[:, None, :, None] + self.within
        return self.x[pixels], self.y[pixels]


_WORKS: dict[type[Goal], Callable[..., Work]] = {
    Classify: _Classify,
    Reconstruct: _Reconstruct,
    Denoise: _Denoise,
    Restore: _Restore,
}


def _augmented(x: Tensor, places: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """The images at `places`, as floats, shaken as the recipe asks for."""
    return augment(to_float(x.index_select(0, places)), recipe.augmentation, generator)


def pixel_entropy(x: Tensor) -> float:
    """The mean binary entropy of pixels uint8, in nats: the least cross-entropy that a prediction of them can have."""
    counts = torch.bincount(x.flatten(), minlength=256).double().cpu()
    values = torch.arange(256, dtype=torch.float64) / 255
    return float(counts @ entropies(values) / counts.sum())


def entropies(values: Tensor) -> Tensor:
    """Binary entropies in nats of values from 0 to 1."""
    return -torch.special.xlogy(values, values) - torch.special.xlogy(1 - values, 1 - values)


def cross_entropies(outputs: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropies in nats of outputs and targets from 0 to 1; NaN where an output is.

    There torch's own raises, which on a GPU is the end of the process. Outputs of exactly 0 and 1 are moved to the
    next float32 that is neither.
    """
    inside = outputs.clamp(torch.finfo(torch.float32).tiny, 1 - 2**-24)
    return -(targets * inside.log() + (1 - targets) * (-inside).log1p())


def add_noise(clean: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Pixels from 0 to 1 with Gaussian noise, clipped to 0 to 1."""
    noise = torch.randn(clean.shape, generator=generator, device=generator.device).to(clean.device)
    return (clean + sigma * noise).clamp_(0, 1)


def psnr(errors: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, for mean squared errors of pixels from 0 to 1; at most 100."""
    return -10 * torch.log10(errors.clamp_min(1e-10))


def _images(values: Images, device: torch.device) -> Tensor | list[Tensor]:
    if isinstance(values, list):
        return [torch.tensor(image, device=device).unsqueeze(0) for image in values]
    tensor = torch.tensor(values, device=device)
    if tensor.dim() == 1:
        return tensor.long()
    return tensor if tensor.dim() == 4 else tensor.unsqueeze(1)


def _one(values: Tensor | list[Tensor]) -> Tensor:
    assert isinstance(values, Tensor), "images of one size are needed"
    return values


def _many(values: Tensor | list[Tensor]) -> list[Tensor]:
    return list(values)
