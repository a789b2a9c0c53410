"""The training loop as a Ray Trainable that is reused from trial to trial."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from spaces.backbones import WeightsUnavailable

if TYPE_CHECKING:
    from spaces.report import Report
    from trainables.training import Training


class TrialTrainable(tune.Trainable):
    """A worker: it holds the dataset on its device, and trains one candidate after another.

    A trial's config has `number`, `candidate` and `goal` (JSON), `seed`, `epochs`, `reports_per_epoch`,
    `record_steps`, `data_dir` (where features of backbones are kept), `facts` (what the model file will say of its
    origin; its score is added) and `length`: None, or after how many parts it is scored and ends, with its only report.
    A trial of which the store has a checkpoint goes on from there, and first says its last report again: it may never
    have arrived.

    A trial begins with its first step, so that a candidate's fault is never the worker's own failure to start.
    """

    def setup(self, config: dict[str, Any], arrays: Any = None, store: Any = None, threads: int = 1) -> None:
        """`arrays` holds train_x, train_y, val_x and val_y; `store` is the actor of search/trials/checkpoints.py."""
        import torch  # here, so that the driver, which needs this class only by name, starts without torch

        from trainables.goals import DeviceSplit
        from trainables.machine import describe, prepare_process

        prepare_process(threads)
        self.store, self._saving = store, None
        device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")
        self.where = describe(device)
        self.train_split = DeviceSplit.of(arrays["train_x"], arrays["train_y"], device)
        self.val_split = DeviceSplit.of(arrays["val_x"], arrays["val_y"], device)
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        from trainables.machine import release_memory

        self._take(new_config)
        release_memory()
        return True

    def step(self) -> dict[str, Any]:
        """One report, or how far the trial is that has none yet, or why it cannot be trained here.

        Ray is never told `done`: the scheduler ends a trial when it sees that it is finished.
        """
        try:
            training = self.training or self._begin()
        except WeightsUnavailable as unavailable:
            return {"unavailable": str(unavailable)}
        if self.unsaid is None:
            report = self._advance(training)
            self._save(training)
        else:
            report, self.unsaid = self._only(self.unsaid), None
        if report is None:
            return {"silent_epoch": training.num_reports / training.reports_per_epoch}
        if report.finished and report.is_finite:
            self._save_results(training, report.val_score)
        # As text, since Ray flattens dictionaries on their way
        return {"report": json.dumps(dataclasses.replace(report, **self.where).to_json())}

    def cleanup(self) -> None:
        self._wait_for_save()

    def _take(self, config: dict[str, Any]) -> None:
        self.trial: dict[str, Any] = config
        self.training: Training | None = None
        self.unsaid: Report | None = None

    def _begin(self) -> Training:
        from spaces.goal import Goal
        from spaces.recipe import Candidate
        from trainables.training import Training

        self.candidate = Candidate.from_json(self.trial["candidate"])
        self.training = Training(
            self.candidate,
            self.train_split,
            self.val_split,
            goal=Goal.from_json(self.trial["goal"]),
            seed=self.trial["seed"],
            epochs=self.trial["epochs"],
            reports_per_epoch=self.trial["reports_per_epoch"],
            record_steps=self.trial["record_steps"],
            data_dir=Path(self.trial["data_dir"]),
        )
        checkpoint: Any = ray.get(self.store.load.remote(self.trial["number"]))
        if checkpoint is not None:
            self.training.load(checkpoint)
            self.unsaid = self.training.last_report
        return self.training

    def _advance(self, training: Training) -> Report | None:
        length = self.trial["length"]
        if length is not None and training.num_reports < length - 1:
            training.train_part()
            return None
        return self._only(training.advance())

    def _only(self, report: Report) -> Report:
        """The report, if it is the only one, as the first and last that the study hears of."""
        return report if self.trial["length"] is None else dataclasses.replace(report, step=1, finished=True)

    def _save(self, training: Training) -> None:
        """Sends a checkpoint off; training goes on while it travels, at most one being under way."""
        self._wait_for_save()
        self._saving = self.store.save.remote(self.trial["number"], training.save(), training.num_reports)

    def _wait_for_save(self) -> None:
        if self._saving is not None:
            ray.get(self._saving)
            self._saving = None

    def _save_results(self, training: Training, score: float) -> None:
        """The model; and where the images were looked at for the only time, what it made of each."""
        from trainables.answers import to_bytes
        from trainables.model import model_bytes

        number, facts = self.trial["number"], {**self.trial["facts"], "val_score": score}
        results = {"model": model_bytes(self.candidate, training.weights(), facts)}
        if self.trial["length"] is not None:
            results["answers"] = to_bytes(training.answers())
        # Waited for: the driver may keep it as soon as it hears that the trial is finished
        ray.get(self.store.save_results.remote(number, results))
