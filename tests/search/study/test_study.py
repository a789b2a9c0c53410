"""The study: the budget's gate, endings, and a journal that is the one record. Names the engines' faults it avoids."""

import math
import random
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from results.schema import Status
from search.study.budget import Budget
from search.study.pruning.asha import Asha
from search.study.study import SearchEnded, Study
from spaces.layers import Conv, InvalidNetwork
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.space import Space
from tests.search.toy import TOY, open_study, picture, report, run, toy_candidate, train


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.log"


def stored(path: Path) -> list[optuna.trial.FrozenTrial]:
    """The journal as Optuna alone reads it."""
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.load_study(study_name="toy", storage=storage).get_trials()


class TestTheGate:
    def test_no_candidate_over_the_budget_is_started_and_rejections_are_counted(self, path):
        study = open_study(path)
        for _ in range(15):
            study.end(study.suggest().number, Status.FAILED)
        assert max(trial.candidate.network.num_params for trial in study.trials) <= 200
        assert study.rejected["over max_params"] > 0
        assert study.num_draws == 15 + study.rejected.total()
        assert study.acceptance() == pytest.approx(15 / study.num_draws)

    @pytest.mark.parametrize("limit", ["params", "macs"])
    def test_the_boundary_itself_is_inside(self, limit):
        candidate = toy_candidate({"filters": 5, "optimizer": "adam"})
        cost = getattr(candidate.network, f"num_{limit}")
        assert Budget(**{f"max_{limit}": cost}).rejection(candidate) is None
        assert Budget(**{f"max_{limit}": cost - 1}).rejection(candidate) == f"over max_{limit}"

    def test_a_rejected_draw_leaves_no_trace_in_the_journal(self, path):
        study = open_study(path)
        run(study, 5)
        assert study.rejected.total() > 0
        assert [trial.number for trial in stored(path)] == list(range(5))

    def test_an_exception_inside_the_space_leaves_no_running_trial_behind(self, path):
        """Optuna's define-by-run leaves one."""

        def broken(params):
            raise RuntimeError("a fault in the space")

        study = open_study(path, space=Space(TOY.parameters, broken))
        with pytest.raises(RuntimeError, match="a fault"):
            study.suggest()
        assert stored(path) == []

    def test_invalid_networks_are_counted_with_their_reason(self, path):
        def shrunk(params):
            if params["filters"] > 10:
                raise InvalidNetwork("nothing left")
            return toy_candidate(params)

        study = open_study(path, space=Space(TOY.parameters, shrunk), budget=Budget())
        run(study, 8)
        assert set(study.rejected) <= {"image shrinks to nothing", "equal to an earlier trial"}
        assert study.rejected["image shrinks to nothing"] > 0

    def test_without_any_limit_invalid_networks_are_rejected_all_the_same(self, path):
        def shrunk(params):
            return Candidate(Network((1, 4, 4), (Conv(1, 9, padding="valid"),)), Recipe())

        study = open_study(path, space=Space(TOY.parameters, shrunk), budget=Budget())
        with pytest.raises(SearchEnded, match="100% image shrinks to nothing"):
            study.suggest()

    def test_a_budget_that_nothing_keeps_ends_the_search_with_the_rate(self, path):
        study = open_study(path, budget=Budget(max_params=10))
        with pytest.raises(SearchEnded, match=r"too tight.*100% over max_params"):
            study.suggest()

    def test_equal_candidates_are_not_tried_twice_and_an_exhausted_space_ends_the_search(self, path):
        study = open_study(path, space=TOY.pinned({"optimizer": "adam"}), budget=Budget(max_params=100))
        feasible = [
            n for n in range(1, 21) if toy_candidate({"filters": n, "optimizer": "adam"}).network.num_params <= 100
        ]
        for _ in feasible:
            number = study.suggest().number
            study.report(number, report(1, 0.5))
            study.end(number, Status.COMPLETE)
        assert sorted(trial.params["filters"] for trial in study.trials) == feasible
        with pytest.raises(SearchEnded, match="exhausted"):
            study.suggest()


