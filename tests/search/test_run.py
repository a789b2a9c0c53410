"""The whole command in a real Ray: tables, terminal, model, resume."""

import fcntl
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import results
from data.made.digits import load_made
from search.predict import main as predict
from search.run import main as search
from tests.results.notebook import NOTEBOOK, execute
from tests.search.command import run, timeless
from tests.search.runs.test_links import check_known

pytestmark = pytest.mark.ray

NUM_TRIALS, MAX_EPOCHS = 8, 3


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cluster) -> tuple[Path, str]:
    """Runs a search. Returns its runs_dir and the command's output."""
    runs_dir = tmp_path_factory.mktemp("runs")
    code, output = run(runs_dir, cluster, f"num_trials={NUM_TRIALS}", f"max_epochs={MAX_EPOCHS}", "run=first")
    assert code == 0, output
    return runs_dir, output


@pytest.fixture(scope="module")
def leaderboard(finished) -> pd.DataFrame:
    return results.load("tiny10k", finished[0])


def test_every_trial_is_a_row_that_keeps_its_budget(leaderboard):
    assert sorted(leaderboard["trial"]) == list(range(NUM_TRIALS + 1))
    assert (leaderboard["num_params"] <= 9_999).all()
    assert (leaderboard["num_macs"] <= 3_000_000).all()
    assert set(leaderboard["status"]) <= {"COMPLETE", "PRUNED"}
    assert set(leaderboard["dataset"]) == {"sklearn-digits"}
    assert set(leaderboard["dataset_fingerprint"]) == {load_made().fingerprint}
    assert leaderboard["candidate_json"].is_unique


def test_the_reference_is_trained_in_full_at_its_exact_count(leaderboard):
    reference = leaderboard[leaderboard["reference"] == "bertoldi"].iloc[0]
    assert (reference["num_params"], reference["status"], reference["epochs"]) == (9_682, "COMPLETE", MAX_EPOCHS)


def test_completed_trials_come_first_and_pruned_ones_stopped_at_a_rung(leaderboard):
    ranked = leaderboard.sort_values("rank")
    complete = (ranked["status"] == "COMPLETE").tolist()
    assert complete == sorted(complete, reverse=True)
    pruned = leaderboard[leaderboard["status"] == "PRUNED"]
    assert (pruned["epochs"] == pruned["stop_rung"]).all()


def test_curves_have_a_row_for_each_report(finished, leaderboard):
    curves = results.load("tiny10k", finished[0], table="curves")
    rows = leaderboard.set_index("trial").sort_index()
    assert curves.groupby("trial").size().tolist() == rows["epochs"].tolist()
    assert curves.sort_values("step").groupby("trial")["val_score"].last().tolist() == rows["score"].tolist()


def test_two_slots_train_side_by_side(leaderboard):
    """With a custom searcher, stock Tune may keep only one trial pending at a time."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core, one slot")
    rows = leaderboard.sort_values("started_at")
    assert rows["started_at"].iloc[1] < rows["ended_at"].min()


def test_the_terminal_says_what_was_done_on_which_data(finished):
    output = finished[1]
    for part in (
        "sklearn-digits (made",
        "NOT on mnist",
        "10 best",
        "bertoldi",
        "draws rejected",
        "of slot time",
        "best.pt",
    ):
        assert part in output
    for chatter in ("Traceback", "WARNING", "(raylet)", "ray::", "[I 20"):
        assert chatter not in output


def test_a_run_leaves_few_files(finished):
    """Stock Tune leaves ten files a trial."""
    folder = finished[0] / "first"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == [".lock", "config.yaml", "curves.parquet", "journal.log", "leaderboard.parquet", "models/best.pt"]
    check_known(folder)


@pytest.mark.parametrize("name", [".lock", "config.yaml", "curves.parquet", "journal.log", "models/best.pt", "models"])
def test_a_run_in_whose_folder_a_link_lies_is_not_gone_on_with(finished, tmp_path, name, capsys):
    (tmp_path / "users").write_text("kept")
    folder = Path(shutil.copytree(finished[0] / "first", tmp_path / "runs" / "first"))
    (folder / name).rename(tmp_path / "moved")
    (folder / name).symlink_to(tmp_path / ("users" if name == ".lock" else "moved"))
    line = [f"runs_dir={tmp_path}/runs", "run=first", "data=made", f"max_epochs={MAX_EPOCHS}", "num_trials=20"]
    assert search(line) == 2
    assert f"{name}: is a link to " in capsys.readouterr().err
    assert (tmp_path / "users").read_text() == "kept"


def test_the_best_model_labels_images_as_well_as_its_row_says(finished, leaderboard, tmp_path):
    val = load_made().val
    np.save(tmp_path / "val.npy", val.x)
    model = finished[0] / "first" / "models" / "best.pt"
    assert predict([f"model={model}", f"input={tmp_path}/val.npy", f"output={tmp_path}/labels.csv"]) == 0
    labels = pd.read_csv(tmp_path / "labels.csv")["label"].to_numpy()
    best = leaderboard.sort_values("rank").iloc[0]
    # The model computes in float32 here, and was validated in bfloat16 where the hardware has it
    assert (labels == val.y).mean() == pytest.approx(best["score"], abs=0.02)


def test_the_notebook_runs_on_it(finished):
    execute(NOTEBOOK, finished[0])


@pytest.mark.tasks
def test_a_larger_num_trials_extends_a_finished_run(finished, leaderboard, cluster):
    runs_dir = finished[0]
    code, output = run(runs_dir, cluster, f"num_trials={NUM_TRIALS + 2}", f"max_epochs={MAX_EPOCHS}", "run=first")
    assert code == 0, output
    extended = results.load("tiny10k", runs_dir)
    assert len(extended) == len(leaderboard) + 2
    before = timeless(leaderboard).drop(columns=["rank", "pareto"])
    after = timeless(extended).drop(columns=["rank", "pareto"]).head(len(before))
    pd.testing.assert_frame_equal(after, before)


def test_a_run_goes_on_only_as_it_began(finished):
    code, output = run(finished[0], f"num_trials={NUM_TRIALS}", "max_epochs=5", "run=first")
    assert code == 2
    assert "max_epochs was 3, is now 5" in output


@pytest.mark.tasks
def test_when_its_time_is_up_a_run_ends_in_order(tmp_path):
    code, output = run(tmp_path, "num_trials=40", "max_epochs=30", "run=a", "time_budget_seconds=6")
    assert code == 0, output
    assert "Stopped by time_budget_seconds. Resume with: " in output
    assert " -m search.run task=tiny10k run=a" in output
    assert "RUNNING" not in set(results.load("tiny10k", tmp_path)["status"])


def test_a_run_that_another_process_holds_is_refused_and_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    with (tmp_path / "a" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, output = run(tmp_path, "run=a")
    assert code == 2
    assert "run=a: another process is running it" in output
    assert [path.name for path in (tmp_path / "a").iterdir()] == [".lock"]
