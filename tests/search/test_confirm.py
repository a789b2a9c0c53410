"""A run's finalists, retrained in a real Ray, and the test images, read once."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import results
from data.made.digits import load_made
from data.splits import Split, Splits
from results.analysis.statistics import mean
from results.files import StorageError
from search.command_line.terminal import Terminal
from search.confirm import main
from search.confirm import parse as parse_confirm
from search.planning.config import parse
from search.planning.plan import Plan
from search.retraining.confirm_run import _open_study
from search.retraining.confirmation import Confirmation, finalists_of
from search.retraining.confirmed_table import print_confirmed
from spaces.recipe import Candidate
from tests.search import toy
from tests.search.command import run, run_command
from tests.search.runs.test_links import check_known
from tests.search.unfinished import cut_short
from trainables.model import load_model

ARGUMENTS = ("run=a", "num_trials=4", "max_epochs=1", "train_examples=600", "confirm.top_k=2", "confirm.seeds=2")


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory, cluster) -> tuple[Path, str]:
    """Searches and confirms the finalists. Returns the runs_dir and the output."""
    runs_dir = tmp_path_factory.mktemp("runs")
    code, output = run(runs_dir, cluster, *ARGUMENTS, "report=true")
    assert code == 0, output
    return runs_dir, output


@pytest.fixture(scope="module")
def finalists(confirmed) -> pd.DataFrame:
    return results.load("tiny10k", confirmed[0], table="finalists")


@pytest.mark.ray
def test_the_best_candidates_and_the_best_reference_are_trained_with_each_seed(confirmed, finalists):
    board = results.load("tiny10k", confirmed[0]).sort_values("rank")
    complete = board[board["status"] == "COMPLETE"]
    best = complete[complete["reference"].isna()].head(2)
    expected = [*best["trial"], complete[complete["reference"] == "bertoldi"]["trial"].item()]
    assert finalists["trial"].tolist() == [trial for trial in expected for _ in range(2)]
    assert finalists["seed"].tolist() == [0, 1] * len(expected)
    assert finalists["place"].dropna().tolist() == [place for place in range(1, len(best) + 1) for _ in range(2)]
    chosen_by = dict(zip(board["trial"], board["score"], strict=True))
    assert all(row["val_score"] == chosen_by[row["trial"]] for _, row in finalists.iterrows())
    assert set(finalists["epochs"]) == {1.0}
    assert (finalists["train_seconds"] > 0).all()
    assert set(finalists["dataset_origin"]) == {"made"}


@pytest.mark.ray
def test_a_score_is_the_kept_models_on_the_test_images(confirmed, finalists):
    check_known(confirmed[0] / "a")
    test = load_made().test
    for _, row in finalists.iterrows():
        model = load_model(confirmed[0] / "a" / row["model_path"])
        right = (model(test.x).argmax(1).numpy() == test.y).mean()
        assert row["test_score"] == pytest.approx(right, abs=0.02)  # the search scores in bfloat16 where that is fast
        assert row["scored_on"] == model.facts["scored_on"] == "test"
        assert model.candidate == Candidate.from_json(row["candidate_json"])


@pytest.mark.ray
def test_what_each_training_predicts_of_each_test_image_is_kept(confirmed, finalists):
    predictions = results.load("tiny10k", confirmed[0], table="predictions")
    labels = load_made().test.y
    keys = ["trial", "seed"]
    assert predictions[keys].drop_duplicates().to_numpy().tolist() == finalists[keys].to_numpy().tolist()
    for _, row in finalists.iterrows():
        mine = predictions[(predictions["trial"] == row["trial"]) & (predictions["seed"] == row["seed"])]
        assert mine["index"].tolist() == list(range(len(labels)))
        assert mine["label"].tolist() == labels.tolist()
        is_right = mine["predicted"] == mine["label"]
        assert is_right.mean() == pytest.approx(row["test_score"])
        assert (mine["label_probability"] <= mine["probability"]).all()
        as_probable = mine["label_probability"] == mine["probability"]
        assert as_probable[is_right].all()
        # In bfloat16 a hardly trained network may give two classes the same; the first of them is predicted
        assert (mine["predicted"] < mine["label"])[as_probable & ~is_right].all()
    with np.load(confirmed[0] / "a" / "samples.npz") as samples:
        assert samples["finalist"] == f"trial {finalists['trial'].iloc[0]}"
        first = predictions[predictions["trial"] == samples["trial"]]
        wrong = first[first["index"].isin(samples["index"].tolist())]
        assert (wrong["predicted"] != wrong["label"]).mean() > 0.5
        for k, place in enumerate(samples["index"]):
            assert np.array_equal(samples[f"input_{k}"], load_made().test.x[place])


@pytest.mark.ray
def test_means_and_intervals_are_printed_and_what_is_not_distinguishable(confirmed, finalists):
    output = confirmed[1]
    first = finalists[finalists["place"] == 1]
    name = f"trial {first['trial'].iloc[0]}"
    assert f"{mean(first['test_score'].tolist()).value:.4f}" in output
    assert "test accuracy, mean over seeds" in output
    assert f"{name} and bertoldi: " in output
    assert "paired by seed" in output
    assert "The 95% intervals cover both the seeds and the test examples" in output
    assert "test examples" in output
    assert "600 training" in output  # of the search; then those and the validation images


@pytest.mark.ray
def test_the_run_s_report_has_its_finalists_and_what_the_best_one_gets_wrong(confirmed):
    path = confirmed[0] / "a" / "report.html"
    assert f"report: {path}" in confirmed[1]
    page = path.read_text(encoding="utf-8")
    assert "These results are on sklearn-digits, a made stand-in" in page
    assert 'id="finalists-plot"' in page
    assert "Worst mistakes" in page
    assert page.count("data:image/png;base64,") > 3


@pytest.mark.ray
def test_more_seeds_are_added_and_nothing_is_trained_twice(confirmed, finalists, cluster):
    runs_dir = confirmed[0]
    line = ("run=a", f"runs_dir={runs_dir}", cluster, "top_k=1", "seeds=3")
    code, output = run_command("search.confirm", *line)
    assert code == 0, output
    more = results.load("tiny10k", runs_dir, table="finalists")
    keys = ["trial", "seed"]
    assert len(more) == len(finalists) + 2  # earlier trainings stay in the table
    both = more.merge(finalists, on=keys, suffixes=("", "_before"))
    assert len(both) == len(finalists)
    assert (both["test_score"] == both["test_score_before"]).all()
    assert (both["train_seconds"] == both["train_seconds_before"]).all()


def test_a_damaged_journal_of_a_confirmation_is_named_and_left_alone(tmp_path):
    study = toy.open_study(tmp_path / "journal.log")
    toy.run(study, 12)
    plans = Confirmation(plan_of(tmp_path), load_made(), finalists_of(study), 2, 3)
    with plans.folder.locked():
        started = plans.open_study()
        for name, one in plans.given(started).items():
            started.add_reference(name, one.candidate, one.seed)
        lines = plans.folder.journal.read_bytes().splitlines(keepends=True)
        damaged = b"".join(lines[:4] + lines[5:])
        plans.folder.journal.write_bytes(damaged.replace(b"candidate", b"candidat", 1))
        with pytest.raises(StorageError, match=re.escape(f"{plans.folder.journal}: ")):
            _open_study(plans)
    assert plans.folder.journal.read_bytes() == damaged.replace(b"candidate", b"candidat", 1)


def test_a_run_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["run=b", f"runs_dir={tmp_path}"]) == 2
    assert "run=b: there is no such run" in capsys.readouterr().err
    assert main([]) == 2
    assert "run= is needed" in capsys.readouterr().err


def test_a_run_that_was_begun_without_a_confirmation_has_the_default_ones(tmp_path, capsys):
    cut_short(tmp_path, "confirm.top_k=0", "confirm.seeds=5")
    config = parse_confirm(["run=a", f"runs_dir={tmp_path}"])
    assert (config.confirm.top_k, config.confirm.seeds, config.max_epochs) == (3, 5, 3)
    assert parse_confirm(["run=a", f"runs_dir={tmp_path}", "top_k=1"]).confirm.top_k == 1
    assert main(["run=a", f"runs_dir={tmp_path}", "top_k=0"]) == 2
    assert "top_k=0: must be above 0" in capsys.readouterr().err


@pytest.mark.ray
def test_a_run_without_a_completed_trial_has_nothing_to_confirm_and_is_told_that_it_is_not_at_its_end(
    tmp_path, cluster
):
    cut_short(tmp_path)
    code, output = run_command("search.confirm", "run=a", f"runs_dir={tmp_path}", cluster)
    assert code == 1
    assert "NOTICE: the search has not finished: 64 trials left" in output
    assert "there is nothing to confirm" in output


def plan_of(runs_dir: Path, *arguments: str) -> Plan:
    return Plan.of(parse(["run=a", f"runs_dir={runs_dir}", "data=made", *arguments]))


def test_test_images_are_scored_where_there_are_some_and_all_others_trained_on(tmp_path):
    splits = load_made()
    plans = Confirmation(plan_of(tmp_path), splits, [], 3, 3)
    held_out = plans.held_out()
    assert plans.scored_on == "test"
    assert len(held_out.train) == len(splits.train) + len(splits.val)
    assert np.array_equal(held_out.val.x, splits.test.x)
    assert len(held_out.test) == 0
    none = Split(splits.test.x[:0], splits.test.y[:0])
    unlabelled = Splits(name="a", origin="made", train=splits.train, val=splits.val, test=none)
    plans = Confirmation(plan_of(tmp_path), unlabelled, [], 3, 3)
    assert plans.scored_on == "validation"
    assert plans.held_out() is unlabelled


def test_finalists_are_chosen_by_their_final_validation_score_among_completed_trials(tmp_path):
    study = toy.open_study(tmp_path / "journal.log")
    published = study.add_reference("published", toy.toy_candidate({"filters": 20, "optimizer": "adam"}))
    toy.train(study, published.number, 9)
    toy.run(study, 12)
    chosen = Confirmation(plan_of(tmp_path), load_made(), finalists_of(study), 2, 1).finalists
    complete = [trial for trial in study.trials if trial.status == "COMPLETE" and not trial.reference]
    complete.sort(key=lambda trial: -trial.reports[-1].val_score)
    assert [finalist.trial.number for finalist in chosen] == [*(t.number for t in complete[:2]), published.number]
    assert [finalist.place for finalist in chosen] == [1, 2, None]
    assert [finalist.name for finalist in chosen][2] == "published"
    assert {finalist.length for finalist in chosen} == {9}


def test_the_same_seed_number_is_the_same_seed_for_all(tmp_path):
    study = toy.open_study(tmp_path / "journal.log")
    toy.run(study, 12)
    given = Confirmation(plan_of(tmp_path), load_made(), finalists_of(study), 2, 3).given(
        toy.open_study(tmp_path / "b.log")
    )
    seeds = [one.seed for one in given.values()]
    assert len(given) == 6
    assert seeds[0::2] == seeds[1::2]
    assert len(set(seeds)) == 3


def test_what_is_under_way_is_scored_once_also_if_it_is_no_longer_asked_for(tmp_path):
    study = toy.open_study(tmp_path / "journal.log")
    toy.run(study, 12)
    plans = Confirmation(plan_of(tmp_path), load_made(), finalists_of(study), 2, 2)
    second = plans.finalists[1]
    confirmation = toy.open_study(tmp_path / "b.log")
    for name, one in plans.given(confirmation).items():
        confirmation.add_reference(name, one.candidate, one.seed)
    assert {trial.reference: trial.seed for trial in confirmation.running()} == {
        name: one.seed for name, one in plans.given(confirmation).items()
    }
    fewer = replace(plans, top_k=1, seeds=1).given(confirmation)
    assert fewer == plans.given(confirmation)
    assert fewer[f"{second.name}, seed 1"].length == second.length == 9
    for trial in confirmation.running():
        confirmation.report(trial.number, toy.report(1, 0.5, finished=True))
    assert list(replace(plans, top_k=1, seeds=1).given(confirmation)) == [f"{plans.finalists[0].name}, seed 0"]


def test_a_model_path_is_in_the_table_only_where_the_file_is(tmp_path):
    study = toy.open_study(tmp_path / "journal.log")
    toy.run(study, 12)
    plans = Confirmation(plan_of(tmp_path), load_made(), finalists_of(study), 1, 2)
    confirmation = toy.open_study(tmp_path / "b.log")
    for name, one in plans.given(confirmation).items():
        number = confirmation.add_reference(name, one.candidate, one.seed).number
        confirmation.report(number, toy.report(1, 0.9, finished=True))
    assert [row["model_path"] for row in plans.rows(confirmation)] == [None, None]
    path = plans.plan.folder.path / f"models/trial-{plans.finalists[0].trial.number}-seed-1.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a model")
    assert [row["model_path"] for row in plans.rows(confirmation)] == [None, f"models/{path.name}"]


def test_a_tasks_further_metrics_are_in_the_table_and_do_not_stop_the_summary(tmp_path):
    study = toy.open_study(tmp_path / "journal.log")
    toy.run(study, 12)
    plans = Confirmation(plan_of(tmp_path), load_made(), finalists_of(study), 2, 2)
    confirmation = toy.open_study(tmp_path / "b.log")
    for name, one in plans.given(confirmation).items():
        number = confirmation.add_reference(name, one.candidate, one.seed).number
        confirmation.report(number, toy.report(1, 0.9 + number / 100, finished=True, metrics={"psnr": 20.0 + number}))
    plans.plan.folder.path.mkdir()
    plans.write_tables(confirmation, False)
    table = results.load("tiny10k", tmp_path, table="finalists")
    assert table["metric_psnr"].tolist() == [20.0, 22.0, 21.0, 23.0]
    text = io.StringIO()
    print_confirmed(Terminal(text, width=120), plans, confirmation)
    assert plans.finalists[1].name in text.getvalue()
    assert "0.9100" in text.getvalue()  # the first one's mean of 0.90 and 0.92
