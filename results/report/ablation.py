"""The report of an ablation: the effect of each varied choice, paired by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from results.analysis.ablation import Effect, describe_gap, effects
from results.analysis.columns import distinct, first_value, floats, has_value, records
from results.analysis.statistics import Bounds, bounds_of, mean, mean_cells
from results.plots.variants import ablation
from results.report.page import Column, Section, figure, page, paragraph, part, table
from results.report.run_record import read_table
from results.run_config import read_config
from results.wording import count


def ablation_page(folder: Path) -> str:
    """Makes the page of the ablation in a run's folder. Raises ValueError if its table is empty or damaged."""
    found = read_table(folder, "ablation")
    if found.empty:
        raise ValueError(f"{folder}: no training of this ablation has finished yet")
    objective = read_config(folder / "config.yaml").get("objective") or {}
    bounds = bounds_of(objective.get("direction", "minimize"), first_value(found, "goal"))
    groups = enumerate(found.groupby("parameter", sort=False))
    sections = [_section(place, str(name), rows, bounds) for place, (name, rows) in groups]
    return page(f"{folder.name}: ablation of {found['base'].iloc[0]}", _head(folder, found), sections)


def _head(folder: Path, found: pd.DataFrame) -> Markup:
    first = records(found)[0]
    seeds, epochs = len(distinct(found, "seed")), float(floats(found, "epochs").max())
    goal = first["goal"] if has_value(first["goal"]) else "unknown"
    text = (
        f"Each variant differs from the base in one choice only, and was trained for {count(epochs, 'epoch')} with the "
        f"same {count(seeds, 'seed')} on {first['dataset']}. Scores are on validation examples; test examples were not "
        "read. Differences are means over pairs of equal seeds. The 95% intervals are Student's t and cover the seeds "
        "alone: they do not account for other validation examples, another recipe or another length of training. No "
        "correction is made for multiple comparisons: of twenty choices without any effect, about one is apart by "
        "chance."
    )
    html = part(
        "header",
        kicker=f"Frugal: ablation {folder.name} of task {first['task']}, goal {goal}",
        title=f"{first['base']}, one choice varied at a time",
        sentences=[text],
    )
    if first["dataset_origin"] != "made":
        return html
    notice = f"These results are on {first['dataset']}, a made stand-in, not on the original data."
    return html + paragraph(notice, "notice")


def _section(place: int, name: str, rows: pd.DataFrame, bounds: Bounds) -> Section:
    found = effects(rows)
    columns = [
        Column(name, is_number=False),
        *(Column(each) for each in ("mean", "95% interval", "sd", "seeds")),
        Column("difference from the base, 95% interval", is_number=False),
        Column("parameters"),
    ]
    caption = f"Validation score by {name}, mean over seeds"
    seen = "; ".join(f"{each.value}: {describe_gap(each.gap)}" for each in found if not each.is_base)
    anchor = f"choice-{place}"
    html = figure(ablation(rows), f"{anchor}-plot", f"Differences from the base. {seen or 'Only the base is trained'}.")
    cells = [_cells(each, bounds) for each in found]
    return Section(anchor, name, html + table(columns, cells, caption, name=f"{anchor}-table"))


def _cells(effect: Effect, bounds: Bounds) -> list[Any]:
    gap, size = "the base" if effect.is_base else describe_gap(effect.gap), f"{effect.num_params:,}"
    if not effect.scores:
        return [effect.value, None, None, None, 0, gap, size]
    return [effect.value, *mean_cells(mean(list(effect.scores.values()), bounds)), gap, size]
