"""The page that compares several runs, in groups of runs whose scores compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from results import plots
from results.analysis.columns import floats, is_searched
from results.analysis.comparable import describe_excluded, find_differences
from results.locations import user_facing_path
from results.report.confirmed import interval, stand_in_notice
from results.report.page import Column, Section, figure, page, paragraph, part, table
from results.report.run_record import RunRecord
from results.wording import capitalize, number

_COLUMNS = (
    Column("run", is_number=False),
    Column("best network", is_number=False),
    Column("in the search", is_number=True),
    Column("confirmed", is_number=False),
    Column("references, confirmed", is_number=False),
    Column("trials"),
    Column("epochs"),
    Column("budget", is_number=False),
    Column("training hours"),
)


def comparison(runs: Sequence[RunRecord]) -> str:
    """Makes the page. Runs whose scores do not compare are in different groups."""
    groups = _groups(runs)
    names = ", ".join(run.name for run in runs)
    lead = _describe_groups(groups)
    head = part("header", kicker="Frugal", title=f"{len(runs)} runs compared", sentences=[f"{names}. {lead}"])
    sections = [_group(place, members) for place, members in enumerate(groups)]
    return page(f"{names}: compared", head, [*sections, _reports(runs)])


def _groups(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Returns groups of runs that compare with each other, in the order of their first runs."""
    groups: list[list[RunRecord]] = []
    for run in runs:
        for group in groups:
            if not any(run.conditions.differences(other.conditions) for other in group):
                group.append(run)
                break
        else:
            groups.append([run])
    return groups


def _describe_groups(groups: Sequence[Sequence[RunRecord]]) -> str:
    """Returns a sentence on which runs are compared, and how the others differ from the first."""
    if len(groups) == 1:
        return (
            "All have the same task, goal, dataset, number of epochs and numbers of examples, so their scores compare."
        )
    (first, *_), *others = groups
    apart = find_differences([(run.name, run.conditions) for group in others for run in group], first.conditions)
    return (
        f"Not all of their scores compare, so they are in {len(groups)} groups, each with its own table and figure. "
        f"Runs of different groups are not compared; {describe_excluded(apart, first.name)}."
    )


def _group(place: int, runs: list[RunRecord]) -> Section:
    first = runs[0]
    dataset = f"{first.first('dataset') or 'unknown data'} ({first.first('dataset_origin') or 'unknown'})"
    boards = pd.concat([run.leaderboard for run in runs], ignore_index=True)
    caption = (
        f"{first.task}, goal {first.goal}, on {dataset}, fingerprint {first.first('dataset_fingerprint') or 'unknown'}"
    )
    rows = table(_COLUMNS, [_row(run) for run in runs], caption, name=f"runs-{place}", is_sortable=True)
    drawn = plots.compare(boards, score_name=first.score_name)
    best = "; ".join(f"{run.name}: {_best(run)}" for run in runs)
    seen = f"{capitalize(first.score_name)} by parameters of completed trials, a colour for each run. Best: {best}."
    lead = paragraph(
        "A score in the search is that of one training, on the examples that the search chooses by; a confirmed score "
        "is a mean over seeds. Runs may differ in their search spaces and budgets."
    )
    html = stand_in_notice(first) + lead + rows + figure(drawn, f"compare-{place}", seen)
    return Section(f"group-{place}", f"{first.task} ({first.goal}) on {first.first('dataset') or 'unknown data'}", html)


def _row(run: RunRecord) -> list:
    config = run.config
    limits = [
        f"{config['max_params']:,} parameters" if config.get("max_params") else "",
        f"{config['max_macs']:,} MACs" if config.get("max_macs") else "",
    ]
    confirmed = {name: interval(stats) for name, stats in run.confirmed.means.items()}
    searched = [f"{name}: {text}" for name, text in confirmed.items() if is_searched(name)]
    published = [f"{name}: {text}" for name, text in confirmed.items() if not is_searched(name)]
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
    pages = [(run.name, user_facing_path(run.folder / "report.html")) for run in runs]
    return Section("reports", "Reports of the runs", part("files", pairs=pages))
