"""The page that compares several runs: only those of one task and dataset are put side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from results import plots
from results.columns import floats
from results.report_confirmed import interval, stand_in_notice
from results.report_page import Column, Section, figure, page, paragraph, part, table
from results.run_record import RunRecord
from results.statistics import mean
from results.storage import shown
from results.wording import number

_COLUMNS = (
    Column("run", is_number=False),
    Column("best network", is_number=False),
    Column("in the search", is_number=True),
    Column("confirmed", is_number=False),
    Column("published, confirmed", is_number=False),
    Column("trials"),
    Column("epochs"),
    Column("budget", is_number=False),
    Column("training hours"),
)


def comparison(runs: Sequence[RunRecord]) -> str:
    """The page. Runs of different tasks or datasets stand in groups of their own."""
    groups: dict[tuple, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault((run.task, run.first("dataset_fingerprint"), run.score_name), []).append(run)
    names = ", ".join(run.name for run in runs)
    told = (
        "All are of one task on one dataset, so that their scores compare."
        if len(groups) == 1
        else f"They are of {len(groups)} tasks or datasets. Scores on one dataset are none on another, so that each "
        "has its own table and figure, and nothing is said across them."
    )
    head = part("header", kicker="Frugal", title=f"{len(runs)} runs compared", sentences=[f"{names}. {told}"])
    sections = [_group(place, members) for place, members in enumerate(groups.values())]
    return page(f"{names}: compared", head, [*sections, _reports(runs)])


def _group(place: int, runs: list[RunRecord]) -> Section:
    first = runs[0]
    dataset = f"{first.first('dataset') or 'unknown data'} ({first.first('dataset_origin') or 'unknown'})"
    boards = pd.concat([run.leaderboard for run in runs], ignore_index=True)
    caption = f"{first.task} on {dataset}, fingerprint {first.first('dataset_fingerprint') or 'unknown'}"
    rows = table(_COLUMNS, [_row(run) for run in runs], caption, name=f"runs-{place}", is_sortable=True)
    drawn = plots.compare(boards, score_name=first.score_name)
    best = "; ".join(f"{run.name}: {_best(run)}" for run in runs)
    seen = f"{first.score_name.capitalize()} by parameters of completed trials, a colour a run. Best of each: {best}."
    lead = paragraph(
        "Scores in the search are of one training each, on the images by which networks were chosen; confirmed ones "
        "are means over seeds. Runs may differ in epochs and images as well as in what they searched."
    )
    html = stand_in_notice(first) + lead + rows + figure(drawn, f"compare-{place}", seen)
    return Section(f"group-{place}", f"{first.task} on {first.first('dataset') or 'unknown data'}", html)


def _row(run: RunRecord) -> list:
    config = run.config
    limits = [
        f"{config['max_params']:,} parameters" if config.get("max_params") else "",
        f"{config['max_macs']:,} MACs" if config.get("max_macs") else "",
    ]
    confirmed = {name: interval(mean(list(scores.values()))) for name, scores in run.confirmed.items()}
    searched = [f"{name}: {told}" for name, told in confirmed.items() if name.startswith("trial ")]
    published = [f"{name}: {told}" for name, told in confirmed.items() if not name.startswith("trial ")]
    hours = np.nansum(floats(run.leaderboard, "train_seconds")) / 3600
    return [
        run.name,
        f"trial {run.best['trial']}, {run.best['num_params']:,} parameters" if run.best else "none yet",
        number(run.best["score"]) if run.best else None,
        part("lines", texts=searched or ["not confirmed"]),
        part("lines", texts=published or ["none"]),
        str(len(run.leaderboard)),
        str(config.get("max_epochs", "")),
        ", ".join(filter(None, limits)) or "no limit",
        f"{hours:.2f}",
    ]


def _best(run: RunRecord) -> str:
    return f"{number(run.best['score'])} with {run.best['num_params']:,} parameters" if run.best else "none yet"


def _reports(runs: Sequence[RunRecord]) -> Section:
    pages = [(run.name, shown(run.folder / "report.html")) for run in runs]
    return Section("reports", "Their own reports", part("files", pairs=pages))
