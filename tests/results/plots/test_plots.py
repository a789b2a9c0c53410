"""The figures show the tables' own numbers, name their axes, and bear tables with nothing in them."""

import json

import numpy as np
import pandas as pd
import pytest

import results
from results import analysis, plots, tables
from results.plots import style
from results.schema import Status


@pytest.fixture
def board(runs) -> pd.DataFrame:
    return results.load("tiny10k", runs)


@pytest.fixture
def curves(runs) -> pd.DataFrame:
    return results.load("tiny10k", runs, table="curves")


def traces(figure) -> dict:
    json.loads(figure.to_json(), parse_constant=pytest.fail)  # what a browser gets is valid
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
    assert set(points) == {*style.COLOURS} & {*points} | {"reference (published network)", "Pareto front (completed)"}


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


def test_score_by_macs_has_a_front_of_its_own(board):
    macs = {0: 30, 2: 20, 4: 10, 6: 40}
    figure = plots.score_by_macs(board.assign(num_macs=board["trial"].map(macs).astype("Int64")))
    front = traces(figure)["Pareto front (completed)"]
    assert list(zip(front.x, front.y, strict=True)) == [(10, 0.98), (20, 0.985), (40, 0.986)]
    assert figure.layout.xaxis.title.text == "MACs (for one example)"


def test_learning_curves_draw_a_line_a_trial_with_gaps_between(board, curves):
    found = traces(plots.learning_curves(curves, board))
    assert set(found) == {"COMPLETE (2)", "PRUNED (1)", "RUNNING (1)"}
    complete = found["COMPLETE (2)"]
    np.testing.assert_equal(complete.x, [0.5, 1.0, 1.5, np.nan, 0.5, 1.0, 1.5])
    np.testing.assert_allclose(complete.y, [0.1, 0.2, 0.3, np.nan, 0.1, 0.2, 0.3], rtol=1e-6)
    assert complete.customdata == (*[0] * 4, *[2] * 3)
    assert complete.connectgaps is False
    assert complete.line.color == style.COLOURS[Status.COMPLETE]


def test_trials_of_two_runs_with_one_number_are_two_lines(board, curves):
    second = {"run": "tiny10k-2"}
    figure = plots.learning_curves(
        pd.concat([curves, curves.assign(**second)]), pd.concat([board, board.assign(**second)])
    )
    assert {"COMPLETE (4)", "PRUNED (2)"} <= set(traces(figure))
    assert traces(figure)["PRUNED (2)"].customdata[-1] == "1 of tiny10k-2"


def test_choices_takes_names_and_switches_of_completed_and_pruned_trials(board):
    figure = plots.choices(board)
    assert texts(figure) == ["optimizer", "pooling", "batch_norm"]
    boxes = [(trace.name, sorted(trace.y)) for trace in figure.data]
    assert boxes[:2] == [("adam<br>n = 3", [0.97, 0.98, 0.985]), ("sgd<br>n = 1", [0.999])]
    assert boxes[4:] == [("False<br>n = 3", [0.98, 0.985, 0.999]), ("True<br>n = 1", [0.97])]
    title = figure.layout.title.text
    assert "not causal" in title
    assert "differ in other choices" in title


def test_choices_of_parameters_asked_for(board):
    assert texts(plots.choices(board, ["filters", "param_optimizer"])) == ["filters", "optimizer"]
    with pytest.raises(ValueError, match=r"'depth'.*optimizer, pooling, filters, batch_norm"):
        plots.choices(board, ["depth"])


def test_colours_cover_every_status_but_what_never_trains():
    assert set(style.COLOURS) == set(Status) - {Status.UNAVAILABLE}
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


@pytest.mark.parametrize("status", [None, "RUNNING", "FAILED_NAN", "PRUNED"])
def test_nothing_completed_yet(board, curves, status):
    board = board.iloc[:0] if status is None else board.assign(status=status, pareto=False, rank=pd.NA)
    board = board if status == "PRUNED" else board.assign(score=pd.array([pd.NA] * len(board), dtype="Float64"))
    for figure in (
        plots.score_by_params(board),
        plots.learning_curves(curves.iloc[:0], board),
        plots.learning_curves(curves, board),
        plots.choices(board),
        plots.score_by_macs(board),
        plots.compare(board),
    ):
        assert "Pareto front (completed)" not in traces(figure)
        assert figure.data or any(text.startswith("No ") for text in texts(figure))
        assert figure.layout.template.layout.plot_bgcolor == style.PAPER


