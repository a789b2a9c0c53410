"""ASHA as a Ray TrialScheduler: takes each report to the study, and stops what the study has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from results.files import StorageError
from results.schema import Status
from search.engines.ray import controller_of, keep_first_checkpoint_only, num_live_workers
from search.study.study import Study
from search.trials.failures import cause_of, in_one_line, is_lost_node, is_out_of_memory, last_error
from spaces.report import Report

Told = Callable[[int, BaseException | None], None]


class StudyScheduler(FIFOScheduler):
    """First come, first served; the study decides on each report.

    `on_end` is told the number of each ended trial, and the error if one ended it; `on_restart`, of each that failed
    and is tried again; `on_lost`, of each that Ray gives up while its node was at fault; `on_silent_epoch`, how far one
    is that reports only at its end. Raises StorageError where a worker could not leave its checkpoint: the trial did
    nothing wrong and does not end.
    """

    def __init__(
        self,
        study: Study,
        *,
        on_end: Told,
        on_restart: Told,
        on_lost: Told,
        on_silent_epoch: Callable[[int, float], None],
    ) -> None:
        super().__init__()
        self.study, self.on_end, self.on_restart, self.on_lost = study, on_end, on_restart, on_lost
        self.on_silent_epoch = on_silent_epoch
        self._controller: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the controller, which pickles its scheduler."""
        return {**vars(self), "_controller": None}

    @property
    def num_workers(self) -> int:
        """Workers that the cluster has found room for, also those that are still starting."""
        return num_live_workers(self._controller) if self._controller else 0

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._controller = controller_of(tune_controller)
        keep_first_checkpoint_only(self._controller)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The oldest that waits. At each event Tune's own would look through all trials for it, ended ones too."""
        live = tune_controller.get_live_trials()
        return min((trial for trial in live if trial.status == Trial.PENDING), key=_number, default=None)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if reason := result.get("unavailable"):
            self.study.end(_number(trial), Status.UNAVAILABLE, error=reason)
            status = Status.UNAVAILABLE
        elif (epoch := result.get("silent_epoch")) is not None:
            self.on_silent_epoch(_number(trial), epoch)
            status = Status.RUNNING
        else:
            status = self.study.report(_number(trial), Report.from_json(json.loads(result["report"])))
        if status == Status.RUNNING:
            return TrialScheduler.CONTINUE
        self.on_end(_number(trial), None)
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Called before a restart too, when Ray has set the trial's status to ERROR already; it has not at the last."""
        error = last_error(trial)
        if isinstance(cause := cause_of(error), StorageError):
            raise cause
        if trial.status == Trial.ERROR:
            if is_out_of_memory(error):
                _give_whole_device(trial)
            self.on_restart(_number(trial), error)
            return
        if is_lost_node(error):
            self.on_lost(_number(trial), error)
            return
        status = Status.FAILED_OOM if is_out_of_memory(error) else Status.FAILED
        self.study.end(_number(trial), status, error=in_one_line(error))
        self.on_end(_number(trial), error)


def _number(trial: Trial) -> int:
    return trial.config["number"]


def _give_whole_device(trial: Trial) -> None:
    """A trial that shared a GPU when its memory ran out is tried again alone on one."""
    factory: Any = trial.placement_group_factory
    needed = factory.required_resources if factory else {}
    if 0 < needed.get("GPU", 0) < 1:
        trial.update_resources({"cpu": needed.get("CPU", 1), "gpu": 1})
