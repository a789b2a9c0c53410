"""Summaries of the tables, on cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from results import analysis, tables
from results.rungs import rungs_below
from results.schema import PREDICTIONS
from tests.results.conftest import PARAM_TYPES, make_row


def board_of(rows, direction="maximize") -> pd.DataFrame:
    return tables.frame(tables.leaderboard(rows, direction=direction, param_types=PARAM_TYPES))


def curves_of(scores: dict[int, list[float]]) -> pd.DataFrame:
    run = {"run": "tiny10k-1", "task": "tiny10k"}
    rows = [
        {**run, "trial": trial, "step": i + 1, "epoch": i + 1.0, "val_score": score}
        for trial, curve in scores.items()
        for i, score in enumerate(curve)
    ]
    return tables.frame(tables.curves(rows))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_direction_is_read_off_the_ranks(direction):
    rows = [make_row(0, score=0.5), make_row(1, score=0.7), make_row(2, "PRUNED", 0.9)]
    assert analysis.find_direction(board_of(rows, direction)) == direction


def test_without_two_completed_trials_more_is_better():
    assert analysis.find_direction(board_of([make_row(0), make_row(1, "PRUNED", 0.1)], "minimize")) == "maximize"


@pytest.mark.parametrize(("direction", "front"), [("maximize", [0, 2]), ("minimize", [0, 1])])
def test_the_front_is_that_of_the_column_asked_for_and_leaves_the_frame_as_it_was(direction, front):
    rows = [
        make_row(0, score=0.5, num_macs=10),
        make_row(1, score=0.4, num_macs=20),
        make_row(2, score=0.9, num_macs=30),
        make_row(3, "PRUNED", 1.0, num_macs=5),
        make_row(4, score=0.9, num_macs=None),
    ]
    board = board_of(rows, direction)
    before = board.copy()
    assert sorted(board["trial"][analysis.is_on_front(board, "num_macs", direction)]) == front
    pd.testing.assert_frame_equal(board, before)


def test_trials_compare_at_equal_epochs_without_references_and_those_that_failed_before():
    rows = [make_row(0, score=0.9), make_row(1, "PRUNED", 0.5), make_row(2, reference="bertoldi"), make_row(3)]
    curves = curves_of({0: [0.1, 0.3, 0.9], 1: [0.2, 0.5], 2: [0.7, 0.8], 3: [0.6]})
    fair = analysis.at_equal_epochs(board_of(rows), curves, 2)
    assert dict(zip(fair["trial"], fair["score"], strict=True)) == {0: 0.3, 1: 0.5}


def test_networks_that_make_images_confuse_no_labels():
    rows = [{"seed": 0, "index": index, "image_score": 0.01} for index in range(3)]
    predictions = tables.frame(tables.from_rows(rows, PREDICTIONS))
    assert analysis.confusion(predictions).empty


def test_an_effect_on_an_accuracy_ends_at_1():
    rows = [make_row(number, params={"optimizer": "adam"}, score=0.99 + 0.009 * (number % 2)) for number in range(4)]
    rows += [make_row(number, params={"optimizer": "sgd"}, score=0.5 + 0.01 * number) for number in range(4, 8)]
    board = board_of(rows)
    assert analysis.effects(board, ["optimizer"])["high"].max() > 1
    assert analysis.effects(board, ["optimizer"], "maximize")["high"].max() == 1


def test_effects_are_means_with_intervals_of_each_group():
    rows = [make_row(number, score=0.9 if number % 2 else 0.8 + number / 100) for number in range(6)]
    table = analysis.effects(board_of(rows), ["optimizer"])
    adam, sgd = table.to_dict("records")
    assert (adam["group"], adam["n"], round(adam["mean"], 6)) == ("adam", 3, 0.82)
    assert adam["low"] < 0.82 < adam["high"] == pytest.approx(0.82 + 4.302653 * 0.02 / np.sqrt(3))
    assert (sgd["group"], sgd["low"], sgd["high"]) == ("sgd", 0.9, 0.9)


def test_numbers_are_cut_into_groups_of_equal_size_and_switches_are_not():
    table = analysis.effects(board_of([make_row(number) for number in range(12)]))
    groups = {name: list(zip(part["group"], part["n"], strict=True)) for name, part in table.groupby("parameter")}
    assert groups["filters"] == [("8 to 32", 4), ("40 to 64", 4), ("72 to 96", 4)]
    assert groups["batch_norm"] == [("false", 8), ("true", 4)]


def test_a_parameter_of_few_trials_or_of_one_value_is_left_out():
    rows = [make_row(number, params={"filters": 8, "optimizer": "adam"}) for number in range(8)]
    rows += [make_row(number, params={"pooling": ["max", "average"][number % 2]}) for number in range(8, 12)]
    table = analysis.effects(board_of(rows))
    assert table.empty
    assert list(table.columns) == ["parameter", "group", "n", "mean", "low", "high"]


def test_rungs_count_who_came_and_who_was_stopped():
    rows = [
        make_row(0, epochs=9.0),
        make_row(1, "PRUNED", epochs=1.0, stop_rung=1.0),
        make_row(2, "PRUNED", epochs=3.0, stop_rung=3.0),
        make_row(3, "FAILED", None, epochs=2.0),
        make_row(4, epochs=9.0, reference="bertoldi"),
    ]
    table = analysis.rungs(board_of(rows), rungs_below(9, 1, 3), 9)
    assert table.to_dict("list") == {"epochs": [1, 3, 9], "reached": [4, 2, 1], "stopped": [1, 1, 0]}


def test_confusion_is_the_mean_over_seeds_with_names_where_there_are_some():
    rows = [(0, 0, 10, 10), (1, 0, 10, 2), (0, 1, 2, 2), (1, 1, 2, 2)]
    frame = pd.DataFrame(rows, columns=["seed", "index", "label", "predicted"])
    plain = analysis.confusion(frame.assign(label_name=pd.NA, predicted_name=pd.NA))
    assert list(plain.index) == list(plain.columns) == ["2", "10"]
    assert plain.to_numpy().tolist() == [[1.0, 0.0], [0.5, 0.5]]
    names = {2: "cat", 10: "dog"}
    named = analysis.confusion(
        frame.assign(label_name=frame["label"].map(names), predicted_name=frame["predicted"].map(names))
    )
    assert list(named.index) == ["cat", "dog"]


def test_slot_time_is_training_and_the_rest_by_ending():
    hour = pd.Timedelta(hours=1)
    start = pd.Timestamp("2025-01-01", tz="UTC")
    rows = [
        make_row(0, started_at=start, ended_at=start + hour, train_seconds=1800.0),
        make_row(1, "PRUNED", started_at=start + hour / 2, ended_at=start + hour, train_seconds=1800.0),
        make_row(2, "RUNNING", started_at=start + hour),
    ]
    board = board_of(rows)
    assert analysis.slot_time(board).to_dict("list") == {
        "status": ["COMPLETE", "PRUNED"],
        "trials": [1, 1],
        "training": [0.5, 0.5],
        "rest": [0.5, 0.0],
    }
    assert analysis.max_concurrent(board) == 2


def test_of_very_many_labels_those_that_are_mistaken_most_often_are_left():
    rows = [{"label": k, "predicted": 7 if k in (3, 4) else k, "seed": 0} for k in range(500)]
    found = analysis.select_most_mistaken(pd.DataFrame(rows), 5)
    assert {3, 4, 7} < set(found["label"])
    assert found["label"].nunique() == 5
