"""The scheduler turns Ray's errors into endings of trials."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from ray.core.generated.common_pb2 import ActorDiedErrorContext
from ray.exceptions import ActorDiedError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from results.files import StorageError
from results.schema import Status
from search.study.study import Study
from search.trials import scheduler
from search.trials.job import Given
from search.trials.scheduler import StudyScheduler
from search.trials.searcher import StudySearcher
from spaces.recipe import Candidate
from tests.search.toy import open_study, report, run, toy_candidate

MESSAGE = "CUDA out of memory. Tried to allocate 20.00 MiB\nmore lines"


def failed_trial(number: int, *, gpus: float = 0.0) -> Trial:
    trial = Trial("toy", stub=True, config={"number": number})
    trial.update_resources({"cpu": 1, "gpu": gpus})
    return trial


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("step", "a long stack", cause)


def never(number: int, error: BaseException | None = None) -> None:
    pytest.fail(f"trial {number} does not come to this: {error}")


def scheduler_of(study: Study, **known: Callable[..., None]) -> StudyScheduler:
    """Returns a scheduler with these callbacks; it fails if it calls any other."""
    others = dict.fromkeys(("on_end", "on_restart", "on_lost_node", "on_silent_epoch"), never)
    return StudyScheduler(study, SimpleNamespace(**{**others, **known}))


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
    scheduler_of(study, on_end=lambda number, error: ended.append(number)).on_trial_error(None, failed_trial(0))
    assert (study.trials[0].status, ended) == (status, [0])
    assert study.trials[0].error.startswith(text)
    assert "\n" not in study.trials[0].error


def test_the_oldest_trial_that_waits_is_next_and_ended_ones_are_not_looked_at(study):
    trials = {number: failed_trial(number) for number in (3, 1, 4, 2)}
    trials[1].set_status(Trial.RUNNING)
    controller = SimpleNamespace(get_live_trials=lambda: {*trials.values()})  # it has no get_trials
    assert scheduler_of(study).choose_trial_to_run(controller) is trials[2]
    for trial in trials.values():
        trial.set_status(Trial.RUNNING)
    assert scheduler_of(study).choose_trial_to_run(controller) is None


def test_a_trial_that_reports_only_at_its_end_tells_how_far_it_is_and_the_study_hears_nothing(study):
    reached = []
    deaf = scheduler_of(study, on_silent_epoch=lambda *so_far: reached.append(so_far))
    assert deaf.on_trial_result(None, failed_trial(0), {"silent_epoch": 2.5}) == TrialScheduler.CONTINUE
    assert reached == [(0, 2.5)]
    assert study.trials[0].reports == []


def test_before_a_restart_nothing_ends_and_a_trial_without_memory_gets_a_gpu_of_its_own(study, monkeypatch):
    monkeypatch.setattr(scheduler, "last_error", lambda trial: task_error(torch.OutOfMemoryError(MESSAGE)))
    trial = failed_trial(0, gpus=0.25)
    trial.set_status(Trial.ERROR)  # as Ray does before it puts the trial back into its queue
    restarted = []
    scheduler_of(study, on_restart=lambda number, error: restarted.append(number)).on_trial_error(None, trial)
    assert restarted == [0]
    assert study.trials[0].status == Status.RUNNING
    assert trial.placement_group_factory.required_resources == {"CPU": 1, "GPU": 1}


def test_other_errors_leave_a_trials_share_as_it_is(study, monkeypatch):
    monkeypatch.setattr(scheduler, "last_error", lambda trial: task_error(KeyError("broken")))
    trial = failed_trial(0, gpus=0.25)
    trial.set_status(Trial.ERROR)
    scheduler_of(study, on_restart=lambda number, error: None).on_trial_error(None, trial)
    assert trial.placement_group_factory.required_resources == {"CPU": 1, "GPU": 0.25}


def test_a_checkpoint_that_cannot_be_written_stops_the_run_and_ends_no_trial(study, monkeypatch):
    monkeypatch.setattr(scheduler, "last_error", lambda trial: task_error(StorageError("disk full")))
    with pytest.raises(StorageError, match="disk full"):
        scheduler_of(study).on_trial_error(None, failed_trial(0))
    assert study.trials[0].status == Status.RUNNING


def test_a_trial_that_lost_its_node_is_not_failed_for_it_but_handed_out_again(study, monkeypatch):
    died = ActorDiedErrorContext(
        actor_id=b"0" * 16, error_message="The actor died because its node has died. Node Id: 1234"
    )
    monkeypatch.setattr(scheduler, "last_error", lambda trial: ActorDiedError(died))
    searcher = searcher_of(study, {})
    assert searcher.suggest("one") == {"number": 0}
    assert searcher.suggest("two") is None
    assert searcher.is_exhausted
    scheduler_of(study, on_lost_node=searcher.take_back).on_trial_error(None, failed_trial(0))
    assert study.trials[0].status == Status.RUNNING
    assert not searcher.is_exhausted
    assert searcher.suggest("three") == {"number": 0}
    study.end(0, Status.FAILED)
    assert searcher.suggest("four") is None
    assert searcher.is_exhausted


REASON = "the ImageNet weights of vgg16 are unavailable: Connection refused"
REFERENCES = {"vgg": toy_candidate({"filters": 20, "optimizer": "adam"})}


def open_with_unavailable_reference(path, ended: list) -> Study:
    """Opens a study whose first trial is a reference that a worker reports as unavailable."""
    study = open_study(path)
    study.add_reference("vgg", REFERENCES["vgg"])
    scheduler = scheduler_of(study, on_end=lambda number, error: ended.append((number, error)))
    answer = scheduler.on_trial_result(None, failed_trial(0), {"unavailable": REASON})
    assert answer == TrialScheduler.STOP
    return study


def test_a_trial_that_cannot_be_trained_here_ends_with_the_reason_and_is_not_tried_again(tmp_path):
    ended = []
    study = open_with_unavailable_reference(tmp_path / "journal.log", ended)
    trial = study.trials[0]
    assert (trial.status, trial.error, trial.reports) == (Status.UNAVAILABLE, REASON, [])
    assert ended == [(0, None)]
    assert study.running() == []
    assert study.report(0, report(1, 0.5)) == Status.UNAVAILABLE
    assert study.best is None


def test_the_sampler_does_not_learn_from_it(tmp_path):
    study = open_with_unavailable_reference(tmp_path / "journal.log", [])
    assert study._sampler.history() == []
    run(study, 2)
    assert [trial.status for trial in study.trials] == [Status.UNAVAILABLE, Status.COMPLETE, Status.COMPLETE]


def searcher_of(study: Study, references: dict[str, Candidate]) -> StudySearcher:
    events = SimpleNamespace(
        max_running=lambda: 1, config_of=lambda trial: {"number": trial.number}, on_search_end=pytest.fail
    )
    given = {name: Given(candidate) for name, candidate in references.items()}
    return StudySearcher(study, events, num_trials=1, given=given)


def test_a_resumed_run_retries_it_ahead_of_new_candidates(tmp_path):
    open_with_unavailable_reference(tmp_path / "journal.log", [])
    resumed = open_study(tmp_path / "journal.log")
    searcher = searcher_of(resumed, REFERENCES)
    assert [trial.number for trial in searcher.to_repeat] == [0]
    assert searcher.suggest("one") == {"number": 1}
    assert (resumed.trials[1].reference, resumed.trials[1].repeats) == ("vgg", 0)
    resumed.end(1, Status.UNAVAILABLE, error=REASON)
    assert searcher.suggest("two") == {"number": 2}
    assert (resumed.trials[2].reference, resumed.trials[2].repeats) == (None, None)
    resumed.end(2, Status.FAILED)
    assert searcher.suggest("three") is None
    assert searcher.is_exhausted, "what fails in a session is left to the next one"
    assert [trial.number for trial in searcher_of(open_study(tmp_path / "journal.log"), REFERENCES).to_repeat] == [1, 2]


def test_waiting_repeats_keep_the_search_from_its_end(tmp_path):
    study = open_study(tmp_path / "journal.log")
    study.end(study.suggest().number, Status.FAILED_OOM, error="out of memory")
    searcher = searcher_of(study, {})
    assert not searcher.is_exhausted
    assert searcher.suggest("one") == {"number": 1}
    assert searcher.is_exhausted


def test_a_reference_that_is_no_longer_asked_for_is_left_as_it_is(tmp_path):
    open_with_unavailable_reference(tmp_path / "journal.log", [])
    searcher = searcher_of(open_study(tmp_path / "journal.log"), {})
    assert not searcher.to_repeat
    assert searcher.suggest("one") == {"number": 1}
    assert searcher.study.trials[1].reference is None
