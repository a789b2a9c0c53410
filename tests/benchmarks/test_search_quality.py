"""Tests of the search quality benchmark: its recorded curves, its surrogate and its played searches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from benchmarks.search_quality.played import DEFAULT, standard_errors_above
from benchmarks.search_quality.player import NoJournal, Strategy, play
from benchmarks.search_quality.recorded_curves import RecordedCurves, pack, read
from benchmarks.search_quality.surrogate import Quantiles, Surrogate, rank_correlation
from results import tables
from results.schema import Status
from search import tasks
from search.study.budget import Budget
from search.study.pruning.asha import Asha
from search.study.study import Study
from spaces.space import Params

TASK = tasks.find("tiny10k")

FACTS = {"task": "tiny10k", "max_epochs": 4, "reports_per_epoch": 4, "max_params": 9_999, "max_macs": 3_000_000}
VAL_SHARE = 0.2


def recorded(error: Callable[[Params], float], num: int = 40) -> RecordedCurves:
    """Returns random candidates whose error halves with every epoch; a part takes one second per stage."""
    study = Study(
        NoJournal(),
        space=TASK.space,
        budget=Budget(max_params=9_999, max_macs=3_000_000),
        objective=TASK.objective,
        last_step=1,
        pruner=Asha(1, 2, 1),
        sampler="random",
        seed=1,
        reports_per_epoch=1,
    )
    trials = [study.suggest() for _ in range(num)]
    falls = 0.5 ** (np.arange(1, 17) / 4)
    scores = np.array([1 - error(trial.params) * falls for trial in trials])
    seconds = np.array([[float(trial.params["stages"])] * 16 for trial in trials])
    return RecordedCurves(FACTS, [t.params for t in trials], [t.candidate for t in trials], scores, seconds)


def error_of_optimizer(params: Params) -> float:
    places = ("adam", "nadam", "adamw", "rmsprop", "sgd", "adadelta")
    return 0.1 + 0.1 * places.index(str(params["optimizer"])) + 0.1 * float(params["dropout"])


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return Surrogate(recorded(error_of_optimizer), neighbours=5)


def test_scores_come_back_from_their_quantiles():
    scores = np.random.default_rng(0).uniform(0.5, 0.99, (30, 3))
    quantiles = Quantiles(scores)
    back = np.array([quantiles.scores(normal) for normal in quantiles.normal_scores_NS])
    assert back == pytest.approx(scores)


def test_scores_rise_above_the_best_recorded_one_and_never_fall_below_the_worst():
    scores = np.random.default_rng(0).uniform(0.5, 0.99, (30, 1))
    quantiles = Quantiles(scores)
    good, better = (float(quantiles.scores(np.array([normal]))[0]) for normal in (3.0, 4.0))
    assert scores.max() < good < better < 1
    assert quantiles.scores(np.array([-9.0])) == pytest.approx(scores.min())


def test_a_candidate_has_the_same_curve_with_the_same_seed_only(surrogate: Surrogate):
    params, candidate = surrogate.recorded.params[0], surrogate.recorded.candidates[0]
    first, again, other = (surrogate.curve(params, candidate, seed) for seed in (0, 0, 1))
    assert (first.scores_S == again.scores_S).all()
    assert (first.scores_S != other.scores_S).any()
    assert (np.diff(first.scores_S) > 0).all()


def test_the_surrogate_predicts_effects_of_parameters_but_not_chance(surrogate: Surrogate):
    chance = np.random.default_rng(0)
    noise = Surrogate(recorded(lambda _: chance.uniform(0.1, 0.5)), neighbours=5)
    assert surrogate.left_out.rank_correlation > 0.7
    assert surrogate.left_out.seconds_variance_explained > 0.7
    assert noise.left_out.variance_explained < 0.2


def test_more_reports_per_epoch_cost_only_their_validations(surrogate: Surrogate):
    def cost(reports_per_epoch: int) -> float:
        strategy = Strategy(sampler="random", grace_epochs=None, reports_per_epoch=reports_per_epoch)
        return play(strategy, surrogate, 0, VAL_SHARE, num_trials=3).spent[-1]

    assert cost(1) / cost(4) == pytest.approx((4 * (1 - VAL_SHARE) + VAL_SHARE) / 4)


def test_the_best_score_of_a_search_comes_from_trials_that_were_trained_to_the_end(surrogate: Surrogate):
    played = play(replace(DEFAULT, grace_epochs=None), surrogate, 0, VAL_SHARE, num_trials=4)
    assert math.isnan(played.best_at(played.spent[2]))
    assert played.best_at(math.inf) == played.best[-1] > 0.9
    pruned = play(DEFAULT, surrogate, 0, VAL_SHARE, num_trials=12)
    assert pruned.spent[-1] < 12 / 4 * played.spent[-1]
    assert sorted(pruned.best[-5:]) == pruned.best[-5:]


def test_a_search_stops_when_its_seconds_are_spent(surrogate: Surrogate):
    played = play(DEFAULT, surrogate, 0, VAL_SHARE, seconds=100)
    assert played.spent[-2] < 100 <= played.spent[-1]


def test_complete_curves_of_a_run_are_packed_and_read_back(tmp_path: Path):
    made = recorded(error_of_optimizer, num=3)
    write_run(tmp_path / "run", made, [Status.COMPLETE, Status.RUNNING, Status.COMPLETE])
    assert pack(tmp_path / "run", tmp_path / "curves.parquet") == 2
    back = read(tmp_path / "curves.parquet")
    assert back.scores_NS == pytest.approx(made.scores_NS[[0, 2]], rel=1e-6)
    assert back.params == [made.params[0], made.params[2]]
    assert back.candidates == [made.candidates[0], made.candidates[2]]
    assert back.facts["dataset"]["fingerprint"] == "f"


def test_a_run_with_another_seed_is_added_and_a_continued_run_replaces_its_curves(tmp_path: Path):
    made, path = recorded(error_of_optimizer, num=3), tmp_path / "curves.parquet"
    write_run(tmp_path / "first", made, [Status.COMPLETE, Status.RUNNING, Status.COMPLETE])
    write_run(tmp_path / "other", made, [Status.COMPLETE, Status.FAILED, Status.FAILED], seed=1, seconds=2.0)
    write_run(tmp_path / "first, later", made, [Status.COMPLETE] * 3)
    assert [pack(tmp_path / name, path) for name in ("first", "other", "first, later", "other")] == [2, 3, 4, 4]
    back = read(path)
    assert sorted(run["seed"] for run in back.facts["runs"]) == [0, 1]
    assert back.scores_NS == pytest.approx(made.scores_NS[[0, 1, 2, 0]], rel=1e-6)
    assert (back.seconds_NS == 1).all()  # the other machine took twice as long for the same candidates


def test_curves_with_another_budget_are_refused(tmp_path: Path):
    made, path = recorded(error_of_optimizer, num=1), tmp_path / "curves.parquet"
    for name, max_params in (("first", 9_999), ("other", 5_000)):
        write_run(tmp_path / name, made, [Status.COMPLETE], max_params=max_params)
    pack(tmp_path / "first", path)
    with pytest.raises(ValueError, match="max_params=9999; name another file"):
        pack(tmp_path / "other", path)


def test_an_invalid_file_and_a_run_without_a_complete_trial_are_refused(tmp_path: Path):
    (tmp_path / "text").write_text("text")
    for name in ("text", "nothing"):
        with pytest.raises(ValueError, match="curves="):
            read(tmp_path / name)
    write_run(tmp_path / "run", recorded(error_of_optimizer, num=1), [Status.RUNNING])
    with pytest.raises(ValueError, match="complete"):
        pack(tmp_path / "run", tmp_path / "curves.parquet")
    with pytest.raises(ValueError, match="no run"):
        pack(tmp_path / "nothing", tmp_path / "curves.parquet")


def test_a_paired_difference_is_in_standard_errors_and_leaves_missing_pairs_out():
    luck = np.random.default_rng(0).normal(size=20)
    assert standard_errors_above(luck + 0.1 + 0.01 * luck**2, luck) > 20
    assert standard_errors_above(luck, luck) == 0
    missing = np.where(np.arange(20) < 10, np.nan, luck - 0.1 * luck**2)
    assert standard_errors_above(missing, luck) < -1
    assert standard_errors_above(np.full(20, np.nan), luck) == 0


def test_rank_correlation_depends_on_the_order_only():
    x = np.arange(9.0)
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1)


def write_run(
    folder: Path, made: RecordedCurves, statuses: list[Status], *, seconds: float = 1.0, **config: object
) -> None:
    folder.mkdir()
    types = {name: pa.scalar(value).type for params in made.params for name, value in params.items()}
    trials = [
        {"trial": n, "status": status, "score": 0.5, "seed": n, "device": "cpu", "task": "tiny10k"}
        | {"params": made.params[n], "candidate_json": made.candidates[n].to_json()}
        for n, status in enumerate(statuses)
    ]
    reports = [
        {"trial": n, "step": step, "val_score": score, "val_loss": 1.0, "train_loss": 1.0, "seconds": seconds}
        for n, scores in enumerate(made.scores_NS)
        for step, score in enumerate(scores, 1)
    ]
    tables.write(tables.leaderboard(trials, direction="maximize", param_types=types), folder / "leaderboard.parquet")
    tables.write(tables.curves(reports), folder / "curves.parquet")
    dataset = {"name": "mnist", "origin": "original", "fingerprint": "f"}
    known = {**FACTS, "seed": 0, "dataset": dataset, "versions": {"torch": "2"}, "git_commit": "c"}
    (folder / "config.yaml").write_text(yaml.safe_dump(known | config))
