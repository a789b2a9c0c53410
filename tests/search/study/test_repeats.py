"""Repeats: the next session retrains a trial that a fault of the machine ended."""

from pathlib import Path

import pytest

from results.schema import Status
from search.study.study import Study
from tests.search.toy import open_study, picture, report, run, toy_candidate, train

MENDABLE = [Status.FAILED, Status.FAILED_OOM, Status.UNAVAILABLE]


class TestRepeats:
    """The repeat of a failed trial is a trial of its own."""

    def failed(self, path: Path, status: Status = Status.FAILED, num_reports: int = 0) -> Study:
        """Runs three trials to their ends, and one that fails after `num_reports` reports."""
        study = open_study(path)
        run(study, 3)
        number = study.suggest().number
        for step in range(1, num_reports + 1):
            assert study.report(number, report(step, 0.9)) == Status.RUNNING
        study.end(number, status, error="its worker died")
        return study

    @pytest.mark.parametrize("status", [*MENDABLE, Status.FAILED_NAN])
    def test_only_faults_of_the_machine_are_repeated(self, path, status):
        study = self.failed(path, status)
        assert [trial.number for trial in study.to_repeat(())] == ([3] if status in MENDABLE else [])

    def test_only_requested_references_are_repeated(self, path):
        study = open_study(path)
        number = study.add_reference("published", toy_candidate({"filters": 20, "optimizer": "adam"})).number
        study.end(number, Status.UNAVAILABLE, error="no weights")
        assert study.to_repeat(["another"]) == []
        [failed] = study.to_repeat(["published"])
        again = study.repeat(failed)
        assert (again.reference, again.seed, again.candidate) == ("published", failed.seed, failed.candidate)

    def test_it_has_its_candidate_seed_and_params_and_uses_up_no_other(self, path):
        study = self.failed(path)
        counts = (study.num_drawn, study.num_draws, study.acceptance())
        [failed] = study.to_repeat(())
        again = study.repeat(failed)
        for one in (study, open_study(path)):
            trial = one.trials[again.number]
            assert (trial.number, trial.repeats) == (4, 3)
            assert (trial.candidate, trial.seed, trial.params, trial.origin) == (
                failed.candidate,
                failed.seed,
                failed.params,
                failed.origin,
            )
            assert (one.num_drawn, one.num_draws, one.acceptance()) == counts
            assert one.to_repeat(()) == []
            assert [trial.number for trial in one.current] == [0, 1, 2, 4]
            assert one.running() == [trial]

    def test_a_repeat_passes_the_rungs_of_the_failed_trial_and_fills_no_second_place(self, path):
        study = self.failed(path, num_reports=1)
        rung = list(study.pruner.rungs[1])
        assert len(rung) == 4
        again = study.repeat(study.trials[3])
        assert study.report(again.number, report(1, 0.0)) == Status.RUNNING
        assert study.pruner.rungs[1] == rung
        assert study.report(again.number, report(2, 0.0)) == Status.RUNNING
        assert study.report(again.number, report(3, 0.0)) == Status.PRUNED, "further than the failed one it is judged"
        for one in (study, open_study(path)):
            assert one.pruner.rungs[1] == rung
            assert one.pruner.rungs[3][-1] == 0.0

    def test_a_repeat_that_fails_is_repeated(self, path):
        study = self.failed(path, num_reports=1)
        second = study.repeat(study.trials[3])
        study.end(second.number, Status.FAILED, error="again")
        study = open_study(path)
        assert [trial.number for trial in study.to_repeat(())] == [second.number]
        third = study.repeat(study.trials[second.number])
        rungs = {step: list(scores) for step, scores in study.pruner.rungs.items()}
        study.report(third.number, report(1, 0.0))
        assert study.pruner.rungs == rungs, "it has the first one's place"
        assert study.num_drawn == 4

    def test_the_sampler_forgets_the_failed_one_and_learns_from_the_other(self, path):
        study = self.failed(path)
        train(study, study.repeat(study.trials[3]).number, 9)
        params = [trial.params for trial in study._sampler.history()]
        assert params.count(study.trials[3].params) == 1

    @pytest.mark.parametrize("kept", range(4))
    def test_a_session_killed_at_any_record_of_a_repeat_resumes_to_the_same_result(self, tmp_path, kept):
        path = tmp_path / "whole.log"
        study = self.failed(path, num_reports=1)
        before = path.stat().st_size
        train(study, study.repeat(study.trials[3]).number, 9)
        run(study, 2)
        records = path.read_bytes()[before:].splitlines(keepends=True)
        cut = tmp_path / "cut.log"
        cut.write_bytes(path.read_bytes()[:before] + b"".join(records[:kept]))
        again = open_study(cut)
        for failed in again.to_repeat(()):
            again.repeat(failed)
        run(again, 6 - again.num_drawn)
        assert picture(again) == picture(study)
        assert again.pruner.rungs == study.pruner.rungs

    def test_a_journal_whose_trial_repeats_what_it_cannot_is_refused(self, path):
        study = self.failed(path)
        study.repeat(study.trials[3])
        whole = path.read_bytes()
        for other in (b"0", b"4", b"7"):
            path.write_bytes(whole.replace(b'"repeats":3', b'"repeats":' + other))
            with pytest.raises(ValueError, match="the journal is damaged"):
                open_study(path)
