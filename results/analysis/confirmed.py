"""What was confirmed, from its tables: the finalists' means and differences, their intervals, and what these cover."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from results.analysis import intervals
from results.analysis.columns import distinct, floats, records, trial_name
from results.analysis.statistics import Mean, bounds_of, mean, paired_difference
from results.wording import count

_SAME = 1e-3
"""How far the mean over images may lie from the score, relative to it: they are computed one after the other."""

OfSeeds = dict[int, np.ndarray]
"""By seed, the scores of the images [N], in their order."""


@dataclass(frozen=True)
class Confirmed:
    """The scores of finalists by seed, and those of each image as far as the tables have them."""

    scores: dict[str, dict[int, float]]
    """By finalist; the search's first comes first, references last."""
    images: dict[str, OfSeeds]
    direction: Literal["maximize", "minimize"]

    @classmethod
    def of(
        cls,
        finalists: pd.DataFrame | None,
        predictions: pd.DataFrame | None,
        direction: Literal["maximize", "minimize"],
    ) -> Confirmed:
        """From finalists.parquet and predictions.parquet, of one run or of several.

        Scores of images are left out where they are damaged, or not of the training that was scored.
        """
        scores = {} if finalists is None else scores_by_name(finalists)
        found = {} if finalists is None or predictions is None else _images_by_name(predictions, _namer(finalists))
        low, high = (0, 1) if direction == "maximize" else (-np.inf, np.inf)
        images = {
            name: {
                seed: each
                for seed, each in found.get(name, {}).items()
                if seed in by_seed
                and np.isclose(each.mean(), by_seed[seed], rtol=_SAME)
                and each.min() >= low
                and each.max() <= high
            }
            for name, by_seed in scores.items()
        }
        return cls(scores, images, direction)

    @cached_property
    def means(self) -> dict[str, Mean]:
        """Each finalist's mean over its seeds."""
        return {name: self._mean(name) for name in self.scores}

    def gap(self, first: str, other: str) -> Mean | None:
        """The mean of the first minus the other, in pairs of equal seeds and images; None without an interval."""
        found = paired_difference(self.scores[first], self.scores[other])
        if found is None:
            return None
        seeds = sorted(self.scores[first].keys() & self.scores[other].keys())
        pairs = self._stacked(first, seeds), self._stacked(other, seeds)
        if pairs[0] is not None and pairs[1] is not None and pairs[0].shape == pairs[1].shape:
            found = _with_images(found, pairs[0] - pairs[1], self._of_difference)
        return found if found.has_interval else None

    def _mean(self, name: str) -> Mean:
        by_seed = self.scores[name]
        found, images = mean(list(by_seed.values()), bounds_of(self.direction)), self._stacked(name, list(by_seed))
        return found if images is None else _with_images(found, images, self._of_mean)

    @property
    def _of_mean(self) -> Callable[[np.ndarray], tuple[float, float]]:
        return intervals.share_interval if self.direction == "maximize" else intervals.error_interval

    @property
    def _of_difference(self) -> Callable[[np.ndarray], tuple[float, float]]:
        is_share = self.direction == "maximize"
        return intervals.share_difference_interval if is_share else intervals.difference_interval

    def _stacked(self, name: str, seeds: list[int]) -> np.ndarray | None:
        """Scores [S, N] of at least two images by these seeds; None where not all are known."""
        by_seed = self.images[name]
        found = [by_seed[seed] for seed in seeds if seed in by_seed]
        if len(found) < len(seeds) or len({len(each) for each in found}) != 1 or len(found[0]) < 2:
            return None
        return np.stack(found)


def describe_coverage(means: Mapping[str, Mean], scored_on: str) -> str:
    """A sentence on what the intervals of these finalists and of their differences cover; empty without finalists."""
    if not means:
        return ""
    kinds: dict[str, list[str]] = {}
    for name, stats in means.items():
        kinds.setdefault(_covered(stats, scored_on), []).append(name)
    if len(kinds) == 1:
        told = f"The 95% intervals {next(iter(kinds))}."
    else:
        parts = [f"of {', '.join(names)} {kind}" for kind, names in kinds.items()]
        told = f"The 95% intervals {'; '.join(parts)}; those of differences cover what both sides' do."
    if scored_on == "test":
        return told
    return f"{told} They do not cover that the search has chosen by these very images."


def describe_sample(stats: Mean) -> str:
    """What the interval is of: 3 seeds, 10,000 images."""
    return count(stats.n, "seed") + (f", {count(stats.num_images, 'image')}" if stats.num_images else "")


def scores_by_name(table: pd.DataFrame) -> dict[str, dict[int, float]]:
    """By finalist, in the order of the search's ranks with references last, the scores of the seeds.

    Finalists of several runs are named with their runs.
    """
    scored = table.dropna(subset=["test_score"]).sort_values(by=["place", "trial", "seed"], na_position="last")
    name_of = _namer(table)
    names = [name_of(row) for row in records(scored, "run", "trial", "reference")]
    found: dict[str, dict[int, float]] = {}
    for name, seed, score in zip(names, scored["seed"], floats(scored, "test_score"), strict=True):
        found.setdefault(name, {})[int(seed)] = float(score)
    return found


def _covered(stats: Mean, scored_on: str) -> str:
    if stats.num_images and stats.n > 1:
        return f"cover both the seeds and the {scored_on} images: other trainings, on other images like these"
    if stats.num_images:
        return f"cover the {scored_on} images alone: one seed tells nothing of other trainings"
    if stats.has_interval:
        return f"cover the seeds alone, and no other {scored_on} images: the tables do not have the score of each image"
    return "cannot be told from one seed, since the tables do not have the score of each image"


def _with_images(stats: Mean, scores_SN: np.ndarray, interval: Callable[[np.ndarray], tuple[float, float]]) -> Mean:
    low, high = interval(scores_SN)
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
    """NaN where neither the table nor a label tells."""
    scores = floats(rows, "image_score")
    labels, predicted = floats(rows, "label"), floats(rows, "predicted")
    right = np.where(np.isnan(labels) | np.isnan(predicted), np.nan, labels == predicted)
    return np.where(np.isnan(scores), right, scores)  # tables before there were scores of images had labels


def _namer(finalists: pd.DataFrame) -> Callable[[dict], str]:
    """What names a finalist by its row: its trial or reference, and its run where there are several."""
    several = len(distinct(finalists, "run")) > 1

    def name_of(row: dict) -> str:
        return f"{trial_name(row)} of {row['run']}" if several else trial_name(row)

    return name_of
