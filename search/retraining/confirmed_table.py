"""The terminal's table of a confirmation: means with their intervals, and which finalists differ."""

from __future__ import annotations

from collections.abc import Sequence

from results.analysis.confirmed import Confirmed, describe_coverage
from results.analysis.readings import mark_name
from results.analysis.statistics import mean_cells
from results.locations import user_facing_path
from results.wording import number
from search.command_line.terminal import Column, Table, Terminal
from search.retraining.confirmation import Confirmation
from search.retraining.retrain import failures
from search.study.study import Study
from spaces.network import short_number

COLUMNS = (
    Column("finalist", is_text=True, folds=True),
    Column("mean"),
    Column("95% interval", goes=6),
    Column("sd", goes=1),
    Column("seeds", goes=4),
    Column("in the search", goes=3),
    Column("parameters", goes=5),
    Column("MACs", goes=2),
)


def print_confirmed(terminal: Terminal, confirmation: Confirmation, study: Study) -> None:
    """Prints the means with their intervals, in the order of validation, and which of them are distinguishable."""
    found = confirmation.confirmed(study)
    if not found.means:
        return
    name = confirmation.plan.objective_text.removeprefix("validation ")
    table = Table(COLUMNS, title=f"{confirmation.scored_on} {name}, mean over seeds")
    rows = confirmation.rows(study)
    asked = {finalist.name: finalist for finalist in confirmation.finalists if finalist.name in found.means}
    for finalist in asked.values():
        stats, network = found.means[finalist.name], finalist.trial.candidate.network
        table.add(
            mark_name(rows, finalist.name),
            *mean_cells(stats),
            number(finalist.val_score),
            f"{network.num_params:,}",
            short_number(network.num_macs),
            style="" if finalist.place else "cyan",
        )
    terminal.show(table)
    covered = describe_coverage({name: found.means[name] for name in asked}, confirmation.scored_on)
    for line in [
        *_comparisons(found, list(asked)),
        *([covered] if covered else []),
        *failures(study),
        _files(confirmation),
    ]:
        terminal.say(line)


def _comparisons(found: Confirmed, names: Sequence[str]) -> list[str]:
    """Compares each finalist with the search's first, paired by seed and example."""
    gaps = {name: found.gap(names[0], name) for name in names[1:]}
    return [
        f"{names[0]} and {name}: {gap.verdict}; the difference is "
        f"{gap.value:+.2g}, its 95% interval {gap.low:+.2g} to {gap.high:+.2g}, paired by seed"
        for name, gap in gaps.items()
        if gap
    ]


def _files(confirmation: Confirmation) -> str:
    folder = confirmation.plan.folder
    files = (
        f"finalists: {user_facing_path(folder.path)}/finalists.parquet; their models: {user_facing_path(folder.models)}"
    )
    if confirmation.scored_on == "test":
        return files
    return f"{files}. The search chose by these same examples, so the scores are biased upwards"
