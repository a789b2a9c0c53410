"""The study: the budget's gate, endings and sampling. The tests name the faults of the engines that it avoids."""

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from results.schema import Status
from search.study.budget import Budget
from search.study.pruning.asha import Asha
from search.study.study import SearchEnded
from spaces.choose import chosen_space
from spaces.layers import Conv, InvalidNetwork
from spaces.network import Network
from spaces.recipe import Candidate, Recipe
from spaces.space import Space
from tests.search.toy import TOY, open_study, picture, report, run, stored, toy_candidate


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
        """Optuna's define-by-run interface leaves one."""

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

    def test_a_draw_that_is_not_allowed_is_rejected_for_the_reason_given(self, path):
        asked = []

        def allowed(params, candidate):
            asked.append(candidate.network.num_params)
            return "few filters" if params["filters"] < 3 else np.bool_(params["filters"] % 2)

        study = open_study(path, space=replace(TOY, allowed=allowed))
        run(study, 8)
        assert {trial.params["filters"] % 2 for trial in study.trials} == {1}
        assert study.rejected["few filters"] > 0
        assert study.rejected["not allowed"] > 0
        assert max(asked) <= 200, "the budget is asked first"

    @pytest.mark.parametrize("answer", [None, "", 1, 0.5])
    def test_a_constraint_must_answer(self, path, answer):
        study = open_study(path, space=replace(TOY, allowed=lambda params, candidate: answer))
        with pytest.raises(
            ValueError, match=r"`allowed` must return True, False or the reason .*returned " + repr(answer)
        ):
            study.suggest()

    def test_a_function_of_choices_is_searched_as_a_list_of_the_same_parameters_is(self, path):
        def toy(choose):
            params = {"filters": choose.int("filters", 1, 20), "optimizer": choose.of("optimizer", ["adam", "sgd"])}
            if params["optimizer"] == "sgd":
                params["rate"] = choose.float("rate", 1e-3, 1, log=True)
            return toy_candidate(params)

        listed, chosen = open_study(path), open_study(path.with_name("chosen.log"), space=chosen_space(toy))
        for study in (listed, chosen):
            run(study, 20)
        assert picture(chosen) == picture(listed)

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

    def test_a_complete_trial_is_stored_with_its_final_value(self, path):
        frozen = self.ended(path, Status.COMPLETE)
        assert (frozen.state, frozen.value) == (TrialState.COMPLETE, 0.4)

    def test_a_pruned_trial_is_stored_as_pruned_with_its_reports(self, path):
        """Stock OptunaSearch stores it as COMPLETE with its early value."""
        study = open_study(path)
        for score in (0.9, 0.1):
            number = study.suggest().number
            status = study.report(number, report(1, score))
        assert status == Status.PRUNED
        assert study.trials[1].stop_rung == 1.0
        frozen = stored(path)[1]
        assert (frozen.state, frozen.intermediate_values) == (TrialState.PRUNED, {1: 0.1})

    @pytest.mark.parametrize("status", [Status.FAILED, Status.FAILED_NAN, Status.FAILED_OOM])
    def test_failures_are_stored_as_failures(self, path, status):
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


class TestSampling:
    def test_suggestions_depend_on_seed_and_number_alone_and_on_no_global_generator(self, tmp_path):
        def params(name: str, seed: int) -> list:
            study = open_study(tmp_path / name, seed=seed)
            run(study, 14)
            return [trial.params for trial in study.trials]

        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - this must not matter
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
