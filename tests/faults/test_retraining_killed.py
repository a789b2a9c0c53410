"""A run that is killed while it retrains the best trial for its model resumes, and best.pt has that trial's network."""

import pytest

from results import tables
from search.study.journal import Journal
from spaces.recipe import Candidate
from tests.faults.observed import Run, kill
from trainables.model import load_model

COMMON = ("num_trials=1", "max_epochs=4", "train_examples=600", "seed=7", "concurrency=1")
# Candidates that hardly learn, so that the published network leads and its model is kept
SLOW = ("fix.batch_norm=false", "fix.optimizer=sgd", "fix.sgd_learning_rate=0.02", "fix.batch_size=256")


@pytest.fixture(scope="module")
def killed(address, tmp_path_factory) -> Run:
    """Returns a run with a known candidate from an earlier run, killed while it retrained that candidate."""
    folder = tmp_path_factory.mktemp("retraining")
    earlier = Run(folder / "earlier", address, (*COMMON, *SLOW))
    earlier.finish()
    run = Run(folder / "later", address, (*COMMON, f"warm_start={earlier.folder}", "references=false"))
    with run.started() as process:
        run.wait_until(lambda: len(run.notes()) >= 4, process)  # in the second epoch or later
        kill(process)
    run.finish()
    return run


def test_the_file_has_the_best_trial_s_network_and_at_most_one_epoch_is_repeated(killed, record):
    [row] = tables.read_run(killed.folder, "leaderboard").to_pylist()
    assert (row["status"], row["origin"]) == ("COMPLETE", "known")
    model = load_model(killed.folder / "models" / "best.pt")
    assert model.candidate == Candidate.from_json(row["candidate_json"])
    assert (model.facts["run"], model.facts["trial"]) == ("a", row["trial"])
    [training] = Journal.read(killed.folder / "retraining" / "journal.log").entries()
    assert [report.epoch for report in training.reports] == [1.0, 2.0, 3.0, 4.0]
    assert killed.repeated() <= 1
    record("driver killed while the best trial is retrained", 1, killed)


def test_the_retrained_model_has_the_score_of_the_table(killed):
    [row] = tables.read_run(killed.folder, "leaderboard").to_pylist()
    assert load_model(killed.folder / "models" / "best.pt").facts["val_score"] == row["score"]
