"""The effects of an ablation's choices, from the rows of ablation.parquet."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from results.analysis.columns import distinct, has_value, records
from results.analysis.comparable import list_some
from results.analysis.statistics import Mean, describe_difference, paired_difference

AS_THE_BASE = "as the base"


@dataclass(frozen=True)
class Effect:
    """One value of a choice: its scores by seed, and their difference from the base's."""

    value: str
    is_base: bool
    scores: dict[int, float]
    gap: Mean | None
    """This value's score minus the base's, over the seeds that both have; None for the base."""
    num_params: int


def effects(rows: pd.DataFrame) -> list[Effect]:
    """Returns the values of one parameter, in the table's order, from its rows of one ablation.parquet.

    Raises ValueError for rows of several runs, whose seeds cannot be paired.
    """
    if len(runs := distinct(rows, "run")) > 1:
        raise ValueError(
            f"rows of {len(runs)} ablations, {list_some(runs)}: an effect belongs to one ablation; pass its rows alone"
        )
    base = _scores(rows.loc[rows["is_base"].to_numpy(dtype=bool)])
    values = rows["value"].fillna(AS_THE_BASE)
    found = []
    for value in dict.fromkeys(values):
        mine = rows.loc[(values == value).to_numpy(dtype=bool)]
        scores, is_base = _scores(mine), bool(mine["is_base"].iloc[0])
        gap = None if is_base else paired_difference(scores, base)
        found.append(Effect(str(value), is_base, scores, gap, int(mine["num_params"].iloc[0])))
    return found


def describe_gap(gap: Mean | None) -> str:
    """Returns a difference as text: its mean, its interval, and whether the interval excludes zero."""
    if gap is None:
        return ""
    return f"{gap.value:+.2g}, one pair" if gap.n < 2 else f"{describe_difference(gap)}, {gap.verdict}"


def _scores(rows: pd.DataFrame) -> dict[int, float]:
    return {int(row["seed"]): float(row["score"]) for row in records(rows, "seed", "score") if has_value(row["score"])}
