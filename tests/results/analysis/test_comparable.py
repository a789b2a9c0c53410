"""Scores are compared only under the same conditions, and a run that is left out is named with the reason."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

import results
from results import analysis, plots, tables
from results.conditions import CONDITIONS, HEADER, Conditions, goal_text, read_identity
from results.report.ablation import ablation_page
from results.report.pages import run_page
from results.report.run_record import read_run
from results.schema import ABLATION, SCHEMAS, VERSION_KEY
from search import report
from tests.results.synthetic import make_run

NOISY = Conditions(
    task="denoiser",
    goal="denoise sigma=0.3",
    dataset="mnist",
    dataset_fingerprint="f0",
    max_epochs=5,
    train_examples=600,
    val_examples=200,
)
OTHERS = {
    "task": ("digits", "task digits, here denoiser"),
    "goal": ("denoise sigma=0.5", "sigma 0.5, here 0.3"),
    "dataset_fingerprint": ("f1", "other examples of mnist, fingerprint f1, here f0"),
    "max_epochs": (18, "max_epochs 18, here 5"),
    "train_examples": (12_000, "12,000 training examples, here 600"),
    "val_examples": (2_000, "2,000 validation examples, here 200"),
}


def with_(name: str, value) -> Conditions:
    return Conditions(**{**vars(NOISY), name: value})


class TestConditions:
    def test_each_one_decides(self):
        assert set(OTHERS) == set(CONDITIONS)
        assert NOISY.differences(with_("dataset", "mnist under another name")) == []

    @pytest.mark.parametrize("name", CONDITIONS)
    def test_the_words_say_what_differs(self, name):
        value, expected = OTHERS[name]
        assert with_(name, value).differences(NOISY) == [expected]

    @pytest.mark.parametrize("name", ["task", "goal", "dataset_fingerprint", "max_epochs"])
    def test_what_is_unknown_is_equal_to_nothing(self, name):
        unknown = with_(name, None)
        assert len(unknown.differences(NOISY)) == len(NOISY.differences(unknown)) == 1
        assert len(unknown.differences(unknown)) == 1

    def test_a_fingerprint_tells_enough_of_numbers_of_images(self):
        assert with_("train_examples", None).differences(NOISY) == []
        assert with_("val_examples", None).differences(with_("val_examples", None)) == []

    def test_two_datasets_are_named(self):
        other = Conditions(**{**vars(NOISY), "dataset": "digits", "dataset_fingerprint": "f1"})
        assert other.differences(NOISY) == ["dataset digits f1, here mnist f0"]

    def test_goals_of_two_kinds_are_named_whole(self):
        expected = with_("goal", "classify").differences(NOISY)
        assert expected == ["goal classify, here denoise sigma=0.3"]


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        ({"goal": "Classify"}, "classify"),
        ({"goal": "Denoise", "sigma": 0.3}, "denoise sigma=0.3"),
        ({"goal": "Denoise", "sigma": 1}, "denoise sigma=1"),
        ({"goal": "Denoise", "sigma": 1.0}, "denoise sigma=1"),
        ({"goal": "FillHoles", "mask": "wide", "sides": [4, 8]}, "fill-holes mask=wide sides=[4,8]"),
        ({"goal": "FillHoles", "mask": "a b", "soft": True}, 'fill-holes mask="a\\u0020b" soft=true'),
        ({"goal": "FillHoles", "mask": "true"}, 'fill-holes mask="true"'),
        ({"goal": "FillHoles", "mask": "0.5"}, 'fill-holes mask="0.5"'),
        (None, None),
        ({"sigma": 0.3}, None),
        ("Denoise", None),
    ],
)
def test_a_goal_as_text(goal, text):
    assert goal_text(goal) == text


@pytest.mark.parametrize(
    "journal", [b"", b"\xff\xfe\n", b"[]\nnull\n1\n", b'{"user_attr": {"frugal": 7}}\n', b"[" * 9999]
)
def test_a_journal_that_does_not_say_how_its_run_was_begun(journal):
    assert read_identity(journal) == {}


def test_a_foreign_journal_fills_in_nothing_that_a_table_cannot_hold():
    identity = {"goal": {"goal": "\ud800"}, "max_epochs": 10**30, "train_examples": 5}
    journal = json.dumps({"user_attr": {HEADER: {"identity": identity}}}).encode()
    table = tables.fill_conditions(tables.from_rows([{"run": "x"}], ABLATION), journal)
    assert [table[name][0].as_py() for name in ("goal", "max_epochs", "train_examples")] == [None, None, 5]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Writes `a`, a run that compares with it, and for each condition a run that does not."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "a", num_trials=3)
    make_run(folder / "like a", num_trials=4)
    make_run(folder / "other epochs", num_trials=3, max_epochs=4)
    make_run(folder / "other goal", num_trials=3, goal="denoise sigma=0.5")
    make_run(folder / "other images", num_trials=3, dataset_fingerprint="f1")
    make_run(folder / "fewer images", num_trials=3, dataset_fingerprint="f2", train_examples=600)
    make_run(folder / "other task", num_trials=3, task="digits")
    return folder


@pytest.mark.parametrize("table", ["leaderboard", "curves", "finalists", "predictions"])
class TestTables:
    def test_load_names_what_does_not_compare_and_why(self, runs, table):
        with pytest.warns(UserWarning, match="not all scores of task tiny10k compare") as warned:
            found = results.load(root=runs, table=table)
        assert len(warned) == 1  # no warning about the other task, which has one run
        message = str(warned[0].message)
        assert (
            "not comparable with run other images: run a (other examples of mnist, fingerprint 16eaeee6fdb13679, "
            "here f1)" in message
        )
        assert found["run"].nunique() == 7  # all are included
        assert warned[0].filename == __file__

    def test_comparable_keeps_what_compares_with_a_run(self, runs, table):
        with pytest.warns(UserWarning, match="not all scores"):
            found = results.load(root=runs, table=table)
        with pytest.warns(UserWarning, match="not comparable with run a: ") as warned:
            alike = results.comparable(found, "a")
        assert set(alike["run"]) == {"a", "like a"}
        message = str(warned[0].message)
        assert "run other goal (goal denoise sigma=0.5, here classify)" in message
        assert "run other epochs (max_epochs 4, here 9)" in message
        assert "run fewer images (600 training examples, here 51,000)" in message
        assert warned[0].filename == __file__

    def test_runs_that_compare_are_returned_without_a_word(self, runs, table):
        found = pd.concat([results.load(root=runs / name, table=table) for name in ("a", "like a")])
        pd.testing.assert_frame_equal(results.comparable(found, "a"), found)

    def test_a_table_of_before_is_completed_from_its_journal(self, tmp_path, table):
        folder = make_run(tmp_path / "old", num_trials=3, goal="denoise sigma=0.3")
        path = folder / f"{table}.parquet"
        new = (
            [*CONDITIONS[1:], "dataset"]
            if table == "curves"
            else ["goal", "max_epochs", "train_examples", "val_examples"]
        )
        older = pq.read_table(path).drop_columns(new).replace_schema_metadata(SCHEMAS[table].metadata)
        pq.write_table(older, path)
        found = results.load(root=tmp_path, table=table)
        assert set(found["goal"]) == {"denoise sigma=0.3"}
        assert set(found["max_epochs"]) == {9}
        assert set(found["train_examples"]) == {51_000}
        assert set(tables.read_run(folder, table)["goal"].to_pylist()) == {"denoise sigma=0.3"}
        (folder / "journal.log").unlink()
        assert results.load(root=tmp_path, table=table)["goal"].isna().all()


def older(folder):
    """Returns the leaderboard without the columns that identify its conditions, and without a journal."""
    table = pq.read_table(folder / "leaderboard.parquet").drop_columns(["goal", "max_epochs"])
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"leaderboard/2"}), folder / "leaderboard.parquet")
    (folder / "journal.log").unlink()


def test_runs_of_which_too_little_is_known_compare_with_none(tmp_path):
    for num_trials, name in enumerate(("a", "b"), 3):
        older(make_run(tmp_path / name, num_trials=num_trials))
    with pytest.warns(UserWarning, match=r"not comparable with run .: run a \(goal unknown; max_epochs unknown\)"):
        found = results.load(root=tmp_path)
    with pytest.warns(UserWarning, match=r"not comparable with run .: run b \(goal unknown; max_epochs unknown\)"):
        assert set(results.comparable(found, "a")["run"]) == {"a"}
    assert len(plots.compare(found[found["run"] == "a"]).data) > 0  # alone it is drawn


def test_comparable_says_which_runs_there_are_and_when_a_name_is_two_runs(runs):
    found = results.load(root=runs / "a")
    with pytest.raises(ValueError, match="run 'b' has no rows here; the runs are a"):
        results.comparable(found, "b")
    both = pd.concat([found, found.assign(goal="denoise sigma=0.5")])
    with pytest.raises(ValueError, match=r"two different runs here are called 'a' \(goal denoise sigma=0.5"):
        results.comparable(both, "a")


@pytest.fixture(scope="module")
def mixed(runs):
    """Returns the tables of two runs that do not compare, by name."""
    pairs = {}
    for table in ("leaderboard", "curves", "finalists"):
        pairs[table] = pd.concat([results.load(root=runs / name, table=table) for name in ("a", "other goal")])
    return pairs


DRAWN = {
    "score_by_params": lambda m: plots.score_by_params(m["leaderboard"]),
    "score_by_macs": lambda m: plots.score_by_macs(m["leaderboard"]),
    "learning_curves": lambda m: plots.learning_curves(m["curves"], m["leaderboard"]),
    "compare": lambda m: plots.compare(m["leaderboard"]),
    "choices": lambda m: plots.choices(m["leaderboard"]),
    "finalists": lambda m: plots.finalists(m["finalists"]),
    "at_equal_epochs": lambda m: analysis.at_equal_epochs(m["leaderboard"], m["curves"], 1),
    "effects": lambda m: analysis.effects(m["leaderboard"]),
}


@pytest.mark.parametrize("draw", DRAWN)
def test_no_figure_and_no_mean_mixes_scores_that_do_not_compare(mixed, draw):
    expected = r"not comparable with run a: run other goal \(goal denoise sigma=0.5, here classify\)"
    with pytest.raises(ValueError, match=expected):
        DRAWN[draw](mixed)


def test_finalists_of_two_runs_that_compare_keep_their_runs_apart(runs):
    found = pd.concat([results.load(root=runs / name, table="finalists") for name in ("a", "like a")])
    names = {name for trace in plots.finalists(found).data for name in trace.y}
    assert {"bertoldi of a", "bertoldi of like a"} <= names


def test_the_direction_is_told_by_each_run_for_itself():
    board = pd.DataFrame(
        {
            "run": ["a", "b", "a"],
            "status": "COMPLETE",
            "rank": [1, 1, 2],
            "score": [0.5, 0.1, 0.4],
        }
    )
    assert analysis.find_direction(board.iloc[[1, 0, 2]]) == "maximize"


class TestReports:
    def test_one_names_the_goal_with_its_settings_in_its_head(self, runs):
        page = run_page(read_run(runs / "other goal"))
        head = page.partition("<header>")[2].partition("</header>")[0]
        assert "run other goal of task tiny10k, goal denoise sigma=0.5" in head

    def test_an_ablations_does_too(self, tmp_path):
        row = {"run": "x", "task": "denoiser", "base": "b", "parameter": "dropout", "is_base": True, "seed": 0}
        row |= {"score": 0.1, "num_params": 5, "epochs": 1.0, "goal": "denoise sigma=0.3"}
        tables.write(tables.from_rows([row], ABLATION), tmp_path / "ablation.parquet")
        assert "of task denoiser, goal denoise sigma=0.3" in ablation_page(tmp_path).partition("</header>")[0]

    def test_several_are_compared_in_groups_with_the_reason(self, runs, capsys):
        names = ["a", "like a", "other goal", "other epochs", "fewer images"]
        assert report.main([f"run=[{','.join(names)}]", f"runs_dir={runs}", f"output={runs / 'all.html'}"]) == 0
        page = (runs / "all.html").read_text(encoding="utf-8")
        assert "they are in 4 groups" in page
        assert "run other goal (goal denoise sigma=0.5, here classify)" in page
        assert "run other epochs (max_epochs 4, here 9)" in page
        assert "run fewer images (600 training examples, here 51,000)" in page
