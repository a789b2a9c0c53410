"""Summaries of the tables: scores at equal epochs, effects of choices, rungs, mistakes and time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from results.analysis.columns import distinct, first_value, floats, has_value, searched_trials, select_rows
from results.analysis.comparable import check_comparable
from results.analysis.statistics import Bounds, bounds_of, mean
from results.pareto import find_front
from results.schema import Status
from spaces.goal import Direction

MAX_GROUPS, MIN_GROUP_SIZE = 6, 3
"""Integers are their own groups if they have at most this number of values, with this many trials each on average."""
FEWEST = 6
"""A parameter with a value in fewer trials is left out."""
LARGE = 40
"""With this many trials, a numeric parameter is cut into four groups instead of three."""


def find_direction(leaderboard: pd.DataFrame) -> Direction:
    """Returns the direction by which trials are ranked; maximize if no two trials of a run have different scores."""
    ranked = (
        select_rows(leaderboard, "status", [Status.COMPLETE]).dropna(subset=["rank", "score"]).sort_values(by="rank")
    )
    for _, of_run in ranked.groupby("run"):  # ranks are per run
        scores = floats(of_run, "score")
        if scores[0] != scores[-1]:
            return "minimize" if scores[0] < scores[-1] else "maximize"
    return "maximize"


def is_on_front(leaderboard: pd.DataFrame, column: str, direction: Direction) -> np.ndarray:
    """Returns a mask of the completed trials that no other one beats in both score and the size in `column`."""
    is_complete = leaderboard["status"].to_numpy() == Status.COMPLETE
    sign = -1.0 if direction == "maximize" else 1.0
    costs = np.where(is_complete, sign * floats(leaderboard, "score"), np.nan)
    return find_front(costs, floats(leaderboard, column))


def at_equal_epochs(leaderboard: pd.DataFrame, curves: pd.DataFrame, epochs: float) -> pd.DataFrame:
    """Returns the searched trials that were trained for this many epochs, with their score at that time as `score`.

    References are left out, since they are not points of the space. Raises ValueError for runs that do not compare.
    """
    check_comparable(leaderboard)
    reached = curves.dropna(subset=["epoch", "val_score"])
    reached = reached.loc[floats(reached, "epoch") >= epochs - 1e-9].sort_values("step")
    first = reached.groupby(["run", "trial"], as_index=False).first()[["run", "trial", "val_score"]]
    first = first.rename(columns={"val_score": "score"})
    joined = searched_trials(leaderboard).drop(columns="score").merge(first, on=["run", "trial"])
    return joined.loc[np.isfinite(floats(joined, "score"))]


def effects(
    scored: pd.DataFrame, parameters: Sequence[str] | None = None, direction: Direction = "minimize"
) -> pd.DataFrame:
    """Returns the mean score of each value of each parameter: parameter, group, n, mean, and its 95% interval.

    `scored` is a leaderboard, preferably from `at_equal_epochs`. Names, switches and small sets of integers are their
    own groups; other numbers are cut into three or four groups of about equal size. A parameter with one group, or with
    fewer than FEWEST trials, is left out. Intervals are Student's t over the trials, within the bounds of the score.
    Raises ValueError for runs that do not compare.
    """
    check_comparable(scored)
    columns = [f"param_{name.removeprefix('param_')}" for name in parameters] if parameters else param_columns(scored)
    bounds = bounds_of(direction, first_value(scored, "goal"))
    found = [row for column in columns for row in _effect(scored, column, bounds)]
    return pd.DataFrame(found, columns=["parameter", "group", "n", "mean", "low", "high"])


def param_columns(leaderboard: pd.DataFrame) -> list[str]:
    """Returns the columns of parameters that have more than one value."""
    columns = [column for column in leaderboard.columns if column.startswith("param_")]
    return [column for column in columns if len(distinct(leaderboard, column)) > 1]


def rungs(leaderboard: pd.DataFrame, epochs_of_rungs: Iterable[float], max_epochs: float) -> pd.DataFrame:
    """Returns how many searched trials reached each rung and were stopped there; the last row is for a whole trial."""
    trials = searched_trials(leaderboard)
    epochs, stopped = floats(trials, "epochs"), floats(trials, "stop_rung")
    found = []
    for rung in map(float, epochs_of_rungs):
        here = np.isclose(stopped, rung)
        found.append({"epochs": rung, "reached": int((epochs >= rung - 1e-9).sum()), "stopped": int(here.sum())})
    complete = len(select_rows(trials, "status", [Status.COMPLETE]))
    return pd.DataFrame([*found, {"epochs": float(max_epochs), "reached": complete, "stopped": 0}])


def select_most_mistaken(predictions: pd.DataFrame, most: int) -> pd.DataFrame:
    """Returns the predictions of at most `most` labels: all, or those that are most often confused with others."""
    labels = distinct(predictions, "label")
    if len(labels) <= most:
        return predictions
    wrong = predictions.loc[(predictions["label"] != predictions["predicted"]).to_numpy(dtype=bool)]
    often = pd.concat([wrong["label"], wrong["predicted"]]).value_counts().index.tolist()
    often = list(dict.fromkeys([*often, *labels]))[:most]
    is_shown = predictions["label"].isin(often) & predictions["predicted"].isin(often)
    return predictions.loc[is_shown.to_numpy(dtype=bool)]


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Returns how often each label (rows) was predicted as each label (columns), on average over the seeds.

    Predictions without labels, such as those of networks that make images, are left out.
    """
    predictions = predictions.dropna(subset=["label", "predicted"])
    named = predictions.assign(label=_names(predictions, "label"), predicted=_names(predictions, "predicted"))
    counts = pd.crosstab(named["label"], named["predicted"]) / named["seed"].nunique()
    labels = sorted(set(counts.index) | set(counts.columns), key=_natural)
    return counts.reindex(index=labels, columns=labels, fill_value=0.0)


