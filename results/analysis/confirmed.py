"""The confirmed finalists' means and differences, with their intervals and what these cover, from the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from results.analysis.columns import distinct, first_value, floats, records, trial_name
from results.analysis.intervals import score_difference_interval, score_interval
from results.analysis.statistics import UNBOUNDED, Bounds, Mean, bounds_of, mean, paired_difference
from results.wording import count
from spaces.goal import Direction

_SAME, _SAME_SPREAD = 1e-3, 1e-5
"""The difference allowed between a score and the mean of its examples' scores, which are computed apart.

It is relative to the score, and to the range of its examples' scores, since a score may be about 0."""

OfSeeds = dict[int, np.ndarray]
"""The scores of the examples [N], in their order, by seed."""


@dataclass(frozen=True)
class Confirmed:
    """The scores of finalists by seed, and the score of each example if the tables have it."""

    scores: dict[str, dict[int, float]]
    """By finalist: the search's best first, references last."""
    images: dict[str, OfSeeds]
    bounds: Bounds
    """The lowest and the highest possible score."""

    @classmethod
    def of(
        cls,
        finalists: pd.DataFrame | None,
        predictions: pd.DataFrame | None,
        direction: Direction,
    ) -> Confirmed:
        """Reads finalists.parquet and predictions.parquet, of one run or of several.

        Leaves out scores of examples that are damaged, or that are from another training than the one that was scored.
        """
        scores = {} if finalists is None else scores_by_name(finalists)
        found = {} if finalists is None or predictions is None else _images_by_name(predictions, _namer(finalists))
        goal = first_value(finalists, "goal")
        are_shares = direction == "maximize" and (goal or "classify").split(" ")[0] == "classify"
        low, high = (0, 1) if are_shares else UNBOUNDED  # a part of another score may be beyond the score's bounds
        images = {
            name: {
                seed: each
                for seed, each in found.get(name, {}).items()
                if seed in by_seed
                and np.isclose(each.mean(), by_seed[seed], rtol=_SAME, atol=_SAME_SPREAD * np.ptp(each))
                and each.min() >= low
                and each.max() <= high
            }
            for name, by_seed in scores.items()
        }
        return cls(scores, images, bounds_of(direction, goal))

    @cached_property
    def means(self) -> dict[str, Mean]:
        """Returns each finalist's mean over its seeds."""
        return {name: self._mean(name) for name in self.scores}

    def gap(self, first: str, other: str) -> Mean | None:
        """Returns the mean of the first minus the other, paired by seed and example, or None if it has no interval."""
        found = paired_difference(self.scores[first], self.scores[other])
        if found is None:
            return None
        seeds = sorted(self.scores[first].keys() & self.scores[other].keys())
        pairs = self._stacked(first, seeds), self._stacked(other, seeds)
        if pairs[0] is not None and pairs[1] is not None and pairs[0].shape == pairs[1].shape:
            found = _with_images(found, score_difference_interval(pairs[0] - pairs[1], self.bounds), pairs[0])
        return found if found.has_interval else None

    def _mean(self, name: str) -> Mean:
        by_seed = self.scores[name]
        found, images = mean(list(by_seed.values()), self.bounds), self._stacked(name, list(by_seed))
        return found if images is None else _with_images(found, score_interval(images, self.bounds), images)

    def _stacked(self, name: str, seeds: list[int]) -> np.ndarray | None:
        """Returns the scores [S, N] of at least two examples by these seeds, or None if any is missing."""
        by_seed = self.images[name]
        found = [by_seed[seed] for seed in seeds if seed in by_seed]
        if len(found) < len(seeds) or len({len(each) for each in found}) != 1 or len(found[0]) < 2:
            return None
        return np.stack(found)


