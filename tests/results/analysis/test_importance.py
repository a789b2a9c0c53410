"""Importances come from Optuna, on the journal's distributions and scores that are given."""

import pytest

from results import tables
from results.analysis.importance import FEWEST, importance, num_best
from tests.results.synthetic import DISTRIBUTIONS, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run", num_trials=60)


def test_all_parameters_have_a_share_also_those_that_only_some_trials_have(run):
    found = importance(run / "journal.log", {number: float(number % 7) for number in range(60)}, "maximize")
    assert found["importance"].sum() == pytest.approx(1)
    assert set(found["parameter"]) == set(DISTRIBUTIONS)
    assert found["importance"].is_monotonic_decreasing


def test_it_finds_the_parameter_that_scores_follow(run):
    board = tables.frame(tables.read(run / "leaderboard.parquet", "leaderboard"))
    board = board[board["reference"].isna()]
    scores = {int(n): float(p == "max") for n, p in zip(board["trial"], board["param_pooling"], strict=True)}
    assert importance(run / "journal.log", scores, "maximize")["parameter"].iloc[0] == "pooling"
    assert importance(run / "journal.log", scores, "minimize")["parameter"].iloc[0] == "pooling"


def test_the_best_tenth_but_five_at_least_and_half_at_most():
    assert [num_best(n) for n in (10, 24, 60, 2000)] == [5, 5, 6, 200]


def test_too_few_trials_are_refused(run):
    with pytest.raises(ValueError, match=f"need {FEWEST} trials .*; there are 3"):
        importance(run / "journal.log", dict.fromkeys(range(3), 0.5), "maximize")


def test_a_journal_that_is_missing_or_damaged_is_named(tmp_path):
    path = tmp_path / "journal.log"
    with pytest.raises(ValueError, match="no such file"):
        importance(path, {}, "maximize")
    assert not path.exists()
    for content in ("not JSON\nnor this\n", '{"op_code": 9}\n', "[]\n", '{"op_code":4,"worker_id":"a"}\n'):
        path.write_text(content)
        with pytest.raises(ValueError, match="damaged"):
            importance(path, {}, "maximize")
