"""A Ray TrialScheduler that takes each report to the study, and stops the trials that the study has ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from results.files import StorageError
from results.schema import Status
from search.engines.ray import controller_of, keep_first_checkpoint_only, num_live_workers
from search.study.study import Study
from search.trials.failures import cause_of, in_one_line, is_lost_node, is_out_of_memory, last_error
from spaces.report import Report

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController


class TrialEvents(Protocol):
    """The news of trials, by their numbers, that a StudyScheduler passes on."""

    def on_end(self, number: int, error: BaseException | None) -> None:
        """A trial has ended, with this error if it failed."""
        ...

    def on_restart(self, number: int, error: BaseException | None) -> None:
        """A trial has failed, and Ray restarts it."""
        ...

    def on_lost_node(self, number: int) -> None:
        """Ray has given a trial up because its node was lost."""
        ...

    def on_silent_epoch(self, number: int, epoch: float) -> None:
        """A trial that is scored only at its end has come as far as this epoch."""
        ...


class StudyScheduler(FIFOScheduler):
    """First come, first served; the study decides on each report.

    Raises StorageError if a worker could not save its checkpoint: the trial did nothing wrong and does not end.
    """

    def __init__(self, study: Study, events: TrialEvents) -> None:
        super().__init__()
        self.study, self.events = study, events
        self._controller: TuneController | None = None

    @property
    def num_workers(self) -> int:
        """The number of workers that the cluster has room for, including those that are still starting."""
        return num_live_workers(self._controller) if self._controller else 0

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        self._controller = controller_of(tune_controller)
        keep_first_checkpoint_only(self._controller)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Returns the oldest trial that waits. Tune's own method looks through ended trials too, each time."""
        live = tune_controller.get_live_trials()
        return min((trial for trial in live if trial.status == Trial.PENDING), key=_number, default=None)

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        number = _number(trial)
        if reason := result.get("unavailable"):
            self.study.end(number, Status.UNAVAILABLE, error=reason)
            status = Status.UNAVAILABLE
        elif (epoch := result.get("silent_epoch")) is not None:
            self.events.on_silent_epoch(number, epoch)
            status = Status.RUNNING
        else:
            status = self.study.report(number, Report.from_json(json.loads(result["report"])))
        if status == Status.RUNNING:
            return TrialScheduler.CONTINUE
        self.events.on_end(number, None)
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        """Ray calls this before a restart too, and has then set the trial's status to ERROR; at the last error not."""
        number, error = _number(trial), last_error(trial)
        if isinstance(cause := cause_of(error), StorageError):
            raise cause
        if trial.status == Trial.ERROR:
            if is_out_of_memory(error):
                _give_whole_device(trial)
            self.events.on_restart(number, error)
            return
        if is_lost_node(error):
            self.events.on_lost_node(number)
            return
        status = Status.FAILED_OOM if is_out_of_memory(error) else Status.FAILED
        self.study.end(number, status, error=in_one_line(error))
        self.events.on_end(number, error)


def _number(trial: Trial) -> int:
    return trial.config["number"]


def _give_whole_device(trial: Trial) -> None:
    """Has a trial that shared a GPU when its memory ran out retried alone on one."""
    factory = trial.placement_group_factory
    needed = factory.required_resources if isinstance(factory, PlacementGroupFactory) else {}
    if 0 < needed.get("GPU", 0) < 1:
        trial.update_resources({"cpu": needed.get("CPU", 1), "gpu": 1})
