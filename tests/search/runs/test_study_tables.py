"""The study's tables name the trial that failed and the trial that repeats it."""

from pathlib import Path

import numpy as np

from results import tables
from results.analysis.columns import searched_trials
from results.analysis.trials import at_equal_epochs
from results.schema import Status
from search.runs.study_tables import Origin, write_tables
from tests.search.toy import open_study, report, train

ORIGIN = Origin(
    run="a",
    task="toy",
    dataset="dots",
    dataset_origin="made",
    dataset_fingerprint="f",
    goal="classify",
    max_epochs=3,
    train_examples=60,
    val_examples=20,
)


def test_a_failed_trial_and_the_one_that_repeats_it_name_each_other(tmp_path: Path):
    study = open_study(tmp_path / "journal.log")
    first, second = study.suggest().number, study.suggest().number
    for number in (first, second):
        study.report(number, report(1, 0.5 + number / 10))
        study.end(number, Status.FAILED, error="its worker died")
    train(study, study.repeat(study.trials[first]).number, 9)
    write_tables(study, ORIGIN, tmp_path, is_live=False)
    rows = {row["trial"]: row for row in tables.read(tmp_path / "leaderboard.parquet", "leaderboard").to_pylist()}
    assert {number: (row["repeats"], row["repeated_by"]) for number, row in rows.items()} == {
        0: (None, 2),
        1: (None, None),
        2: (0, None),
    }
    assert (rows[0]["status"], rows[0]["rank"]) == ("FAILED", None)
    assert rows[0]["error"] == "its worker died; retried as trial 2"
    assert rows[1]["error"] == "its worker died"
    assert (rows[2]["status"], rows[2]["rank"], rows[2]["error"]) == ("COMPLETE", 1, None)
    assert rows[2]["candidate_json"] == rows[0]["candidate_json"]
    board, curves = (
        tables.frame(tables.read(tmp_path / f"{name}.parquet", name)) for name in ("leaderboard", "curves")
    )
    assert sorted(searched_trials(board)["trial"]) == [1, 2], "what is made of the tables has each candidate once"
    assert sorted(at_equal_epochs(board, curves, 1)["trial"]) == [1, 2]
    assert np.isfinite(at_equal_epochs(board, curves, 1)["score"].to_numpy(float)).all()