class TestEndings:
    def ended(self, path: Path, status: Status) -> optuna.trial.FrozenTrial:
        study = open_study(path)
        number = study.suggest().number
        study.report(number, report(1, 0.3))
        study.report(number, report(2, 0.4))
        study.end(number, status, error="why")
        assert study.trials[number].status == status
        return stored(path)[number]

    def test_a_complete_trial_is_told_with_its_final_value(self, path):
        told = self.ended(path, Status.COMPLETE)
        assert (told.state, told.value) == (TrialState.COMPLETE, 0.4)

    def test_a_pruned_trial_is_told_as_pruned_with_its_reports(self, path):
        """Stock OptunaSearch tells it as COMPLETE with its early value."""
        study = open_study(path)
        for score in (0.9, 0.1):
            number = study.suggest().number
            status = study.report(number, report(1, score))
        assert status == Status.PRUNED
        assert study.trials[1].stop_rung == 1.0
        told = stored(path)[1]
        assert (told.state, told.intermediate_values) == (TrialState.PRUNED, {1: 0.1})

    @pytest.mark.parametrize("status", [Status.FAILED, Status.FAILED_NAN, Status.FAILED_OOM])
    def test_failures_are_told_as_failures(self, path, status):
        assert self.ended(path, status).state == TrialState.FAIL

    @pytest.mark.parametrize("field", ["val_score", "val_loss", "train_loss"])
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_fails_the_trial_and_reaches_no_rung(self, path, field, value):
        """With stock parts a NaN passes every rung, and stays RUNNING for ever."""
        study = open_study(path)
        number = study.suggest().number
        status = study.report(number, report(1, 0.5, **{field: value}))
        assert status == Status.FAILED_NAN
        assert stored(path)[number].state == TrialState.FAIL
        assert not any(study.pruner.rungs.values())
        assert picture(open_study(path))[0][1] == Status.FAILED_NAN

    def test_a_finished_report_completes_the_trial_even_off_a_rung(self, path):
        study = open_study(path)
        number = study.suggest().number
        study.report(number, report(1, 0.5))
        assert study.report(number, report(2, 0.6, finished=True)) == Status.COMPLETE

    def test_no_trial_runs_past_its_length(self, path):
        """With stock parts, a result without its time attribute lets a trial run past max_t."""
        study = open_study(path, pruner=Asha(1, 3, 3), last_step=3)
        number = study.suggest().number
        statuses = [study.report(number, report(step, 0.5)) for step in (1, 2, 3)]
        assert statuses == [Status.RUNNING, Status.RUNNING, Status.COMPLETE]

    def test_a_trial_has_one_ending(self, path):
        study = open_study(path)
        number = study.suggest().number
        study.report(number, report(1, 0.5, finished=True))
        study.end(number, Status.FAILED, error="too late")
        assert study.report(number, report(2, 0.9)) == Status.COMPLETE
        assert len(study.trials[number].reports) == 1

    def test_references_are_never_pruned_and_take_no_place_in_a_rung(self, path):
        study = open_study(path)
        run(study, 3)
        rungs = {step: list(scores) for step, scores in study.pruner.rungs.items()}
        reference = study.add_reference("published", toy_candidate({"filters": 20, "optimizer": "adam"}))
        for step in range(1, 9):
            assert study.report(reference.number, report(step, 0.0)) == Status.RUNNING
        assert study.report(reference.number, report(9, 0.0, finished=True)) == Status.COMPLETE
        assert study.pruner.rungs == rungs

    def test_the_best_is_the_completed_one_with_the_best_final_value(self, path):
        study = open_study(path, pruner=Asha(5, 3, 5), last_step=5)
        for final in (0.5, 0.7, 0.7, 0.6):
            number = study.suggest().number
            study.report(number, report(1, 0.99))
            study.report(number, report(2, final, finished=True))
        for one in (study, open_study(path, pruner=Asha(5, 3, 5), last_step=5)):
            assert one.best is one.trials[1]

    def test_of_equals_the_best_is_the_earlier_one_also_where_it_ends_later(self, path):
        study = open_study(path, pruner=Asha(1, 3, 1), last_step=1)
        first, second = study.suggest().number, study.suggest().number
        study.report(second, report(1, 0.7))
        assert study.best is study.trials[second]
        study.report(first, report(1, 0.7))
        assert study.best is study.trials[first]


