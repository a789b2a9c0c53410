"""The figures show the tables' own numbers, name their axes, and bear tables with nothing in them."""

import json

import numpy as np
import pandas as pd
import pytest

import results
from results import plots, tables
from results.schema import Status


@pytest.fixture
def board(runs) -> pd.DataFrame:
    return results.load("tiny10k", runs)


@pytest.fixture
def curves(runs) -> pd.DataFrame:
    return results.load("tiny10k", runs, table="curves")


def traces(figure) -> dict:
    json.loads(figure.to_json())  # what a browser gets is valid
    return {trace.name: trace for trace in figure.data}


def texts(figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def test_score_by_params_shows_each_scored_trial_once(board):
    found = traces(plots.score_by_params(board, score_name="accuracy"))
    points = {name: list(zip(trace.x, trace.y, strict=True)) for name, trace in found.items()}
    assert points["COMPLETE"] == [(3000, 0.985), (5000, 0.98), (1000, 0.97)]
    assert points["PRUNED"] == [(2000, 0.999)]
    assert points["RUNNING"] == [(6000, 0.5)]
    assert points["reference (published network)"] == [(9682, 0.986)]
    assert found["reference (published network)"].text == ("bertoldi",)
    assert set(points) == {*plots.COLOURS} & {*points} | {"reference (published network)", "Pareto front (completed)"}


def test_the_front_is_a_staircase_of_completed_trials(board):
    front = traces(plots.score_by_params(board))["Pareto front (completed)"]
    assert list(zip(front.x, front.y, strict=True)) == [(1000, 0.97), (3000, 0.985), (9682, 0.986)]
    assert front.line.shape == "hv"


def test_axes_have_titles_and_hover_names_the_trial(board):
    figure = plots.score_by_params(board, score_name="accuracy")
    assert figure.layout.xaxis.title.text == "parameters (number of weights)"
    assert figure.layout.yaxis.title.text == "accuracy"
    assert traces(figure)["PRUNED"].customdata[0] == "trial 1, rank 5, PRUNED, 1 epochs"


def test_sizes_of_many_magnitudes_get_a_logarithmic_axis(board):
    assert plots.score_by_params(board).layout.xaxis.type is None
    wide = board.assign(num_params=board["num_params"] ** 2)
    assert plots.score_by_params(wide).layout.xaxis.type == "log"


def test_learning_curves_draw_a_line_a_trial_with_gaps_between(board, curves):
    found = traces(plots.learning_curves(curves, board))
    assert set(found) == {"COMPLETE (2)", "PRUNED (1)", "RUNNING (1)"}
    complete = found["COMPLETE (2)"]
    assert complete.x == (0.5, 1.0, 1.5, None, 0.5, 1.0, 1.5)
    assert [hover and hover.split(",")[0] for hover in complete.customdata] == [
        *["trial 0"] * 3,
        None,
        *["trial 2"] * 3,
    ]
    assert complete.connectgaps is False
    assert complete.line.color == plots.COLOURS[Status.COMPLETE]


def test_trials_of_two_runs_with_one_number_are_two_lines(board, curves):
    second = {"run": "tiny10k-2"}
    figure = plots.learning_curves(
        pd.concat([curves, curves.assign(**second)]), pd.concat([board, board.assign(**second)])
    )
    assert {"COMPLETE (4)", "PRUNED (2)"} <= set(traces(figure))


def test_choices_takes_names_and_switches_of_completed_and_pruned_trials(board):
    figure = plots.choices(board)
    assert texts(figure) == ["optimizer", "pooling", "batch_norm"]
    boxes = [(trace.name, sorted(trace.y)) for trace in figure.data]
    assert boxes[:2] == [("adam<br>n = 3", [0.97, 0.98, 0.985]), ("sgd<br>n = 1", [0.999])]
    assert boxes[4:] == [("False<br>n = 3", [0.98, 0.985, 0.999]), ("True<br>n = 1", [0.97])]
    title = figure.layout.title.text
    assert "not causal" in title
    assert "differ in other respects" in title


def test_choices_of_parameters_asked_for(board):
    assert texts(plots.choices(board, ["filters", "param_optimizer"])) == ["filters", "optimizer"]
    with pytest.raises(ValueError, match=r"'depth'.*optimizer, pooling, filters, batch_norm"):
        plots.choices(board, ["depth"])


def test_colours_cover_every_status_but_what_never_trains():
    assert set(plots.COLOURS) == set(Status) - {Status.UNAVAILABLE}
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS)


@pytest.mark.parametrize("status", [None, "RUNNING", "FAILED_NAN", "PRUNED"])
def test_nothing_completed_yet(board, curves, status):
    board = board.iloc[:0] if status is None else board.assign(status=status, pareto=False, rank=pd.NA)
    board = board if status == "PRUNED" else board.assign(score=pd.array([pd.NA] * len(board), dtype="Float64"))
    for figure in (
        plots.score_by_params(board),
        plots.learning_curves(curves.iloc[:0], board),
        plots.learning_curves(curves, board),
        plots.choices(board),
    ):
        assert "Pareto front (completed)" not in traces(figure)
        assert figure.data or any(text.startswith("No ") for text in texts(figure))
        assert figure.layout.template.layout.plot_bgcolor == "white"


def test_a_value_that_is_not_finite_is_a_gap(board, curves):
    curves = curves.assign(val_score=curves["val_score"].where(curves["step"] != 2, np.nan))
    for trace in plots.learning_curves(curves, board).data:
        assert all(y is None or np.isfinite(y) for y in trace.y)


def test_the_axis_begins_at_the_median_and_says_how_many_lie_outside():
    scores = [0.1, 0.1, 0.2, 0.9, 0.95, 0.97, 0.98, 0.99]
    rows = [
        {
            "run": "r",
            "task": "t",
            "trial": i,
            "status": "COMPLETE",
            "score": score,
            "best_score": score,
            "num_params": 100 + i,
        }
        for i, score in enumerate(scores)
    ]
    for direction, sign in (("maximize", 1), ("minimize", -1)):
        signed = [row | {"score": sign * row["score"]} for row in rows]
        frame = tables.frame(tables.leaderboard(signed, direction=direction, param_types={}))
        figure = plots.score_by_params(frame)
        low, high = sorted(sign * end for end in figure.layout.yaxis.range)
        assert 0.9 < low < 0.925 < 0.99 < high
        assert "4 of 8 trials lie outside" in figure.layout.title.text
