"""A warm start tries earlier runs' best candidates first, and does not retrain known results."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from data.made.digits import load_made
from results import tables
from results.schema import Status
from search.planning.config import parse
from search.planning.plan import Plan
from search.planning.warm_start import find_earlier, start_warm
from search.session.study import open_study
from search.study.study import Study
from search.trials.job import search_job
from search.trials.searcher import StudySearcher
from spaces.recipe import Candidate
from tests.search import toy
from tests.search.unfinished import cut_short
from trainables.build import build
from trainables.model import load_model, model_bytes

SPLITS = load_made()
LINE = ("data=made", "grace_epochs=1", "max_epochs=3", "num_trials=16", "references=false")


def planned(runs_dir: Path, run: str, *arguments: str) -> Plan:
    return Plan.of(parse([f"run={run}", f"runs_dir={runs_dir}", *LINE, *arguments]))


SCORES = [0.503 + number / 100 for number in range(6)]


def earlier_run(
    runs_dir: Path, run: str, *arguments: str, scores: Sequence[float] = SCORES, holds: int | None = None
) -> Study:
    """Writes a run of completed trials with these final scores, and a model of the best.

    `holds` names another trial whose network the file of the best holds, as a run does where a reference leads.
    """
    plan = planned(runs_dir, run, *arguments)
    with plan.folder.locked():
        study = open_study(plan, SPLITS)
        for score in scores:
            trial = study.suggest()
            for step in (1, 2, 3):
                study.report(trial.number, toy.report(step, score + (step - 3) / 1000, finished=step == 3))
        search_job(plan, SPLITS).write_tables(study, False)
    best = scores.index(max(scores)) if holds is None else holds
    keep(plan, study.trials[best].candidate)
    return study


def keep(plan: Plan, candidate: Candidate) -> None:
    """Writes a candidate's model to the path of the best trial's."""
    plan.folder.models.mkdir(exist_ok=True)
    weights = build(candidate.network, 0).state_dict()
    plan.folder.best_model.write_bytes(model_bytes(candidate, weights, {}))


def warmed(plan: Plan) -> tuple[Study, list[Any], list[str]]:
    messages: list[str] = []
    earlier = find_earlier(plan, messages.append)
    with plan.folder.locked():
        study = open_study(plan, SPLITS)
        return study, start_warm(plan, study, earlier, plan.identity(SPLITS), messages.append), messages


def test_known_results_are_imported_the_best_first_with_their_seeds_curves_and_model(tmp_path):
    before = earlier_run(tmp_path, "a")
    plan = planned(tmp_path, "b", f"warm_start={tmp_path / 'a'}", "seed=5")
    study, left, messages = warmed(plan)
    assert left == []
    assert [trial.candidate for trial in study.trials] == [before.trials[n].candidate for n in (5, 4, 3, 2)]
    for trial, old in zip(study.trials, before.trials[5:1:-1], strict=True):
        assert (trial.status, trial.origin, trial.seed) == (Status.COMPLETE, "known", old.seed)
        assert [report.val_score for report in trial.reports] == [report.val_score for report in old.reports]
    assert study.pruner.rungs[1] == [trial.reports[0].val_score for trial in study.trials]  # none was pruned
    assert plan.folder.best_model.read_bytes() == (tmp_path / "a" / "models" / "best.pt").read_bytes()
    assert "4 of them reused without training" in messages[0]
    assert study.num_draws == 0


def test_a_model_of_another_trial_is_not_taken_for_the_best_ones(tmp_path):
    earlier_run(tmp_path, "a", holds=2)
    plan = planned(tmp_path, "b", "warm_start=a")
    study, _, _ = warmed(plan)
    assert study.best.number == 0
    assert not plan.folder.best_model.exists()


def test_the_former_best_model_is_set_aside_when_an_imported_trial_leads(tmp_path):
    before, plan = earlier_run(tmp_path, "a", holds=2), planned(tmp_path, "b", "warm_start=a")
    with plan.folder.locked():
        former = open_study(plan, SPLITS).add_reference("published", before.trials[0].candidate).candidate
    keep(plan, former)
    plan.folder.best_model.with_suffix(".onnx").write_bytes(b"of the former")
    _, _, messages = warmed(plan)
    assert [path.name for path in sorted(plan.folder.models.iterdir())] == ["best.onnx.1", "best.pt.1"]
    assert load_model(plan.folder.models / "best.pt.1").candidate == former
    assert sum("does not hold the best trial's network; it is kept as" in line for line in messages) == 2


def test_a_damaged_file_is_no_model_and_is_set_aside(tmp_path):
    earlier_run(tmp_path, "a", holds=2)
    plan = planned(tmp_path, "b", "warm_start=a")
    plan.folder.models.mkdir(parents=True)
    plan.folder.best_model.write_bytes(b"damaged")
    (plan.folder.models / "best.pt.1").write_bytes(b"an earlier one")
    warmed(plan)
    assert not plan.folder.best_model.exists()
    assert (plan.folder.models / "best.pt.2").read_bytes() == b"damaged"


def test_the_model_of_an_imported_best_trial_replaces_the_former_best_one(tmp_path):
    before, plan = earlier_run(tmp_path, "a"), planned(tmp_path, "b", "warm_start=a")
    with plan.folder.locked():
        former = open_study(plan, SPLITS).add_reference("published", before.trials[0].candidate).candidate
    keep(plan, former)
    warmed(plan)
    assert load_model(plan.folder.best_model).candidate == before.best.candidate


def test_an_interrupted_run_resumes_its_warm_start_unchanged(tmp_path):
    earlier_run(tmp_path, "a")
    plan = planned(tmp_path, "b", "warm_start=a")  # by its name
    study, _, _ = warmed(plan)
    again, left, messages = warmed(plan)
    assert (left, messages) == ([], [])
    assert [trial.candidate for trial in again.trials] == [trial.candidate for trial in study.trials]
    assert again.pruner.rungs == study.pruner.rungs
    following = again.suggest()
    assert following.number == 4
    assert following.origin == "tpe"


@pytest.mark.parametrize("other", ["max_epochs=4", "train_examples=500"])
def test_candidates_from_other_conditions_are_retrained_ahead_of_suggestions(tmp_path, other: str):
    before = earlier_run(tmp_path, "a")
    plan = planned(tmp_path, "b", f"warm_start={tmp_path / 'a' / 'leaderboard.parquet'}")
    plan = planned(tmp_path, "b", f"warm_start={tmp_path}", other)
    splits = SPLITS.limited(plan.config.train_examples)
    earlier = find_earlier(plan, print)
    with plan.folder.locked():
        study = open_study(plan, splits)
        left = start_warm(plan, study, earlier, plan.identity(splits), print)
        assert study.trials == []
        assert [candidate for candidate, _ in left] == [before.trials[n].candidate for n in (5, 4, 3, 2)]
        events = SimpleNamespace(max_running=lambda: 9, config_of=vars, on_search_end=print)
        searcher = StudySearcher(study, events, num_trials=16, given={}, warm=left)
        issued = [searcher.suggest(str(number)) for number in range(5)]
    assert [trial["origin"] for trial in issued] == ["warm"] * 4 + ["tpe"]
    assert study.trials[0].seed != before.trials[5].seed
    assert open_study(plan, splits).trials[0].params == before.trials[5].params  # as the journal records it
    assert not (plan.folder.models / "best.pt").exists()


def test_a_leaderboard_gives_candidates_to_be_trained(tmp_path):
    before = earlier_run(tmp_path, "a")
    _, left, _ = warmed(planned(tmp_path, "b", f"warm_start={tmp_path / 'a' / 'leaderboard.parquet'}"))
    assert [candidate for candidate, _ in left] == [before.trials[n].candidate for n in (5, 4, 3, 2)]


def test_one_outside_space_or_budget_is_named_and_left_out(tmp_path):
    before = earlier_run(tmp_path, "a")
    smallest = min(before.trials, key=lambda trial: trial.candidate.network.num_params)
    budget = f"max_params={smallest.candidate.network.num_params}"
    study, _, messages = warmed(planned(tmp_path, "b", "warm_start=a", budget))
    assert [trial.candidate for trial in study.trials] == [smallest.candidate]
    assert f"warm start: trial {(smallest.number + 1) % 6} of a left out: over max_params" in messages
    assert len(messages) == 6
    optimizer = before.trials[5].params["optimizer"]
    study, _, messages = warmed(planned(tmp_path, "c", "warm_start=a", f"fix.optimizer={optimizer}"))
    assert {trial.params["optimizer"] for trial in study.trials} == {optimizer}
    assert any("left out: optimizer=" in line and "outside the space" in line for line in messages)


def test_a_missing_warm_start_is_reported_and_a_started_run_resumes_without_it(tmp_path):
    with pytest.raises(ValueError, match="warm_start=nowhere: no completed candidate of task=tiny10k there"):
        find_earlier(planned(tmp_path, "b", "warm_start=nowhere"), print)
    cut_short(tmp_path)
    with pytest.raises(ValueError, match="no completed candidate"):
        find_earlier(planned(tmp_path, "b", "warm_start=a"), print)
    messages: list[str] = []
    assert find_earlier(planned(tmp_path, "a", "grace_epochs=1", "warm_start=nowhere"), messages.append) == []
    assert "The run continues without it" in messages[0]


def scores_of(study: Study) -> list[float]:
    """Returns the trials' scores."""
    return [trial.reports[-1].val_score for trial in study.trials]