def describe_coverage(means: Mapping[str, Mean], scored_on: str) -> str:
    """Returns a sentence on what the intervals of these finalists and of their differences cover, if there are any."""
    if not means:
        return ""
    kinds: dict[str, list[str]] = {}
    for name, stats in means.items():
        kinds.setdefault(_covered(stats, scored_on), []).append(name)
    if len(kinds) == 1:
        text = f"The 95% intervals {next(iter(kinds))}."
    else:
        parts = [f"of {', '.join(names)} {kind}" for kind, names in kinds.items()]
        text = f"The 95% intervals {'; '.join(parts)}; an interval of a difference covers what both of its means cover."
    if scored_on == "test":
        return text
    return f"{text} They do not account for the bias of choosing finalists on these same examples."


def describe_sample(stats: Mean) -> str:
    """Returns the size of a mean's sample: 3 seeds, 10,000 examples."""
    return count(stats.n, "seed") + (f", {count(stats.num_images, 'example')}" if stats.num_images else "")


def scores_by_name(table: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Returns the scores by finalist and seed, in the order of the search's ranks, references last.

    If there are several runs, a finalist's name includes its run.
    """
    scored = table.dropna(subset=["test_score"]).sort_values(by=["place", "trial", "seed"], na_position="last")
    name_of = _namer(table)
    names = [name_of(row) for row in records(scored, "run", "trial", "reference")]
    found: dict[str, dict[int, float]] = {}
    for name, seed, score in zip(names, scored["seed"], floats(scored, "test_score"), strict=True):
        found.setdefault(name, {})[int(seed)] = float(score)
    return found


def finalist_rows(predictions: pd.DataFrame, *columns: str) -> pd.DataFrame | None:
    """Returns the predictions of the finalist with the best validation score that have values in these columns.

    Returns None if no finalist's have.
    """
    found = predictions.dropna(subset=list(columns)).sort_values(
        by=["place", "trial"], na_position="last", kind="stable"
    )
    return None if found.empty else found.loc[(found["trial"] == found["trial"].iloc[0]).to_numpy()]


def _covered(stats: Mean, scored_on: str) -> str:
    if stats.num_images and stats.n > 1:
        return (
            f"cover both the seeds and the {scored_on} examples: they apply to other trainings, on other such examples"
        )
    if stats.num_images:
        return f"cover the {scored_on} examples alone: one seed says nothing about other trainings"
    if stats.has_interval:
        return f"cover the seeds alone, for these {scored_on} examples: the tables lack the score of each example"
    return "cannot be computed from one seed, since the tables lack the score of each example"


def _with_images(stats: Mean, interval: tuple[float, float], scores_SN: np.ndarray) -> Mean:
    low, high = interval
    return replace(stats, low=min(low, stats.value), high=max(high, stats.value), num_images=scores_SN.shape[1])


def _images_by_name(predictions: pd.DataFrame, name_of: Callable[[dict], str]) -> dict[str, OfSeeds]:
    found: dict[str, OfSeeds] = {}
    for _, rows in predictions.sort_values(by="index").groupby(["run", "trial", "seed"], dropna=False):
        first = records(rows.iloc[:1], "run", "trial", "reference", "seed")[0]
        places, scores = floats(rows, "index"), _image_scores(rows)
        if np.array_equal(places, np.arange(len(places))) and np.isfinite(scores).all():
            found.setdefault(name_of(first), {})[int(first["seed"])] = scores
    return found


def _image_scores(rows: pd.DataFrame) -> np.ndarray:
    """Returns each example's score, or NaN if the table has neither the score nor a label."""
    scores = floats(rows, "image_score")
    labels, predicted = floats(rows, "label"), floats(rows, "predicted")
    right = np.where(np.isnan(labels) | np.isnan(predicted), np.nan, labels == predicted)
    return np.where(np.isnan(scores), right, scores)  # older tables have labels, but no scores of examples


def _namer(finalists: pd.DataFrame) -> Callable[[dict], str]:
    """Returns a function that names a finalist by its row: its trial or reference, and its run if there are several."""
    several = len(distinct(finalists, "run")) > 1

    def name_of(row: dict) -> str:
        return f"{trial_name(row)} of {row['run']}" if several else trial_name(row)

    return name_of
