"""The training loop: turns a candidate, a goal, a dataset on a device and a seed into a sequence of reports.

It uses neither Ray nor the disk; the Ray Trainable, replays, tests and notebooks call it. All randomness comes from two
generators seeded by the caller, so a candidate and a seed give bit-equal curves on CPUs of the same kind.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spaces.goal import Classify, Custom, Goal
from spaces.recipe import Candidate
from spaces.report import Report
from trainables.answers import Arrays, answer_arrays
from trainables.build import build
from trainables.engine import move_towards
from trainables.features import num_fixed_layers, through_fixed_layers
from trainables.goals import DeviceSplit, Scores, Work, work_for
from trainables.inference import arranged, autocast, predict
from trainables.machine import fastest_precision
from trainables.optim import learning_rate, load_state, make_optimizer, set_learning_rate
from trainables.own_module import GlobalRandomness
from trainables.recording import Recording
from trainables.task_code import TaskCode
from trainables.tensor_file import read_tensors


class Training:
    """A candidate in training: `advance()` trains one part of an epoch, validates and reports.

    Learning rate schedules span `epochs`. Each epoch has a new order and drops its last, incomplete batch, so that
    every step has the same shape.
    """

    def __init__(
        self,
        candidate: Candidate,
        train: DeviceSplit,
        val: DeviceSplit,
        *,
        goal: Goal | None = None,
        seed: int,
        epochs: int,
        reports_per_epoch: int = 1,
        record_steps: bool = True,
        data_dir: Path | None = None,
        code: TaskCode | None = None,
    ) -> None:
        """The default goal is Classify. With `record_steps`, a GPU replays a recorded step; a CPU ignores it.

        Features of frozen backbones are cached in `data_dir`, by default the machine's own folder of data files.
        `code` has the user's module, augmentation, loss and score, if there are any. A step that calls one of these is
        never recorded, and draws global random numbers of its own.

        Raises ValueError for more reports than batches in an epoch, WeightsUnavailable for a backbone's weights, and
        TaskFileError for an error in the user's code.
        """
        self.candidate, self.recipe, self.goal = candidate, candidate.recipe, goal or Classify()
        self.seed, self.epochs, self.reports_per_epoch = seed, epochs, reports_per_epoch
        self.device = train.device
        self.precision = fastest_precision(self.device)
        self.code, augments = code, code is not None and code.augment is not None
        calls_user = candidate.network.has_own_module or isinstance(self.goal, Custom) or augments
        self.randomness = GlobalRandomness(seed, self.device) if calls_user else None
        self.module = build(candidate.network, seed, self.device, code)
        self.module.to(memory_format=self.module.memory_format)
        self.start = 0 if augments else num_fixed_layers(candidate, self.goal)
        self.data_dir = data_dir
        self.train, self.val = self._work(train), self._work(val)
        self.batch_size = min(self.recipe.batch_size, len(self.train))
        self.steps_per_epoch = len(self.train) // self.batch_size
        if reports_per_epoch > self.steps_per_epoch:
            raise ValueError(f"reports_per_epoch={reports_per_epoch}: an epoch has only {self.steps_per_epoch} batches")
        in_graph = record_steps and self.device.type == "cuda" and not calls_user
        self.recording = Recording(self.module.generator) if in_graph else None
        self.optimizer = make_optimizer(self.recipe, self.module.parameters(), in_graph=in_graph)
        self.average = self._trained_weights() if self.recipe.ema_decay is not None else None
        self.averaged = self._averaged()
        # A step reads its batch from and adds its loss to these two tensors, so that it can be recorded
        self.batch = torch.zeros(self.batch_size, dtype=torch.int64, device=self.device)
        self.total_loss = torch.zeros((), device=self.device)
        self.num_steps = self.num_reports = 0
        self.unreported = (0.0, 0)  # seconds and images of the parts trained since the last report
        self.best_score, self.best_report = -math.inf, 0
        self.last_report: Report | None = None

    def advance(self) -> Report:
        """Trains up to the next report, validates, and returns the report."""
        train_loss = self.train_part()
        start = time.perf_counter()
        scores = self.scores()
        if (signed := self.goal.metric.signed(scores.score)) > self.best_score:
            self.best_score, self.best_report = signed, self.num_reports
        (seconds, num_images), self.unreported = self.unreported, (0.0, 0)
        self.last_report = Report(
            step=self.num_reports,
            epoch=self.num_reports / self.reports_per_epoch,
            train_loss=train_loss,
            val_loss=scores.loss,
            val_score=scores.score,
            learning_rate=self._learning_rate(),
            seconds=seconds + time.perf_counter() - start,
            num_images=num_images,
            finished=self._is_finished(),
            metrics=scores.metrics,
        )
        return self.last_report

    def train_part(self) -> float:
        """Trains up to the next report without validating, and returns the mean loss of its steps.

        Use this instead of `advance`, except for the last part, if the split must be scored only once.
        """
        start, first = time.perf_counter(), self.num_steps
        self.num_reports += 1
        with self.randomness.for_training() if self.randomness else nullcontext():
            train_loss = self._train(self.num_reports * self.steps_per_epoch // self.reports_per_epoch)
        seconds, num_images = self.unreported
        num_images += (self.num_steps - first) * self.batch_size
        self.unreported = (seconds + time.perf_counter() - start, num_images)
        return train_loss

    def scores(self, split: DeviceSplit | None = None) -> Scores:
        """Scores the current weights (averaged if the recipe says so) on the validation split or another one."""
        work = self._work(split) if split else self.val
        with self._scoring():
            return work.scores(self._predict)

    def answers(self) -> Arrays:
        """Returns the results of the current weights for each validation example."""
        with self._scoring():
            return answer_arrays(self.val, self._predict)

    def weights(self) -> dict[str, Tensor]:
        """Returns copies of the weights that are validated: averaged ones if the recipe has `ema_decay`."""
        return _copy(self.module.state_dict()) | _copy(self.average or {})

    def save(self) -> bytes:
        """Returns a checkpoint from which `load` resumes this training bit for bit."""
        state = {
            "module": self._trained_weights(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "generator": self.module.generator.get_state(),
            "position": [self.num_steps, self.num_reports, self.best_report],
            "unreported": self.unreported,
            "best_score": self.best_score,
            "last_report": asdict(self.last_report) if self.last_report else None,
        }
        if self.randomness:
            state["global_randomness"] = self.randomness.states
        file = io.BytesIO()
        torch.save(state, file)
        return file.getvalue()

    def load(self, state: bytes) -> None:
        """Resumes from a checkpoint of `save`, for the same candidate, data and seed. Raises ValueError if damaged."""
        loaded = read_tensors(io.BytesIO(state), self.device)  # not torch.load: others may have written the file
        self.module.load_state_dict(loaded["module"], strict=False)  # fixed layers have their weights already
        load_state(self.optimizer, loaded["optimizer"])
        for name, value in (self.average or {}).items():
            value.copy_(loaded["average"][name])
        self.module.generator.set_state(loaded["generator"].cpu())
        if self.randomness:
            self.randomness.load(loaded["global_randomness"])
        self.num_steps, self.num_reports, self.best_report = loaded["position"]
        self.unreported = loaded["unreported"]
        self.best_score = loaded["best_score"]
        self.last_report = Report(**loaded["last_report"]) if loaded["last_report"] else None

    def _work(self, split: DeviceSplit) -> Work:
        inputs = through_fixed_layers(self.candidate, self.start, self.module, split, self.precision, self.data_dir)
        return work_for(self.goal, inputs, self.code)

    def _scoring(self) -> AbstractContextManager[None]:
        return self.randomness.for_scoring() if self.randomness else nullcontext()

    def _predict(self, x: Tensor) -> Tensor:
        self.module.eval()
        return predict(self.module, x, self.precision, self.average, self.start)

    def _train(self, last_step: int) -> float:
        """Trains up to `last_step` and returns the mean loss of these steps."""
        self.module.train()
        self.total_loss.zero_()
        first = self.num_steps
        order = self._order(first // self.steps_per_epoch)
        while self.num_steps < last_step:
            start = self.num_steps % self.steps_per_epoch * self.batch_size
            self.batch.copy_(order[start : start + self.batch_size])
            set_learning_rate(self.optimizer, self._learning_rate())
            self.recording(self._step) if self.recording else self._step()
            self._update_average()
            self.num_steps += 1
        return self.total_loss.item() / (last_step - first)

    def _step(self) -> None:
        """Runs forward, backward and the optimizer's step for `batch`, and adds the loss to `total_loss`."""
        inputs, targets = self.train.examples(self.batch, self.recipe, self.module.generator)
        inputs = arranged(self.module, inputs)
        with autocast(self.device, self.precision):
            outputs = self.module(inputs, self.start)
        loss = self.train.loss(outputs.float(), targets, self.recipe)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.total_loss += loss.detach()

    def _update_average(self) -> None:
        """Moves the average towards the weights, faster at first so that the random start loses its influence."""
        if self.recipe.ema_decay is None:
            return
        decay = min(self.recipe.ema_decay, (1 + self.num_steps) / (10 + self.num_steps))
        move_towards(*self.averaged, 1 - decay)

    def _averaged(self) -> tuple[list[Tensor], list[Tensor]]:
        """Returns the averages and, in the same order, the weights that they follow."""
        weights, average = self.module.state_dict(), self.average or {}
        names = [name for name, value in average.items() if value.is_floating_point()]
        return [average[name] for name in names], [weights[name] for name in names]

    def _order(self, epoch: int) -> Tensor:
        """Returns the order of an epoch's images, from the seed and the epoch alone, so that resuming keeps it."""
        words = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0]))
        return torch.randperm(len(self.train), generator=generator).to(self.device)

    def _trained_weights(self) -> dict[str, Tensor]:
        """Returns copies of weights and running statistics, without those of fixed layers."""
        fixed = tuple(f"layers.{index}." for index in range(self.candidate.network.num_fixed_layers))
        return _copy({name: value for name, value in self.module.state_dict().items() if not name.startswith(fixed)})

    def _learning_rate(self) -> float:
        return learning_rate(self.recipe, self.num_steps / (self.epochs * self.steps_per_epoch))

    def _is_finished(self) -> bool:
        patience = self.recipe.patience
        is_stuck = patience is not None and self.num_reports - self.best_report >= patience * self.reports_per_epoch
        return is_stuck or self.num_reports >= self.epochs * self.reports_per_epoch


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in weights.items()}
