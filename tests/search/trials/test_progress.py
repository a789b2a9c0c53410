"""The live view shows each trial's progress, even if it reports only at its end."""

from io import StringIO

import pytest

from results.schema import Status
from search.cluster.connection import Slots
from search.cluster.slots import Nodes, Slot
from search.command_line.terminal import Terminal
from search.study.study import Study
from search.trials.progress import Progress
from tests.search.toy import open_study, report


@pytest.fixture
def study(tmp_path) -> Study:
    study = open_study(tmp_path / "journal.log")
    study.suggest()
    return study


def progress_of(study: Study) -> Progress:
    slots = Slots(Slot(cpus=1, gpus=0), None, lambda: Nodes(up=[{"CPU": 1.0}]))
    return Progress(Terminal(StringIO()), study, num_expected=2, slots=slots, max_epochs=9)


def test_the_epoch_is_that_of_the_last_report(study):
    progress = progress_of(study)
    assert progress._cells(study.trials[0])[3:5] == ["0/9", ""]
    study.report(0, report(1, 0.75))
    assert progress._cells(study.trials[0])[3:5] == ["1/9", "0.7500"]


def test_a_trial_without_reports_is_as_far_as_it_says(study):
    progress = progress_of(study)
    progress.set_epoch(0, 2.5)
    assert progress._cells(study.trials[0])[3:5] == ["2.5/9", ""]


def test_a_trial_that_nothing_is_free_for_is_not_said_to_run(study):
    progress = progress_of(study)
    assert "1 running" in progress._parts()
    progress.num_workers = 1
    assert "1 running" in progress._parts()
    progress.num_workers = 0
    assert progress._parts()[1:3] == ["0 running", "1 waiting for a free slot"]


def test_a_candidate_that_failed_and_is_trained_again_counts_once(study):
    study.end(0, Status.FAILED, error="its worker died")
    again = study.to_repeat(())
    progress = Progress(
        Terminal(StringIO()), study, num_expected=1, slots=progress_of(study).slots, max_epochs=9, to_repeat=again
    )
    assert progress._parts()[0] == "0/1 trials"
    study.repeat(again.pop())
    assert progress._parts()[:2] == ["0/1 trials", "1 running"]
    study.report(1, report(1, 0.5, finished=True))
    parts = progress._parts()
    assert (parts[0], "1 complete" in parts, [part for part in parts if "failed" in part]) == ("1/1 trials", True, [])
