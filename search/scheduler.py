"""ASHA as a Ray TrialScheduler: takes each report to the study, and stops what the study has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from results.schema import Status
from search.study import Study


class StudyScheduler(FIFOScheduler):
    """First come, first served; the study decides on each report. `on_end` is told the number of each ended trial."""

    def __init__(self, study: Study, on_end: Callable[[int], None]) -> None:
        super().__init__()
        self.study, self.on_end = study, on_end

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        status = self.study.report(_number(trial), json.loads(result["report"]))
        if status == Status.RUNNING:
            return TrialScheduler.CONTINUE
        self.on_end(_number(trial))
        return TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Called before a restart too, when Ray has set the trial's status to ERROR already; it has not at the last."""
        error = _last_error(trial)
        if trial.status == Trial.ERROR:
            if _is_out_of_memory(error):
                _give_whole_device(trial)
            return
        status = Status.FAILED_OOM if _is_out_of_memory(error) else Status.FAILED
        self.study.end(_number(trial), status, error=_text(error))
        self.on_end(_number(trial))


def _number(trial: Trial) -> int:
    return trial.config["number"]


def _last_error(trial: Trial) -> BaseException | None:
    """What Ray has just written down; Trial.get_pickled_error looks where it is copied to only later."""
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    return cloudpickle.loads(Path(path).read_bytes())


def _is_out_of_memory(error: BaseException | None) -> bool:
    cause = error.cause if isinstance(error, RayTaskError) else error
    return type(cause).__name__ in ("OutOfMemoryError", "MemoryError") or "out of memory" in str(cause).lower()


def _give_whole_device(trial: Trial) -> None:
    """A trial that shared a GPU when its memory ran out is tried again alone on one."""
    factory: Any = trial.placement_group_factory
    needed = factory.required_resources if factory else {}
    if 0 < needed.get("GPU", 0) < 1:
        trial.update_resources({"cpu": needed.get("CPU", 1), "gpu": 1})


def _text(error: BaseException | None) -> str:
    """The cause in one line: a table is no place for a worker's stack."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    if cause is None:
        return "the worker was lost"
    return f"{type(cause).__name__}: {str(cause).strip().splitlines()[0] if str(cause).strip() else ''}"