def ended_trials(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """Returns the trials that started and ended. An end before its start, which clocks can show, becomes the start."""
    found = leaderboard.dropna(subset=["started_at", "ended_at"])
    return found.assign(ended_at=found["ended_at"].where(found["ended_at"] >= found["started_at"], found["started_at"]))


def slot_time(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """Returns slot hours by how trials ended: status, trials, training (steps and validation) and rest."""
    timed = ended_trials(leaderboard)
    held = (timed["ended_at"] - timed["started_at"]).dt.total_seconds().to_numpy(dtype=float) / 3600
    training = np.minimum(np.nan_to_num(floats(timed, "train_seconds")) / 3600, held)
    table = pd.DataFrame({"status": timed["status"].astype(str), "training": training, "rest": held - training})
    sums = table.groupby("status").agg(trials=("training", "size"), training=("training", "sum"), rest=("rest", "sum"))
    return sums.reindex([status for status in Status if status in sums.index]).reset_index()


def max_concurrent(leaderboard: pd.DataFrame) -> int:
    """Returns the maximum number of trials that ran in parallel."""
    timed = ended_trials(leaderboard)
    starts = [(moment, 1) for moment in timed["started_at"]]
    moments = sorted([*starts, *((moment, -1) for moment in timed["ended_at"])])
    return int(np.cumsum([step for _, step in moments]).max()) if moments else 0


def _effect(scored: pd.DataFrame, column: str, bounds: Bounds) -> Iterator[dict]:
    found = scored.dropna(subset=[column]).sort_values(by=column, kind="stable")
    groups: dict[str, list[float]] = {}
    for name, score in zip(_groups(found[column].tolist()), floats(found, "score").tolist(), strict=True):
        groups.setdefault(name, []).append(score)
    for name, scores in groups.items() if len(groups) > 1 and len(found) >= FEWEST else ():
        stats = mean(scores, bounds)
        facts = {"n": stats.n, "mean": stats.value, "low": stats.low, "high": stats.high}
        yield {"parameter": column.removeprefix("param_"), "group": name, **facts}


def _groups(values: list) -> list[str]:
    """Returns the name of each value's group; the values must be sorted."""
    if not values or isinstance(values[0], bool | str):
        return [str(value).lower() if isinstance(value, bool) else value for value in values]
    if isinstance(values[0], int) and len(set(values)) <= min(MAX_GROUPS, len(values) / MIN_GROUP_SIZE):
        return [str(value) for value in values]
    # Groups have equal sizes, not widths, which also suits a logarithmic range
    num_groups = 4 if len(values) >= LARGE else 3
    cuts = np.quantile(values, np.arange(1, num_groups) / num_groups)
    places = np.searchsorted(cuts, values).tolist()
    ends = {place: [value for value, other in zip(values, places, strict=True) if other == place] for place in places}
    return [_span(ends[place][0], ends[place][-1]) for place in places]


def _span(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}" if low < high else f"{low:.3g}"


def _names(predictions: pd.DataFrame, column: str) -> list[str]:
    """Returns the labels' names, or their numbers if they have no name."""
    pairs = zip(predictions[column], predictions[f"{column}_name"], strict=True)
    return [str(name) if has_value(name) else str(place) for place, name in pairs]


def _natural(name: str) -> list[tuple]:
    """Returns a key that sorts numbers in names by value: class 2 before class 10."""
    parts = [part for part in re.split(r"([0-9]{1,15})", name) if part]
    return [(0, int(part), "") if part[0] in "0123456789" else (1, 0, part) for part in parts]
