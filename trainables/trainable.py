"""The training loop as a Ray Trainable that is reused from trial to trial."""

from __future__ import annotations

import dataclasses
import json
import platform
from typing import Any

import ray
from ray import tune


class TrialTrainable(tune.Trainable):
    """A worker: it holds the dataset on its device, and trains one candidate after another.

    A trial's config has `number`, `candidate` (JSON), `seed`, `epochs`, `reports_per_epoch` and `facts` (what the
    model file will say of its origin). A trial of which the store has a checkpoint goes on from there, and first says
    its last report again: it may never have arrived.
    """

    def setup(self, config: dict[str, Any], arrays: Any = None, store: Any = None) -> None:
        """`arrays` holds train_x, train_y, val_x and val_y; `store` is the actor of search/checkpoints.py."""
        import torch  # here, so that the driver, which needs this class only by name, starts without torch

        from trainables.training import DeviceSplit, prepare_process

        prepare_process()
        self.store, self._saving = store, None
        device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")
        self.where = {"device": _device_name(device), "node": platform.node()}
        self.train_split = DeviceSplit.of(arrays["train_x"], arrays["train_y"], device)
        self.val_split = DeviceSplit.of(arrays["val_x"], arrays["val_y"], device)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """One report. Ray is never told `done`: the scheduler ends a trial when it sees that it is finished."""
        if self.unsaid is None:
            report = self.training.advance()
            self._save()
        else:
            report, self.unsaid = self.unsaid, None
        if report.finished and report.is_finite:
            self._save_model(report.val_score)
        # As text, since Ray flattens dictionaries on their way
        return {"report": json.dumps({**dataclasses.asdict(report), **self.where})}

    def cleanup(self) -> None:
        self._wait_for_save()

    def _begin(self, config: dict[str, Any]) -> None:
        from spaces.recipe import Candidate
        from trainables.training import Training

        self.trial = config
        self.candidate = Candidate.from_json(config["candidate"])
        self.training = Training(
            self.candidate,
            self.train_split,
            self.val_split,
            seed=config["seed"],
            epochs=config["epochs"],
            reports_per_epoch=config["reports_per_epoch"],
        )
        self.unsaid = None
        checkpoint: Any = ray.get(self.store.load.remote(config["number"]))
        if checkpoint is not None:
            self.training.load(checkpoint)
            self.unsaid = self.training.last_report

    def _save(self) -> None:
        """Sends a checkpoint off; training goes on while it travels, at most one being under way."""
        self._wait_for_save()
        self._saving = self.store.save.remote(self.trial["number"], self.training.save())

    def _wait_for_save(self) -> None:
        if self._saving is not None:
            ray.get(self._saving)
            self._saving = None

    def _save_model(self, score: float) -> None:
        from trainables.model import model_bytes

        facts = {**self.trial["facts"], "trial": self.trial["number"], "val_score": score}
        model = model_bytes(self.candidate, self.training.weights(), facts)
        # Waited for: the driver may keep it as soon as it hears that the trial is finished
        ray.get(self.store.save_model.remote(self.trial["number"], model))


def _device_name(device: Any) -> str:
    import torch

    return torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
