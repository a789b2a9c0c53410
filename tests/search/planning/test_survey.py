"""The survey of random draws, and the preview that dry_run prints."""

import pytest

from search.planning.survey import predict_epochs, survey
from search.run import main
from search.study.budget import Budget
from search.study.pruning.asha import Asha
from tests.search.toy import TOY


def test_a_survey_counts_every_draw_once():
    seen = survey(TOY, Budget(max_params=200), seed=0, num_draws=200)
    assert len(seen.feasible) + seen.rejected.total() == seen.num_draws == 200
    assert 0.3 < seen.acceptance < 0.8
    assert all(candidate.network.num_params <= 200 for candidate in seen.feasible)
    largest = seen.largest()
    assert largest is not None
    assert largest.network.num_params <= 200


def test_the_same_seed_sees_the_same():
    first, second = (survey(TOY, Budget(max_params=200), seed=4, num_draws=50) for _ in range(2))
    assert first == second


def test_epochs_are_predicted_by_playing_asha():
    assert predict_epochs(Asha(5, 3, 5), num_trials=10, max_epochs=5, reports_per_epoch=1, seed=0) == 50
    assert 10 < predict_epochs(Asha(1, 3, 9), num_trials=10, max_epochs=9, reports_per_epoch=1, seed=0) < 60
    halves = predict_epochs(Asha(2, 3, 18), num_trials=64, max_epochs=9, reports_per_epoch=2, seed=0)
    assert halves == predict_epochs(Asha(1, 3, 9), num_trials=64, max_epochs=9, reports_per_epoch=1, seed=0)


@pytest.mark.tasks
def test_a_dry_run_prints_the_space_the_rejections_and_a_time_and_leaves_nothing(tmp_path, capsys):
    assert main(["dry_run=true", "data=made", f"runs_dir={tmp_path}", "fix.optimizer=adam"]) == 0
    output = capsys.readouterr().out
    for part in (
        "optimizer",
        "adam",
        "rotation_degrees",
        "draws rejected",
        "over max_params",
        "predicted time",
        "slots",
    ):
        assert part in output
    assert "smallest feasible network seen" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argument", ["max_params=500", "max_macs=90000"])
def test_a_dry_run_of_what_cannot_be_says_so(argument, capsys):
    assert main(["dry_run=true", "data=made", argument]) == 2
    assert "nothing in the space fits" in capsys.readouterr().err
