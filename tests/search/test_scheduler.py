"""How Ray's errors become endings."""

import pytest
import torch
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial

from results.schema import Status
from search import scheduler
from search.folder import StorageError
from search.scheduler import StudyScheduler
from tests.search.toy import open_study

MESSAGE = "CUDA out of memory. Tried to allocate 20.00 MiB\nmore lines"


def failed_trial(number: int, *, gpus: float = 0.0) -> Trial:
    trial = Trial("toy", stub=True, config={"number": number})
    trial.update_resources({"cpu": 1, "gpu": gpus})
    return trial


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("step", "a long stack", cause)


def never(number: int, error: BaseException | None) -> None:
    pytest.fail(f"trial {number} does not come to this: {error}")


@pytest.fixture
def study(tmp_path):
    study = open_study(tmp_path / "journal.log")
    study.suggest()
    return study


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (task_error(KeyError("broken")), Status.FAILED, "KeyError: 'broken'"),
        (task_error(torch.OutOfMemoryError(MESSAGE)), Status.FAILED_OOM, "OutOfMemoryError: CUDA out of memory."),
        (task_error(RuntimeError("CUDA error: out of memory")), Status.FAILED_OOM, "RuntimeError: CUDA error"),
        (task_error(MemoryError()), Status.FAILED_OOM, "MemoryError: "),
        (None, Status.FAILED, "the worker was lost"),
    ],
)
def test_a_final_error_ends_the_trial_with_its_cause_in_one_line(study, monkeypatch, error, status, text):
    monkeypatch.setattr(scheduler, "last_error", lambda trial: error)
    ended = []
    StudyScheduler(study, lambda number, error: ended.append(number), never).on_trial_error(None, failed_trial(0))
    assert (study.trials[0].status, ended) == (status, [0])
    assert study.trials[0].error.startswith(text)
    assert "\n" not in study.trials[0].error


def test_before_a_restart_nothing_ends_and_a_trial_without_memory_gets_a_gpu_of_its_own(study, monkeypatch):
    monkeypatch.setattr(scheduler, "last_error", lambda trial: task_error(torch.OutOfMemoryError(MESSAGE)))
    trial = failed_trial(0, gpus=0.25)
    trial.set_status(Trial.ERROR)  # as Ray does before it puts the trial back into its queue
    restarted = []
    StudyScheduler(study, never, lambda number, error: restarted.append(number)).on_trial_error(None, trial)
    assert restarted == [0]
    assert study.trials[0].status == Status.RUNNING
    assert trial.placement_group_factory.required_resources == {"CPU": 1, "GPU": 1}


def test_other_errors_leave_a_trials_share_as_it_is(study, monkeypatch):
    monkeypatch.setattr(scheduler, "last_error", lambda trial: task_error(KeyError("broken")))
    trial = failed_trial(0, gpus=0.25)
    trial.set_status(Trial.ERROR)
    StudyScheduler(study, never, lambda number, error: None).on_trial_error(None, trial)
    assert trial.placement_group_factory.required_resources == {"CPU": 1, "GPU": 0.25}


def test_a_checkpoint_that_cannot_be_written_stops_the_run_and_ends_no_trial(study, monkeypatch):
    monkeypatch.setattr(scheduler, "last_error", lambda trial: task_error(StorageError("disk full")))
    with pytest.raises(StorageError, match="disk full"):
        StudyScheduler(study, never, never).on_trial_error(None, failed_trial(0))
    assert study.trials[0].status == Status.RUNNING
