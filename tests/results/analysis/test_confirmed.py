"""Confirmed scores, from the tables: intervals cover what the tables record, and the text says which that is."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from results import tables
from results.analysis.confirmed import Confirmed, describe_coverage
from results.analysis.intervals import difference_interval, error_interval, share_difference_interval, share_interval
from results.analysis.statistics import bounds_of, mean
from results.schema import PREDICTIONS

RNG = np.random.default_rng(1)
FIRST, OTHER, PUBLISHED = "trial 3", "trial 7", "bertoldi"
FACTS = {
    FIRST: {"trial": 3, "reference": None, "place": 1},
    OTHER: {"trial": 7, "reference": None, "place": 2},
    PUBLISHED: {"trial": 0, "reference": PUBLISHED, "place": None},
}


def scores(share: float, num_seeds: int = 3, num_images: int = 270) -> np.ndarray:
    return (RNG.random((num_seeds, num_images)) < share).astype(float)


def finalists_of(found: dict[str, np.ndarray]) -> pd.DataFrame:
    rows = [
        {**FACTS[name], "run": "r", "seed": seed, "test_score": float(each.mean()), "scored_on": "test"}
        for name, scores_SN in found.items()
        for seed, each in enumerate(scores_SN)
    ]
    return tables.frame(tables.finalists(rows))


def predictions_of(found: dict[str, np.ndarray], *, by_label: bool = False) -> pd.DataFrame:
    rows = [
        {
            **FACTS[name],
            "seed": seed,
            "index": index,
            **({"label": 1, "predicted": int(score)} if by_label else {"image_score": float(score)}),
        }
        for name, scores_SN in found.items()
        for seed, each in enumerate(scores_SN)
        for index, score in enumerate(each)
    ]
    return tables.frame(pa.Table.from_pylist(rows[::-1], schema=PREDICTIONS))


def ends(stats) -> tuple[float, float]:
    return stats.low, stats.high


@pytest.mark.parametrize("by_label", [True, False], ids=["older tables", "tables with scores of images"])
def test_intervals_of_accuracies_and_their_differences_are_over_seeds_and_images(by_label: bool):
    found = {FIRST: scores(0.97), OTHER: scores(0.85), PUBLISHED: scores(0.96)}
    confirmed = Confirmed.of(finalists_of(found), predictions_of(found, by_label=by_label), "maximize")
    assert list(confirmed.means) == [FIRST, OTHER, PUBLISHED]
    for name, scores_SN in found.items():
        stats = confirmed.means[name]
        assert stats.value == pytest.approx(scores_SN.mean())
        assert ends(stats) == pytest.approx(share_interval(scores_SN))
        assert (stats.n, stats.num_images) == (3, 270)
    gap = confirmed.gap(FIRST, OTHER)
    assert gap is not None
    assert gap.is_apart_from_zero
    assert ends(gap) == pytest.approx(share_difference_interval(found[FIRST] - found[OTHER]))
    assert "cover both the seeds and the test examples" in describe_coverage(confirmed.means, "test")


def test_intervals_of_errors_are_over_seeds_and_images_too():
    found = {name: RNG.lognormal(-4, 0.5, (2, 36)) for name in (FIRST, OTHER)}
    confirmed = Confirmed.of(finalists_of(found), predictions_of(found), "minimize")
    assert ends(confirmed.means[FIRST]) == pytest.approx(error_interval(found[FIRST]))
    gap = confirmed.gap(FIRST, OTHER)
    assert gap is not None
    assert ends(gap) == pytest.approx(difference_interval(found[FIRST] - found[OTHER]))


def test_one_seed_s_interval_covers_the_images_alone():
    found = {FIRST: scores(1.0, 1), OTHER: scores(0.9, 1)}
    confirmed = Confirmed.of(finalists_of(found), predictions_of(found), "maximize")
    stats = confirmed.means[FIRST]
    assert stats.value == 1
    assert 0.97 < stats.low < stats.high <= 1
    gap = confirmed.gap(FIRST, OTHER)
    assert gap is not None
    assert gap.is_apart_from_zero
    assert "cover the test examples alone" in describe_coverage(confirmed.means, "test")


def test_without_scores_of_images_intervals_are_over_seeds_alone_and_within_bounds():
    found = {FIRST: scores(0.999), OTHER: scores(0.9)}
    confirmed = Confirmed.of(finalists_of(found), None, "maximize")
    by_seed = found[OTHER].mean(axis=1).tolist()
    assert ends(confirmed.means[OTHER]) == pytest.approx(ends(mean(by_seed, (0, 1))))
    assert confirmed.means[FIRST].high <= 1
    assert confirmed.gap(FIRST, OTHER) is not None
    assert "cover the seeds alone" in describe_coverage(confirmed.means, "test")
    single = Confirmed.of(finalists_of({FIRST: found[FIRST][:1], OTHER: found[OTHER][:1]}), None, "maximize")
    assert math.isnan(single.means[FIRST].low)
    assert single.gap(FIRST, OTHER) is None
    assert "cannot be computed from one seed" in describe_coverage(single.means, "test")


@pytest.mark.parametrize("damage", ["a seed", "an image", "a place twice", "another training", "a score of 7", "nulls"])
def test_images_that_do_not_belong_to_all_scores_are_left_out_and_it_is_said(damage: str):
    found = {FIRST: scores(0.97), OTHER: scores(0.9)}
    rows = predictions_of(found)
    mine = ((rows["trial"] == 7) & (rows["seed"] == 1)).to_numpy(dtype=bool)
    last = np.flatnonzero(mine)[0]
    if damage in ("a seed", "an image"):
        rows = rows.loc[~mine] if damage == "a seed" else rows.drop(index=last)
    elif damage == "a place twice":
        rows.loc[last, "index"] = 5
    elif damage == "nulls":
        rows.loc[mine, "image_score"] = pd.NA
    else:
        rows.loc[mine, "image_score"] = 1.0 if damage == "another training" else 7.0
    confirmed = Confirmed.of(finalists_of(found), rows, "maximize")
    assert [stats.num_images for stats in confirmed.means.values()] == [270, 0]
    gap = confirmed.gap(FIRST, OTHER)
    assert gap is not None
    assert gap.num_images == 0
    text = describe_coverage(confirmed.means, "test")
    assert text.startswith("The 95% intervals of trial 3 cover both")
    assert "of trial 7 cover the seeds alone" in text


def test_validation_images_have_chosen_the_finalists_which_no_interval_covers():
    means = {FIRST: dataclasses.replace(mean([0.9, 0.91]), num_images=36)}
    text = describe_coverage(means, "validation")
    assert "the validation examples" in text
    assert "do not account for the bias of choosing finalists on these same examples" in text


def confirmed_as(goal: str, direction: str, found: dict[str, np.ndarray]) -> Confirmed:
    return Confirmed.of(finalists_of(found).assign(goal=goal), predictions_of(found), direction)  # pyright: ignore


def test_parts_of_an_f1_may_lie_beyond_0_and_1_and_count_all_the_same():
    found = {FIRST: 0.9 + 0.4 * RNG.normal(size=(2, 200)), OTHER: 0.5 + 0.4 * RNG.normal(size=(2, 200))}
    confirmed = confirmed_as("multi-label", "maximize", found)
    stats = confirmed.means[FIRST]
    assert stats.num_images == 200
    assert 0.8 < stats.low < stats.value < stats.high < 1
    gap = confirmed.gap(FIRST, OTHER)
    assert gap is not None
    assert gap.is_apart_from_zero
    assert ends(gap) == pytest.approx(difference_interval(found[FIRST] - found[OTHER]))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_score_of_one_s_own_may_be_negative(direction: str):
    found = {FIRST: RNG.normal(-5, 1, (3, 100)), OTHER: RNG.normal(-50, 1, (3, 100))}
    confirmed = confirmed_as(f"custom name=gain direction={direction} bounds=null", direction, found)
    for name, scores_SN in found.items():
        assert ends(confirmed.means[name]) == pytest.approx(difference_interval(scores_SN))
    gap = confirmed.gap(FIRST, OTHER)
    assert gap is not None
    assert 44 < gap.low < 45 < gap.high < 46


def test_intervals_stay_within_the_bounds_that_a_score_of_one_s_own_states():
    near = {FIRST: 0.99 - RNG.lognormal(-5, 1, (1, 10)), OTHER: RNG.normal(0, 0.1, (1, 10))}
    r2 = confirmed_as("custom name=r2 direction=maximize bounds=[-Infinity,1]", "maximize", near)
    assert r2.means[FIRST].high < 1
    assert r2.means[OTHER].low < 0 < r2.means[OTHER].high
    percent = {FIRST: 100 * scores(1.0, 2, 20), OTHER: 100 * scores(0.5, 2, 20)}
    found = confirmed_as("custom name=percent direction=maximize bounds=[0,100]", "maximize", percent)
    assert 80 < found.means[FIRST].low < found.means[FIRST].high == 100
    assert ends(found.means[OTHER]) == pytest.approx([100 * end for end in share_interval(percent[OTHER] / 100)])


@pytest.mark.parametrize("bounds", ["", "[1]", "[2,1]", "1", "[[[", "[NaN,1]", '["a","b"]', "null"])
def test_bounds_that_no_goal_states_are_none(bounds: str):
    assert bounds_of("maximize", f"custom bounds={bounds}") == (-math.inf, math.inf)
