"""The training loop as a Ray Trainable that is reused from trial to trial."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from spaces.backbones import WeightsUnavailable
from trainables.trial_spec import TrialSpec

if TYPE_CHECKING:
    from spaces.report import Report
    from trainables.task_code import TaskCode
    from trainables.training import Training


class TrialTrainable(tune.Trainable):
    """A worker: it holds the dataset on its device and trains one candidate after another.

    A trial's config has its `number`, and its `spec`: a TrialSpec in JSON, since Ray copies a config often. If the
    store has a checkpoint of the trial, the trial resumes from it and first repeats its last report, which may never
    have arrived.

    The spec is read, and the network built, in the first step: so a bad candidate fails the trial, not the worker.
    """

    def setup(
        self,
        config: dict[str, Any],
        arrays: Any = None,
        store: Any = None,
        threads: int = 1,
        code: TaskCode | None = None,
    ) -> None:
        """`arrays` holds train_x, train_y, val_x and val_y; `store` is the actor of search/trials/checkpoints.py.

        `code` is that of the user's task, if it is one.
        """
        import torch  # here, so that the driver, which needs this class only by name, starts without torch

        from trainables.goals import DeviceSplit
        from trainables.machine import describe, prepare_process

        prepare_process(threads)
        self.store, self.code, self._saving = store, code, None
        device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")
        self.machine = describe(device)
        self.train_split = DeviceSplit.of(arrays["train_x"], arrays["train_y"], device)
        self.val_split = DeviceSplit.of(arrays["val_x"], arrays["val_y"], device)
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        from trainables.machine import release_memory

        self._take(new_config)
        release_memory()
        return True

    def step(self) -> dict[str, Any]:
        """Returns a report, or the epochs so far of a trial without one, or why the trial cannot be trained here.

        Ray never receives `done`: the scheduler ends a trial when it sees that it is finished.
        """
        try:
            training = self.training or self._begin()
        except WeightsUnavailable as unavailable:
            return {"unavailable": str(unavailable)}
        if self.unsent is None:
            report = self._advance(training)
            self._save(training)
        else:
            report, self.unsent = self._as_only(self.unsent), None
        if report is None:
            return {"silent_epoch": training.num_reports / training.reports_per_epoch}
        if report.finished and report.is_finite:
            self._save_results(training, report.val_score)
        # As text, since Ray flattens dictionaries on their way
        return {"report": json.dumps(replace(report, **self.machine).to_json())}

    def cleanup(self) -> None:
        self._wait_for_save()

    def _take(self, config: dict[str, Any]) -> None:
        self.spec_json: str = config["spec"]
        self.training: Training | None = None
        self.unsent: Report | None = None

    def _begin(self) -> Training:
        from trainables.training import Training

        self.spec = TrialSpec.from_json(self.spec_json)
        self.training = Training(
            self.spec.candidate,
            self.train_split,
            self.val_split,
            goal=self.spec.goal,
            seed=self.spec.seed,
            epochs=self.spec.epochs,
            reports_per_epoch=self.spec.reports_per_epoch,
            record_steps=self.spec.record_steps,
            data_dir=self.spec.data_dir,
            code=self.code,
        )
        checkpoint: Any = ray.get(self.store.load.remote(self.spec.number))
        if checkpoint is not None:
            self.training.load(checkpoint)
            self.unsent = self.training.last_report
        return self.training

    def _advance(self, training: Training) -> Report | None:
        """Trains one part of an epoch. Returns None unless the trial is scored after it."""
        length = self.spec.length
        if length is not None and training.num_reports < length - 1:
            training.train_part()
            return None
        return self._as_only(training.advance())

    def _as_only(self, report: Report) -> Report:
        """Numbers the report of a trial that is scored once as its first and last."""
        return report if self.spec.length is None else replace(report, step=1, finished=True)

    def _save(self, training: Training) -> None:
        """Sends a checkpoint; training continues meanwhile. At most one checkpoint travels at a time."""
        self._wait_for_save()
        self._saving = self.store.save.remote(self.spec.number, training.save(), training.num_reports)

    def _wait_for_save(self) -> None:
        if self._saving is not None:
            ray.get(self._saving)
            self._saving = None

    def _save_results(self, training: Training, score: float) -> None:
        """Saves the model, and for a trial that is scored once, its answer to each image."""
        from trainables.answers import to_bytes
        from trainables.model import model_bytes

        facts = {**self.spec.facts, "val_score": score}
        if self.train_split.input_dtype != "uint8":
            facts["input_dtype"] = self.train_split.input_dtype
        results = {"model": model_bytes(self.spec.candidate, training.weights(), facts)}
        if self.spec.length is not None:
            results["answers"] = to_bytes(training.answers())
        # Waited for, since the driver may move these files as soon as it learns that the trial is finished
        ray.get(self.store.save_results.remote(self.spec.number, results))
