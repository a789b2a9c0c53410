"""The report's head, with its verdict, and the section of confirmed finalists."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from results import plots
from results.analysis.columns import has_any, has_value, records
from results.analysis.confirmed import describe_coverage, describe_sample
from results.analysis.readings import describe_choice, describe_readings, mark_name
from results.analysis.statistics import Mean, describe_difference, mean_cells
from results.conditions import readable_goal
from results.report.page import Column, Section, figure, join_parts, missing, paragraph, part, table
from results.report.run_record import METRIC, RunRecord
from results.schema import Status
from results.values import echoed
from results.wording import capitalize, count, number


def head(run: RunRecord) -> Markup:
    """Makes the page's head: which network is best, its score, its size, and the command that applies it."""
    title, sentences, command = _verdict(run)
    kicker = f"Frugal: run {run.name} of task {run.task}, goal {readable_goal(run.goal)}"
    html = part("header", kicker=kicker, title=title, sentences=sentences, command=command)
    return html + stand_in_notice(run)


def stand_in_notice(run: RunRecord) -> Markup:
    """Makes a notice if the run's data are made stand-ins, else nothing."""
    if run.first("dataset_origin") != "made":
        return join_parts([])
    return paragraph(
        f"These results are on {run.first('dataset')}, a made stand-in, not on the original data of {run.task}: no "
        "score on this page is comparable with results on the original data.",
        "notice",
    )


def finalists(run: RunRecord) -> Section:
    """Makes the section of the finalists' scores over several seeds, each against the first."""
    title = "Confirmed finalists"
    if not run.confirmed.means:
        why = (
            "No finalist has been confirmed, which means to retrain it with several seeds and to score it on test "
            "examples. "
        )
        if run.best is None:
            return Section("finalists", title, missing(f"{why}No trial is complete yet."))
        return Section("finalists", title, missing(f"{why}To confirm:", run.command("search.confirm")))
    assert run.finalists is not None
    metrics = run.metrics(run.finalists)
    further = [metric.removeprefix(METRIC) for metric in metrics]
    names = ("mean", "95% interval", "sd", "seeds", *further, "in the search", "parameters", "MACs")
    columns = [Column("finalist", is_number=False), *(Column(name) for name in names)]
    columns += [Column("compared with the first", is_number=False), Column("difference, 95% interval")]
    means = run.confirmed.means
    cells = [_finalist_row(run, name, stats, metrics) for name, stats in means.items()]
    axis = run.test_score_name
    caption = f"{capitalize(axis)}, mean over seeds, in the order of the search's validation scores"
    seen = "; ".join(f"{name} {interval(stats)}" for name, stats in means.items())
    drawn = plots.finalists(run.finalists, run.predictions, score_name=axis, direction=run.direction)
    return Section(
        "finalists",
        title,
        figure(drawn, "finalists-plot", f"{capitalize(axis)}, a dot for each seed, a diamond for each mean: {seen}.")
        + table(columns, cells, caption, name="finalists-table")
        + paragraph(_how_scored(run), "quiet"),
    )


def interval(stats: Mean) -> str:
    """Returns a mean with its interval as text."""
    if not stats.has_interval:
        return f"{number(stats.value)} (one seed, no interval)"
    sample = describe_sample(stats)
    return f"{number(stats.value)} (95% interval {number(stats.low)} to {number(stats.high)}, {sample})"


def _verdict(run: RunRecord) -> tuple[str, list[str], str]:
    """Returns the title, sentences, and a command, which may be empty."""
    if run.confirmed.means:
        return _confirmed_verdict(run)
    best = run.best
    if best is None:
        return f"{run.task}: no trial is complete yet", [f"There is no best network: {_so_far(run)}."], ""
    title = f"{run.task}: trial {best['trial']}, {best['num_params']:,} parameters, {run.score_name} "
    title += number(best["score"])
    sentences = [
        f"The best trial so far is trial {best['trial']}, with {_size(best)}. It is not confirmed: its score is that "
        "of one training, on the examples by which it was chosen, so it is probably too optimistic.",
    ]
    if reference := _better_reference(run, best):
        sentences.append(reference)
    model = run.folder / "models" / "best.pt"
    return title, sentences, run.predict_command("models/best.pt") if model.is_file() else ""