class TestOtherConditions:
    def test_scores_at_another_noise_are_ranked_with_none_here(self, tmp_path):
        """All scores at less noise are better, though the networks are not."""
        same = ("task=denoiser", "sigma=0.3", "max_epochs=3")
        less = earlier_run(tmp_path, "a", "task=denoiser", "sigma=0.1", "seed=1", scores=[0.01, 0.02, 0.03])
        alike = earlier_run(tmp_path, "b", *same, "seed=2", scores=[0.3, 0.1])
        more = earlier_run(tmp_path, "c", "task=denoiser", "sigma=0.5", "seed=3", scores=[0.9, 0.7, 0.8])
        plan = planned(tmp_path, "d", *same, f"warm_start={tmp_path}", "num_trials=16")
        study, left, messages = warmed(plan)
        assert scores_of(study) == [0.1, 0.3]  # imported, the best first
        taken = [candidate for candidate, _ in left]
        assert taken == [less.trials[0].candidate, more.trials[1].candidate]  # in turns, each run's best
        (apart,) = [line for line in messages if "not comparable" in line]
        assert "not comparable with this run: run a (sigma 0.1, here 0.3), run c (sigma 0.5, here 0.3)" in apart
        assert "2 candidates to retrain" in apart
        assert len(alike.trials) == 2

    @pytest.mark.parametrize(
        ("other", "difference"),
        [
            ("max_epochs=4", "max_epochs 3, here 4"),
            ("train_examples=500", "other examples of "),
            ("val_examples=200", "other examples of "),
        ],
    )
    def test_what_differs_is_said(self, tmp_path, other, difference):
        earlier_run(tmp_path, "a")
        plan = planned(tmp_path, "b", "warm_start=a", other)
        splits = plan.load_data(print)
        messages: list[str] = []
        with plan.folder.locked():
            study = open_study(plan, splits)
            left = start_warm(plan, study, find_earlier(plan, print), plan.identity(splits), messages.append)
        assert len(left) == 4
        assert f"not comparable with this run: run a ({difference}" in messages[0]

    def test_a_leaderboard_of_two_runs_ranks_each_for_itself(self, tmp_path):
        """This includes a moved leaderboard of an earlier version, which does not name its conditions."""
        low = earlier_run(tmp_path, "a", "task=denoiser", "sigma=0.1", "seed=1", scores=[0.01, 0.02])
        high = earlier_run(tmp_path, "b", "task=denoiser", "sigma=0.5", "seed=2", scores=[0.9, 0.8])
        boards = [tables.read(tmp_path / name / "leaderboard.parquet", "leaderboard") for name in ("a", "b")]
        for place, dropped in enumerate(([], ["goal", "max_epochs"])):
            path = tmp_path / f"both-{place}.parquet"
            tables.write(pa.concat_tables([board.drop_columns(dropped) for board in boards]), path)
            plan = planned(tmp_path, f"c{place}", "task=denoiser", "sigma=0.3", f"warm_start={path}")
            _, left, messages = warmed(plan)
            first, second, *_ = [candidate for candidate, _ in left]
            assert (first, second) == (low.trials[0].candidate, high.trials[1].candidate)
            difference = "sigma 0.1, here 0.3" if not dropped else "goal unknown, here denoise sigma=0.3"
            assert f"not comparable with this run: run a ({difference}" in messages[0]
