"""The journal is the only record of a study. The tests name the faults of the engines that it avoids."""

import math
import time
from datetime import timedelta

import optuna
import pytest

from results.schema import Status
from tests.search.toy import open_study, picture, report, run, stored


class TestTheJournal:
    def test_a_reopened_study_is_the_same_and_its_rungs_are_too(self, path):
        """Stock rungs are empty after a restore."""
        study = open_study(path)
        run(study, 12)
        again = open_study(path)
        assert picture(again) == picture(study)
        assert again.pruner.rungs == study.pruner.rungs
        assert (again.rejected, again.num_draws) == (study.rejected, study.num_draws)

    @pytest.mark.parametrize("sampler", ["tpe", "random"])
    def test_reopening_between_any_two_trials_changes_nothing(self, tmp_path, sampler):
        whole = open_study(tmp_path / "whole.log", sampler=sampler)
        run(whole, 16)
        for _ in range(16):
            run(open_study(tmp_path / "parts.log", sampler=sampler), 1)
        assert picture(open_study(tmp_path / "parts.log", sampler=sampler)) == picture(whole)

    @pytest.mark.parametrize("zone", ["UTC0", "AAA5"])
    def test_a_reopened_trial_has_the_times_that_it_had_wherever_that_is(self, path, zone, monkeypatch):
        """Optuna gives local times without their zone, and tables took them for UTC."""
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        study = open_study(path)
        run(study, 1)
        [ended], [again] = study.trials, open_study(path).trials
        monkeypatch.undo()
        time.tzset()
        assert again.started_at == ended.started_at
        assert again.ended_at is not None
        assert abs(again.ended_at - ended.ended_at) < timedelta(minutes=1)

    def test_an_ended_trial_has_its_reports_as_a_reopened_one_has_them(self, path):
        study = open_study(path)
        number = study.suggest().number
        for step, loss in ((1, 0.5), (2, math.inf)):
            study.report(number, report(step, 0.5, val_loss=loss))
        ended, again = study.trials[number].reports, open_study(path).trials[number].reports
        assert repr(ended) == repr(again), "NaN is not equal to itself"
        assert math.isnan(ended[1].val_loss), "JSON knows no infinity"

    def test_a_report_of_an_ended_trial_lies_in_memory_once(self, path):
        """A second copy beside Optuna's would take 8 kB for each of thousands of trials."""
        for _ in range(2):
            study = open_study(path)  # the second time with a trial that is read back
            run(study, 1)
            for trial, entry in zip(study.trials, study._journal.entries(), strict=True):
                assert trial.reports
                for ours, optunas in zip(trial.reports, entry.reports, strict=True):
                    assert all(getattr(ours, name) is getattr(optunas, name) for name in ("val_score", "metrics"))

    def test_a_report_that_is_known_changes_nothing(self, path):
        study = open_study(path)
        number = study.suggest().number
        study.report(number, report(1, 0.5))
        size = path.stat().st_size
        assert study.report(number, report(1, 0.5)) == Status.RUNNING
        assert (path.stat().st_size, len(study.trials[number].reports)) == (size, 1)

    def test_a_lock_left_by_a_killed_process_does_not_block(self, path):
        """Optuna's own lock would stall the next process for 30 seconds."""
        run(open_study(path), 2)
        (path.parent / "journal.log.lock").symlink_to(path)
        run(open_study(path), 1)
        assert len(stored(path)) == 3

    def test_the_study_is_named_by_its_run(self, path):
        """Stock studies are called 'optuna', and two in one storage merge."""
        open_study(path, name="mine")
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        assert [study.study_name for study in storage.get_all_studies()] == ["mine"]
