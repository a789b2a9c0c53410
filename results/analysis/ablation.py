"""Ablations: what a choice changes, from the rows of ablation.parquet."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from results.analysis.columns import distinct, has_value, records
from results.analysis.comparable import list_some
from results.analysis.statistics import Mean, paired_difference

AS_THE_BASE = "as the base"


@dataclass(frozen=True)
class Effect:
    """One value of a choice: its scores by seed, and how they differ from the base's."""

    value: str
    is_base: bool
    scores: dict[int, float]
    gap: Mean | None
    """Of this minus the base, over the seeds that both have; None for the base."""
    num_params: int


def effects(rows: pd.DataFrame) -> list[Effect]:
    """The values of one parameter, in the order of the table, from its rows of one ablation.parquet.

    Raises ValueError for rows of several runs, whose seeds are no pairs.
    """
    if len(runs := distinct(rows, "run")) > 1:
        raise ValueError(
            f"rows of {len(runs)} ablations, {list_some(runs)}: an effect is one ablation's; give its rows alone"
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
    """A difference in words: its mean, its interval, and whether that leaves zero out."""
    if gap is None:
        return ""
    if gap.n < 2:
        return f"{gap.value:+.2g}, one pair"
    verdict = "apart" if gap.is_apart_from_zero else "not distinguishable"
    return f"{gap.value:+.2g} ({gap.low:+.2g} to {gap.high:+.2g}), {verdict}"


def _scores(rows: pd.DataFrame) -> dict[int, float]:
    return {int(row["seed"]): float(row["score"]) for row in records(rows, "seed", "score") if has_value(row["score"])}
