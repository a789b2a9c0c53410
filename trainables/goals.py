"""The computations of each goal: the examples of a batch, the loss on them, and the scores of a split."""

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

NOISE_SEED = 0  # for the noise of validation and test images; changing it makes rows incomparable

Predict = Callable[[Tensor], Tensor]
"""Maps a batch of images, uint8 or float from 0 to 1, to the network's outputs, float32."""

Answer = tuple[Tensor, Tensor, Tensor]
"""The inputs, outputs and targets of a batch."""


@dataclass(frozen=True)
class Scores:
    """A network's mean loss, its goal's metric and further metrics on a split."""

    loss: float
    score: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceSplit:
    """Images uint8 [N, C, H, W] with labels int64 [N] or target images, on one device; lists if sizes differ."""

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
    """Returns the computations of a goal on a split. Raises TypeError for a goal without any."""
    if (work := _WORKS.get(type(goal))) is None:
        raise TypeError(f"goal {type(goal).__name__}: has no work; add it to _WORKS in trainables/goals.py")
    return work(goal, split)


class Work(ABC):
    """The computations of a goal on one split. `len` is the number of examples in an epoch."""

    def __init__(self, split: DeviceSplit) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    @abstractmethod
    def examples(self, places: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns inputs, float32 [B, C, H, W], and targets of the examples at `places` [B], drawn anew each time."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
        """Returns the loss that training minimizes, for float32 outputs."""

    @abstractmethod
    def answers(self, predict: Predict) -> Iterator[Answer]:
        """Yields the answers for all images of the split in their order, in batches; equal for equal networks.

        Inputs are uint8 or float from 0 to 1. Outputs are logits [B, classes] with labels int64 [B] as targets, or
        images [B, C, H, W] with images from 0 to 1 as targets.
        """

    @abstractmethod
    def scores(self, predict: Predict) -> Scores:
        """Returns the scores of a network's answers."""

    @abstractmethod
    def image_scores(self, answers: Sequence[Answer]) -> Tensor:
        """Returns each image's contribution to the score, float64 [N]; their mean is the score and varies like it.

        `answers` are those of the whole split, in its order.
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
        """Linearizes the root around the score (the delta method). Pages are weighted by their pixels."""
        squares = torch.stack([(cleaned - clean).square().sum(dtype=torch.float64) for _, cleaned, clean in answers])
        pixels = torch.tensor([clean.numel() for *_, clean in answers], dtype=torch.float64, device=squares.device)
        mse = squares.sum() / pixels.sum()
        deviations = (squares - mse * pixels) / pixels.mean()
        return mse.sqrt() + deviations / (2 * mse.sqrt().clamp_min(torch.finfo(torch.float64).tiny))


class _Patches:
    """Draws random patches of pages of any sizes and of their targets, from one row that holds all pixels."""

    def __init__(self, x: list[Tensor], y: list[Tensor], side: int, num_patches: list[int]) -> None:
        device, sizes = x[0].device, torch.tensor([page.shape[-2:] for page in x])
        self.x, self.y = (torch.cat([page.flatten() for page in pages]) for pages in (x, y))
        self.starts = (sizes.prod(1).cumsum(0) - sizes.prod(1)).to(device)
        self.widths = sizes[:, 1].to(device)
        self.corners = (sizes - side + 1).double().to(device)
        """The number of rows and columns where a patch's corner may be, for each page."""
        self.ends = torch.tensor(num_patches).cumsum(0).to(device)
        self.within = torch.arange(side, device=device)

    def draw(self, places: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns patches uint8 [B, 1, side, side] and their targets. A page has one place for each patch."""
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
    """Returns the images at `places` as floats, augmented by the recipe."""
    return augment(to_float(x.index_select(0, places)), recipe.augmentation, generator)


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


def _images(values: Images, device: torch.device) -> Tensor | list[Tensor]:
    if isinstance(values, list):
        return [torch.tensor(image, device=device).unsqueeze(0) for image in values]
    tensor = torch.tensor(values, device=device)
    if tensor.dim() == 1:
        return tensor.long()
    return tensor if tensor.dim() == 4 else tensor.unsqueeze(1)


def _one(values: Tensor | list[Tensor]) -> Tensor:
    assert isinstance(values, Tensor), "this goal needs images of one size"
    return values


def _many(values: Tensor | list[Tensor]) -> list[Tensor]:
    return list(values)
