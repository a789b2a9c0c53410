"""The one training loop: a candidate, a dataset on a device and a seed become a sequence of reports.

No Ray and no disk in it: the Ray Trainable, replays, tests and notebooks call it alone. All randomness comes from two
generators seeded by the caller, so that a candidate and a seed give bit-equal curves on a CPU wherever they run.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from spaces.recipe import Candidate
from trainables.augment import augment
from trainables.build import build
from trainables.machine import fastest_precision
from trainables.optim import learning_rate, make_optimizer

EVALUATION_BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a trial says after each epoch, or part of one. `step` counts reports from 1; `epoch` may be fractional."""

    step: int
    epoch: float
    train_loss: float
    val_loss: float
    val_score: float
    learning_rate: float
    seconds: float
    """Time in forward, backward, optimizer, augmentation and validation since the last report."""
    num_images: int
    """Training images seen since the last report."""
    finished: bool
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, (self.train_loss, self.val_loss, self.val_score)))


@dataclass(frozen=True)
class DeviceSplit:
    """Images uint8 [N, C, H, W] and labels int64 [N], on one device."""

    x: Tensor
    y: Tensor

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, device: torch.device) -> DeviceSplit:
        """Copies arrays [N, H, W] or [N, C, H, W] to a device."""
        images = torch.tensor(x, device=device)
        return cls(images if images.dim() == 4 else images.unsqueeze(1), torch.tensor(y, device=device).long())