def test_a_value_that_is_not_finite_is_a_gap(board, curves):
    curves = curves.assign(val_score=curves["val_score"].where(curves["step"] != 2, np.nan))
    for trace in plots.learning_curves(curves, board).data:
        ends = np.isnan(trace.x)  # of lines
        assert np.isfinite(trace.y[~ends]).all()
        assert set(trace.x[~ends]) == {0.5, 1.5}


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
        assert "4 of 8 trials are outside" in figure.layout.title.text


def test_rungs_are_bars_of_who_went_on_and_who_was_stopped():
    counts = pd.DataFrame({"epochs": [1.0, 3.0, 9.0], "reached": [24, 11, 4], "stopped": [13, 7, 0]})
    found = traces(plots.rungs(counts))
    assert found["continued"].x == (11, 4, 4)
    assert found["stopped there"].x == (13, 7, 0)
    assert found["continued"].y == ("1 epoch", "3 epochs", "9 epochs, complete")


def test_effects_show_means_with_intervals_and_name_their_groups(board):
    table = analysis.effects(board.iloc[:0])
    assert texts(plots.effects(table)) == ["No choice took more than one value."]
    rows = [("optimizer", "adam", 4, 0.98, 0.97, 0.99), ("optimizer", "sgd", 1, 0.9, np.nan, np.nan)]
    figure = plots.effects(pd.DataFrame(rows, columns=table.columns), score_name="accuracy")
    (trace,) = figure.data
    assert figure.layout.yaxis.ticktext == ("<b>optimizer</b>", "adam  (n 4)", "sgd  (n 1)")
    assert trace.x == (0.98, 0.9)
    assert trace.error_x.array[1] is None
    assert trace.error_x.array[0] == pytest.approx(0.01)
    assert trace.marker.symbol == ("circle", "circle-open")
    low, high = figure.layout.xaxis.range
    assert low < 0.97 < 0.99 < high


def test_importance_is_a_bar_a_parameter():
    table = pd.DataFrame({"parameter": ["pooling", "dropout"], "importance": [0.75, 0.25]})
    assert plots.importance(table).data[0].y == ("pooling", "dropout")
    assert texts(plots.importance(table.iloc[:0])) == ["No parameter took more than one value."]


def test_finalists_show_each_seed_and_the_mean_with_its_interval():
    rows = [
        {"run": "r", "trial": trial, "reference": reference, "place": place, "seed": seed, "test_score": score}
        for trial, reference, place in ((7, None, 2), (0, "bertoldi", None), (3, None, 1))
        for seed, score in ((0, 0.98), (1, 0.99))
    ]
    figure = plots.finalists(tables.frame(tables.finalists(rows)))
    assert [trace.y[0] for trace in figure.data[::2]] == ["trial 3", "trial 7", "bertoldi"]
    seeds, mean = figure.data[:2]
    assert seeds.x == (0.98, 0.99)
    assert mean.x == (0.985,)
    assert mean.error_x.arrayminus[0] == pytest.approx(12.7062 * 0.0070711 / 2**0.5, rel=1e-4)
    assert mean.error_x.array[0] == pytest.approx(0.015)  # no accuracy lies beyond 1


def test_confusion_colours_mistakes_and_writes_what_is_right():
    counts = pd.DataFrame([[970.0, 2.5], [0.0, 980.0]], index=["4", "9"], columns=["4", "9"])
    figure = plots.confusion(counts)
    assert list(figure.data[0].z) == [[None, 2.5], [0.0, None]]
    assert list(figure.data[0].text) == [["970", "2.5"], ["", "980"]]
    assert texts(figure) == ["970", "980"]


def test_runs_are_compared_by_a_colour_each(board):
    figure = plots.compare(pd.concat([board, board.assign(run="tiny10k-2")]))
    colours = {name: trace.marker.color for name, trace in traces(figure).items() if name}
    assert set(colours) == {"tiny10k-1", "tiny10k-2"}
    assert len(set(colours.values())) == 2


def test_slot_time_is_in_minutes():
    times = pd.DataFrame({"status": ["PRUNED"], "trials": [3], "training": [0.5], "rest": [0.1]})
    assert [trace.x for trace in plots.slot_time(times).data] == [(30.0,), (6.0,)]
    assert texts(plots.slot_time(times.iloc[:0])) == ["No trial has ended yet."]


def test_every_colour_that_a_dark_page_needs_has_another():
    for colour in (style.PAPER, style.TEXT, style.BLACK, style.GRID, style.AXIS, style.COLOURS[Status.COMPLETE]):
        assert style.DARK[colour] != colour
