"""The report of an ablation: for each choice that was varied, what it changed, in pairs of equal seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from results.analysis.ablation import Effect, describe_gap, effects
from results.analysis.columns import distinct, floats, has_value, records
from results.analysis.statistics import Bounds, bounds_of, mean
from results.plots.variants import ablation
from results.report.page import Column, Section, figure, page, paragraph, part, table
from results.report.run_record import read_table
from results.run_config import read_config
from results.wording import count, in_epochs, number


def ablation_page(folder: Path) -> str:
    """The page of the ablation in a run's folder. Raises ValueError if its table is damaged."""
    found = read_table(folder, "ablation")
    if found.empty:
        raise ValueError(f"{folder}: no training of this ablation has come to its end yet")
    objective = read_config(folder / "config.yaml").get("objective") or {}
    bounds = bounds_of(objective.get("direction", "minimize"))
    groups = enumerate(found.groupby("parameter", sort=False))
    sections = [_section(place, str(name), rows, bounds) for place, (name, rows) in groups]
    return page(f"{folder.name}: ablation of {found['base'].iloc[0]}", _head(folder, found), sections)


def _head(folder: Path, found: pd.DataFrame) -> Markup:
    first = records(found)[0]
    seeds, epochs = len(distinct(found, "seed")), float(floats(found, "epochs").max())
    goal = first["goal"] if has_value(first["goal"]) else "unknown"
    told = (
        f"Each variant differs from the base in one choice alone, and was trained {in_epochs(epochs)} with the same "
        f"{count(seeds, 'seed')} on {first['dataset']}; scores are on validation images; test images are untouched. "
        "Differences are means over pairs of equal seeds. 95% intervals cover the seeds alone, by Student's t: they "
        "say how far the mean of more seeds may lie, not what other validation images, another recipe or length of "
        "training would give. Each comparison stands for itself: of twenty without any effect, about one is apart by "
        "chance."
    )
    html = part(
        "header",
        kicker=f"Frugal: ablation {folder.name} of task {first['task']}, goal {goal}",
        title=f"{first['base']}, one choice varied at a time",
        sentences=[told],
    )
    if first["dataset_origin"] != "made":
        return html
    notice = f"These are results on {first['dataset']}, a stand-in, and not on the original data."
    return html + paragraph(notice, "notice")


def _section(place: int, name: str, rows: pd.DataFrame, bounds: Bounds) -> Section:
    found = effects(rows)
    columns = [
        Column(name, is_number=False),
        *(Column(each) for each in ("mean", "95% interval", "sd", "seeds")),
        Column("from the base, 95% interval", is_number=False),
        Column("parameters"),
    ]
    caption = f"Validation score by {name}, mean over seeds"
    seen = "; ".join(f"{each.value}: {describe_gap(each.gap)}" for each in found if not each.is_base)
    anchor = f"choice-{place}"
    html = figure(ablation(rows), f"{anchor}-plot", f"Differences from the base. {seen or 'The base alone'}.")
    cells = [_cells(each, bounds) for each in found]
    return Section(anchor, name, html + table(columns, cells, caption, name=f"{anchor}-table"))


def _cells(effect: Effect, bounds: Bounds) -> list[Any]:
    gap, size = "the base" if effect.is_base else describe_gap(effect.gap), f"{effect.num_params:,}"
    if not effect.scores:
        return [effect.value, None, None, None, 0, gap, size]
    stats = mean(list(effect.scores.values()), bounds)
    spread = (f"{number(stats.low)} to {number(stats.high)}", f"{stats.sd:.2g}") if stats.n > 1 else (None, None)
    return [effect.value, number(stats.value), *spread, stats.n, gap, size]
