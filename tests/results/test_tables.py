"""The rules of ranks and of the Pareto front, and tables that no reader sees half written."""

import math
import os
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import results
from results import tables
from results.schema import CURVES, LEADERBOARD, Status

ROOT = Path(__file__).parents[2]
DIRECTIONS = ("maximize", "minimize")
RANKED_LATER = {Status.RUNNING, Status.STOPPED, Status.PRUNED}

# Few values, so that equal scores and sizes come up often.
scores = st.sampled_from([None, 0.0, 0.25, 0.5, 1.0, -2.0, math.nan, math.inf, -math.inf])
losses = st.sampled_from([None, 0.5, 1.0, math.nan])
rows = st.fixed_dictionaries(
    {
        "status": st.sampled_from(list(Status)),
        "score": scores,
        "val_loss": losses,
        "num_params": st.none() | st.integers(1, 4),
    }
)


@st.composite
def boards(draw):
    trials = [row | {"trial": i} for i, row in enumerate(draw(st.lists(rows, max_size=12)))]
    direction = draw(st.sampled_from(DIRECTIONS))
    table = tables.leaderboard(draw(st.permutations(trials)), direction=direction, param_types={})
    assert table.schema.equals(LEADERBOARD, check_metadata=True)
    return direction, table.to_pylist()


@given(boards())
def test_ranks_are_1_to_k_in_the_order_of_the_table(drawn):
    _, board = drawn
    ranks = [row["rank"] for row in board]
    num_ranked = sum(rank is not None for rank in ranks)
    assert ranks == [*range(1, num_ranked + 1), *[None] * (len(board) - num_ranked)]


@given(boards())
def test_a_trial_is_ranked_if_and_only_if_it_has_a_finite_score_and_did_not_fail(drawn):
    _, board = drawn
    for row in board:
        assert row["score"] is None or math.isfinite(row["score"])
        may = row["status"] == Status.COMPLETE or row["status"] in RANKED_LATER
        assert (row["rank"] is not None) == (may and row["score"] is not None)


@given(boards())
def test_completed_come_first_then_the_better_score_then_the_lower_loss_then_the_earlier_trial(drawn):
    direction, board = drawn
    sign = -1 if direction == "maximize" else 1
    ranked = [row for row in board if row["rank"] is not None]
    losses = [math.inf if row["val_loss"] is None else row["val_loss"] for row in ranked]
    keys = [
        (row["status"] != Status.COMPLETE, sign * row["score"], loss, row["trial"])
        for row, loss in zip(ranked, losses, strict=True)
    ]
    assert keys == sorted(keys)


@given(boards())
def test_the_pareto_front_is_what_its_definition_says(drawn):
    direction, board = drawn
    sign = 1 if direction == "maximize" else -1
    runners = [r for r in board if r["status"] == Status.COMPLETE and None not in (r["score"], r["num_params"])]

    def beats(other, row):
        better, smaller = sign * other["score"] - sign * row["score"], row["num_params"] - other["num_params"]
        return better >= 0 and smaller >= 0 and (better > 0 or smaller > 0)

    for row in board:
        assert row["pareto"] == (row in runners and not any(beats(other, row) for other in runners))


def test_missing_values_are_null_and_types_are_the_schemas(trials):
    types = {"optimizer": pa.string(), "pooling": pa.string(), "filters": pa.int64(), "batch_norm": pa.bool_()}
    board = tables.leaderboard(trials, direction="maximize", param_types=types)
    reference = next(row for row in board.to_pylist() if row["reference"] == "bertoldi")
    assert reference["param_filters"] is None
    assert reference["node"] is None
    frame = tables.frame(board)
    assert frame["param_filters"].dtype == "Int64"
    assert frame["param_batch_norm"].dtype == "boolean"
    assert str(frame["started_at"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"status": "COMPLETE", "scroe": 1.0}, "scroe"),
        ({"status": "COMPLETE", "params": {"depth": 1}}, "param_depth"),
        ({"status": "DONE"}, "DONE"),
        ({"trial": 1}, "status"),
    ],
)
def test_a_row_with_an_unknown_column_parameter_or_status_is_refused(row, named):
    with pytest.raises(ValueError, match=named):
        tables.leaderboard([row], direction="maximize", param_types={})


def test_an_unknown_direction_or_curve_column_is_refused():
    with pytest.raises(ValueError, match=r"'max'.*'maximize'"):
        tables.leaderboard([], direction="max", param_types={})  # pyright: ignore
    with pytest.raises(ValueError, match="rmse"):
        tables.curves([{"trial": 0, "rmse": 1.0}])
    assert tables.curves([{"trial": 0, "rmse": 1.0}], metric_names=["rmse"])["rmse"].to_pylist() == [1.0]