class Training:
    """A candidate in training: `advance()` trains one part of an epoch, validates and reports.

    `epochs` is the length that schedules are stretched over. An epoch drops its last, incomplete batch, another one
    each time, so that every step has the same shape.
    """

    def __init__(
        self,
        candidate: Candidate,
        train: DeviceSplit,
        val: DeviceSplit,
        *,
        seed: int,
        epochs: int,
        reports_per_epoch: int = 1,
    ) -> None:
        self.recipe, self.train, self.val = candidate.recipe, train, val
        self.seed, self.epochs, self.reports_per_epoch = seed, epochs, reports_per_epoch
        self.batch_size = min(self.recipe.batch_size, len(train.y))
        self.steps_per_epoch = len(train.y) // self.batch_size
        if reports_per_epoch > self.steps_per_epoch:
            raise ValueError(f"reports_per_epoch={reports_per_epoch}: an epoch has only {self.steps_per_epoch} batches")
        self.device = train.x.device
        self.precision = fastest_precision(self.device)
        self.module = build(candidate.network, seed, self.device).to(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(self.recipe, self.module.parameters())
        self.average = _copy(self.module.state_dict()) if self.recipe.ema_decay is not None else None
        self.num_steps = self.num_reports = 0
        self.best_score, self.best_report = -math.inf, 0
        self.last_report: Report | None = None

    def advance(self) -> Report:
        """Trains up to the next report's place, validates, and reports."""
        start = time.perf_counter()
        first, self.num_reports = self.num_steps, self.num_reports + 1
        last = self.num_reports * self.steps_per_epoch // self.reports_per_epoch
        train_loss = self._train(last)
        val_loss, val_score = evaluate(self.module, self.val, self.precision, self.average)
        if val_score > self.best_score:
            self.best_score, self.best_report = val_score, self.num_reports
        self.last_report = Report(
            step=self.num_reports,
            epoch=self.num_reports / self.reports_per_epoch,
            train_loss=train_loss,
            val_loss=val_loss,
            val_score=val_score,
            learning_rate=self._learning_rate(),
            seconds=time.perf_counter() - start,
            num_images=(last - first) * self.batch_size,
            finished=self._is_finished(),
        )
        return self.last_report

    def weights(self) -> dict[str, Tensor]:
        """The weights that were validated: the averaged ones where the recipe asks for them."""
        return _copy(self.module.state_dict() if self.average is None else self.average)

    def save(self) -> bytes:
        """All that `load` needs to go on as if nothing had happened."""
        state = {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "generator": self.module.generator.get_state(),
            "position": [self.num_steps, self.num_reports, self.best_report],
            "best_score": self.best_score,
            "last_report": asdict(self.last_report) if self.last_report else None,
        }
        file = io.BytesIO()
        torch.save(state, file)
        return file.getvalue()

    def load(self, state: bytes) -> None:
        """Goes on where `save` was called, for the same candidate, data and seed."""
        loaded = torch.load(io.BytesIO(state), map_location=self.device, weights_only=True)
        self.module.load_state_dict(loaded["module"])
        self.optimizer.load_state_dict(loaded["optimizer"])
        self.average = loaded["average"]
        self.module.generator.set_state(loaded["generator"].cpu())
        self.num_steps, self.num_reports, self.best_report = loaded["position"]
        self.best_score = loaded["best_score"]
        self.last_report = Report(**loaded["last_report"]) if loaded["last_report"] else None

    def _train(self, last_step: int) -> float:
        """Steps up to `last_step`; the mean loss of them."""
        self.module.train()
        total, first = torch.zeros((), device=self.device), self.num_steps
        order = self._order(first // self.steps_per_epoch)
        while self.num_steps < last_step:
            place = self.num_steps % self.steps_per_epoch * self.batch_size
            total += self._step(order[place : place + self.batch_size])
            self.num_steps += 1
        return total.item() / (last_step - first)

    def _step(self, batch: Tensor) -> Tensor:
        images = augment(to_float(self.train.x[batch]), self.recipe.augmentation, self.module.generator)
        with autocast(self.device, self.precision):
            outputs = self.module(images.contiguous(memory_format=torch.channels_last))
        smoothing = self.recipe.label_smoothing
        loss = functional.cross_entropy(outputs.float(), self.train.y[batch], label_smoothing=smoothing)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self._update_average()
        return loss.detach()

    def _update_average(self) -> None:
        """Moves the average towards the weights, faster at first so that the random start is soon forgotten."""
        if self.average is None or self.recipe.ema_decay is None:
            return
        decay = min(self.recipe.ema_decay, (1 + self.num_steps) / (10 + self.num_steps))
        now = [value for value in self.module.state_dict().values() if value.is_floating_point()]
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            [value for value in self.average.values() if value.is_floating_point()], now, 1 - decay
        )

    def _order(self, epoch: int) -> Tensor:
        """The epoch's order of images, from the seed and the epoch alone, so that a resumed one is the same."""
        words = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0]))
        return torch.randperm(len(self.train.y), generator=generator).to(self.device)

    def _learning_rate(self) -> float:
        return learning_rate(self.recipe, self.num_steps / (self.epochs * self.steps_per_epoch))

    def _is_finished(self) -> bool:
        patience = self.recipe.patience
        is_stuck = patience is not None and self.num_reports - self.best_report >= patience * self.reports_per_epoch
        return is_stuck or self.num_reports >= self.epochs * self.reports_per_epoch


@torch.inference_mode()
def evaluate(
    module: torch.nn.Module, split: DeviceSplit, precision: torch.dtype, weights: dict[str, Tensor] | None = None
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (0 to 1) on a split, with `weights` in the module's place if given."""
    module.eval()
    loss, correct = torch.zeros((), device=split.x.device), torch.zeros((), device=split.x.device)
    for x, y in zip(split.x.split(EVALUATION_BATCH), split.y.split(EVALUATION_BATCH), strict=True):
        outputs = predict(module, x, precision, weights)
        loss += functional.cross_entropy(outputs, y, reduction="sum")
        correct += (outputs.argmax(1) == y).sum()
    return loss.item() / len(split.y), correct.item() / len(split.y)


def predict(
    module: torch.nn.Module, x: Tensor, precision: torch.dtype, weights: dict[str, Tensor] | None = None
) -> Tensor:
    """Outputs, float32, for images uint8 [N, C, H, W]."""
    images = to_float(x).contiguous(memory_format=torch.channels_last)
    with autocast(x.device, precision):
        outputs = torch.func.functional_call(module, weights, (images,)) if weights else module(images)
    return outputs.float()


def to_float(x: Tensor) -> Tensor:
    """uint8 pixels as float32 from 0 to 1."""
    return x.to(torch.float32).div_(255)


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, precision, enabled=precision != torch.float32)


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in weights.items()}