def _so_far(run: RunRecord) -> str:
    """Returns how many trials there are, how many failed, and the first error."""
    trials = run.leaderboard
    failed = trials.loc[[Status(status).is_failure for status in trials["status"]]]
    if failed.empty:
        return f"{count(len(trials), 'trial')} so far" if len(trials) else "none has started"
    text = f"{len(failed)} of {count(len(trials), 'trial')} failed"
    lines = str(failed["error"].dropna().iloc[0]).strip().splitlines() if has_any(failed, "error") else []
    return f"{text}, the first of them with: {echoed(lines[-1], 300).rstrip('.')}" if lines else text


def _confirmed_verdict(run: RunRecord) -> tuple[str, list[str], str]:
    (name, stats), scored = _winner(run), run.test_score_name
    row = run.confirmed_row(name)
    title = f"{run.task}: {name}, {row['num_params']:,} parameters, {scored} {number(stats.value)}"
    how = describe_choice(_confirmed_rows(run), name)
    if run.scored_on != "test":
        how = "The search chose it by these same examples, so the score is biased upwards"
    text = f"The best network by validation, {name}, has {_size(row)}. Its mean {scored} is {interval(stats)}. "
    return (
        title,
        [f"{text}{how}. {describe_coverage({name: stats}, run.scored_on)}", *_others(run, name)],
        run.predict_command(row["model_path"]) if has_value(row["model_path"]) else "",
    )


def _others(run: RunRecord, first: str) -> list[str]:
    """Returns a sentence on which of the other finalists are distinguishable from the first."""
    gaps = {name: run.confirmed.gap(first, name) for name in run.confirmed.means if name != first}
    apart = [f"{name} (by {gap.value:+.2g})" for name, gap in gaps.items() if gap and gap.is_apart_from_zero]
    alike = [name for name, gap in gaps.items() if gap and not gap.is_apart_from_zero]
    parts = [f"apart from {', '.join(apart)}"] if apart else []
    parts += [f"not distinguishable from {', '.join(alike)}"] if alike else []
    return [f"Paired by seed, it is {', and '.join(parts)}."] if parts else []


def _winner(run: RunRecord) -> tuple[str, Mean]:
    winner = run.winner()
    assert winner is not None
    return winner


def _size(row: dict[str, Any]) -> str:
    macs = f" and {row['num_macs']:,} multiply-accumulates per example" if has_value(row["num_macs"]) else ""
    return f"{row['num_params']:,} parameters{macs}"


def _better_reference(run: RunRecord, best: dict[str, Any]) -> str:
    ahead = run.leaderboard.dropna(subset=["reference", "rank"])
    ahead = ahead.loc[(ahead["rank"] < best["rank"]).to_numpy()].sort_values(by="rank")
    if ahead.empty:
        return ""
    first, model = ahead.iloc[0], run.folder / "models" / "best.pt"
    return (
        f"The reference {first['reference']} scored better in this search: {number(first['score'])} with "
        f"{first['num_params']:,} parameters." + (" The model file contains that network." if model.is_file() else "")
    )


def _finalist_row(run: RunRecord, name: str, stats: Mean, metrics: list[str]) -> list[Any]:
    row, first = run.confirmed_row(name), next(iter(run.confirmed.means))
    value, spread, sd, n = mean_cells(stats)
    return [
        mark_name(_confirmed_rows(run), name),
        *(value, spread or "one seed", sd, n),
        *(None if (mean := run.confirmed_metric(name, metric)) is None else number(mean) for metric in metrics),
        number(row["val_score"]) if has_value(row["val_score"]) else None,
        f"{row['num_params']:,}",
        f"{row['num_macs']:,}" if has_value(row["num_macs"]) else None,
        *(("", None) if name == first else _against(run.confirmed.gap(first, name))),
    ]


def _against(gap: Mean | None) -> tuple[str, str | None]:
    """Returns whether another finalist is apart from the first, and the first minus the other."""
    if gap is None:
        return "too few common seeds", None
    return gap.verdict, describe_difference(gap)


def _how_scored(run: RunRecord) -> str:
    text = (
        f"{describe_coverage(run.confirmed.means, run.scored_on)} Differences are the first minus the other, paired by "
        "seed, on the same examples, so that effects common to both cancel out. "
    )
    if run.scored_on == "test":
        return text + (
            describe_readings(_confirmed_rows(run)) or "Each training was scored on the test examples once, at its end."
        )
    return text + f"Scored on {run.scored_on} examples, by which the search chose: these scores are biased upwards."


def _confirmed_rows(run: RunRecord) -> list[dict[str, Any]]:
    assert run.finalists is not None
    return records(run.finalists)