def test_curves_keep_what_was_reported():
    table = tables.curves([{"run": "a", "trial": 0, "step": 1, "train_loss": math.nan}])
    assert math.isnan(table["train_loss"][0].as_py())
    assert table["val_loss"].to_pylist() == [None]
    assert table.schema.equals(CURVES, check_metadata=True)


def test_a_reader_never_sees_half_a_table(tmp_path):
    path = tmp_path / "curves.parquet"
    versions = [tables.curves([{"step": i}] * (1 + 400 * (i % 2))) for i in range(2)]
    tables.write(versions[0], path)
    seen, errors, done = [], [], threading.Event()

    def keep_reading():
        while not done.is_set():
            try:
                seen.append(tables.read(path, "curves").num_rows)
            except Exception as error:
                errors.append(error)

    reader = threading.Thread(target=keep_reading)
    reader.start()
    for i in range(50):
        tables.write(versions[i % 2], path)
    done.set()
    reader.join()
    assert not errors
    assert set(seen) <= {1, 401}
    assert len(seen) > 1
    assert [p.name for p in tmp_path.iterdir()] == ["curves.parquet"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_table_and_nothing_beside_it(tmp_path, monkeypatch, step):
    path = tmp_path / "curves.parquet"
    tables.write(tables.curves([{"step": 1}]), path)

    def fail(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fail)
        with pytest.raises(OSError, match="no space"):
            tables.write(tables.curves([{"step": 2}]), path)
    assert tables.read(path, "curves")["step"].to_pylist() == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["curves.parquet"]


def test_a_process_that_ends_right_after_reading_ends_well(runs):
    """With pq.read_table every other process aborts (apache/arrow#34314)."""
    program = "import sys; from results import tables; tables.read(sys.argv[1], 'leaderboard')"
    command = [sys.executable, "-c", program, str(runs / "tiny10k-1" / "leaderboard.parquet")]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


def test_load_takes_a_folder_of_runs_or_one_run(runs):
    board = results.load("tiny10k", runs)
    assert list(board["rank"].dropna()) == [1, 2, 3, 4, 5, 6]
    assert board["trial"].iloc[0] == 6
    pd.testing.assert_frame_equal(board, results.load(root=runs / "tiny10k-1"))
    assert len(results.load("tiny10k", str(runs), table="curves")) == 12


def test_load_joins_runs_over_the_union_of_their_parameters(runs, trial_row):
    other = trial_row(0, run="tiny10k-2", params={"momentum": 0.9, "filters": 2.5})
    types = {"momentum": pa.float64(), "filters": pa.float64()}
    board = tables.leaderboard([other], direction="maximize", param_types=types)
    tables.write(board, runs / "tiny10k-2" / "leaderboard.parquet")
    frame = results.load(root=runs)
    assert set(frame["run"]) == {"tiny10k-1", "tiny10k-2"}
    assert frame.columns[-1] == "candidate_json"
    assert frame["param_momentum"].isna().sum() == 8
    assert frame["param_batch_norm"].isna().sum() == 3  # two references, and the other run's trial
    assert frame["trial"].dtype == "Int64"


def test_load_says_when_types_do_not_go_together(runs, trial_row):
    other = trial_row(0, run="other-1", task="other", params={"filters": "many"})
    board = tables.leaderboard([other], direction="maximize", param_types={"filters": pa.string()})
    tables.write(board, runs / "tiny10k-2" / "leaderboard.parquet")
    with pytest.raises(ValueError, match=r"param_filters.*task="):
        results.load(root=runs)
    assert len(results.load("tiny10k", runs)) == 8
    assert len(results.load("other", runs)) == 1


def test_load_of_nothing_is_an_empty_table_or_a_sentence(runs):
    empty = results.load("digits", runs)
    assert empty.empty
    assert list(empty.columns) == LEADERBOARD.names
    assert empty["rank"].dtype == "Int64"
    with pytest.raises(ValueError, match=r"nowhere.*search\.run task=digits"):
        results.load("digits", runs / "nowhere")
    with pytest.raises(ValueError, match=r"'finals'.*leaderboard, curves"):
        results.load(root=runs, table="finals")


def test_times_come_back_as_they_were(runs):
    first = results.load("tiny10k", runs).sort_values("trial")["started_at"].iloc[0]
    assert first == datetime.fromisoformat("2025-01-01T00:00:00+00:00")