MENDABLE = [Status.FAILED, Status.FAILED_OOM, Status.UNAVAILABLE]


class TestWhatIsBegunAgain:
    """A trial that a fault of the machine ended is trained again by the next session, as a trial of its own."""

    def failed(self, path: Path, status: Status = Status.FAILED, num_reports: int = 0) -> Study:
        """Three trials that ended, and then one that failed after so many reports."""
        study = open_study(path)
        run(study, 3)
        number = study.suggest().number
        for step in range(1, num_reports + 1):
            assert study.report(number, report(step, 0.9)) == Status.RUNNING
        study.end(number, status, error="its worker died")
        return study

    @pytest.mark.parametrize("status", [*MENDABLE, Status.FAILED_NAN])
    def test_it_is_so_for_faults_of_the_machine_alone(self, path, status):
        study = self.failed(path, status)
        assert [trial.number for trial in study.to_repeat(())] == ([3] if status in MENDABLE else [])

    def test_of_references_only_those_that_are_asked_for(self, path):
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

    def test_where_the_failed_one_arrived_at_a_rung_it_goes_on_and_takes_no_second_place(self, path):
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

    def test_what_fails_again_is_begun_again_once_more(self, path):
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
    def test_killed_at_any_record_of_it_the_next_session_comes_to_the_same(self, tmp_path, kept):
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
        """Of thousands of trials, another copy beside Optuna's would take 8 kB for each."""
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
        """Optuna's own would stall the next process for 30 seconds."""
        run(open_study(path), 2)
        (path.parent / "journal.log.lock").symlink_to(path)
        run(open_study(path), 1)
        assert len(stored(path)) == 3

    def test_the_study_is_named_by_its_run(self, path):
        """Stock studies are called 'optuna', and two in one storage merge."""
        open_study(path, name="mine")
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        assert [study.study_name for study in storage.get_all_studies()] == ["mine"]


class TestSampling:
    def test_suggestions_depend_on_seed_and_number_alone_and_on_no_global_generator(self, tmp_path):
        def params(name: str, seed: int) -> list:
            study = open_study(tmp_path / name, seed=seed)
            run(study, 14)
            return [trial.params for trial in study.trials]

        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - the very thing that must not matter
        states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        first = params("a", 0)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002
        random.seed(2)
        np.random.seed(2)  # noqa: NPY002
        assert params("b", 0) == first
        assert params("c", 1) != first

    def test_tpe_learns(self, path):
        """After start-up it proposes what scores well: here, a learning rate near 0.03."""
        study = open_study(
            path, space=TOY.pinned({"optimizer": "sgd"}), budget=Budget(), pruner=Asha(1, 3, 1), last_step=1
        )
        misses = []
        for _ in range(40):
            trial = study.suggest()
            misses.append(abs(math.log10(float(trial.params["rate"]) / 0.03)))
            study.report(trial.number, report(1, -misses[-1], finished=True))
        assert np.median(misses[20:]) < 0.7 * np.median(misses[:10])

    def test_other_trials_that_run_are_taken_into_account(self, path):
        """Constant liar: with a dozen trials in flight, suggestions differ."""
        study = open_study(path, budget=Budget())
        run(study, 12, last=1)
        in_flight = Counter(study.suggest().candidate.to_json() for _ in range(8))
        assert max(in_flight.values()) == 1
