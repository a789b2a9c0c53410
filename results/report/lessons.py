"""The report's sections on what the trials teach: sizes, curves, rungs, which parameters mattered and how."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from results import analysis, plots
from results.analysis.columns import floats, records, select_rows
from results.analysis.importance import EVALUATOR, FEWEST, importance, num_best
from results.plots.style import COLOURS
from results.report.page import Section, figure, missing, paragraph, part
from results.report.run_record import RunRecord
from results.wording import count, in_epochs, number, span

_MANY = 200  # trials, from which importances are more than a hint
_EFFECTS_SHOWN = 8  # parameters; the others are folded in
_CONFOUNDED = (
    "These means describe the trials of this run and prove nothing about a choice: trials differ in other respects "
    "too, and the sampler draws more of what did well, so that good values keep good company. Only trials that differ "
    "in nothing else would tell. An interval says how sure the mean is, for trials like these; a long one may end "
    "outside the figure."
)
_SIZES = (("num_params", "parameters"), ("num_macs", "MACs"))


def size(run: RunRecord) -> Section:
    name = run.score_name
    if run.leaderboard.dropna(subset=["score"]).empty:
        return Section("size", "Score against size", missing("No trial has a score yet."))
    seen_params, seen_macs = (_front_seen(run, column, what) for column, what in _SIZES)
    first = figure(plots.score_by_params(run.leaderboard, score_name=name), "by-params", seen_params)
    second = figure(plots.score_by_macs(run.leaderboard, score_name=name), "by-macs", seen_macs)
    note = "Double-click a figure for all of its points; those far below the median are outside at first."
    return Section("size", "Score against size", part("pair", first=first, second=second) + paragraph(note, "quiet"))


def learning(run: RunRecord) -> Section:
    if run.curves.dropna(subset=["val_score"]).empty:
        return Section("curves", "Learning curves", missing("No trial has reported an epoch yet."))
    ended = run.leaderboard.dropna(subset=["epochs"])
    parts = []
    for status in COLOURS:
        epochs = floats(select_rows(ended, "status", [status]), "epochs")
        if len(epochs):
            parts.append(f"{count(len(epochs), 'trial')} {status.lower()} after {span(epochs)}")
    seen = f"{run.score_name.capitalize()} by epoch, a line a trial, coloured by its ending: {', '.join(parts)}."
    drawn = plots.learning_curves(run.curves, run.leaderboard, score_name=run.score_name)
    return Section("curves", "Learning curves", figure(drawn, "learning", seen))


def rungs(run: RunRecord) -> Section:
    title = "Trials per rung"
    if not run.config.get("max_epochs"):
        return Section("rungs", title, missing("The run has no config.yaml, which would say where its rungs are."))
    if not run.rungs and run.pruner != "asha":
        return Section("rungs", title, missing(f"No trial was stopped early: pruner={run.pruner}."))
    counts = analysis.rungs(run.leaderboard, run.rungs, run.max_epochs)
    if not floats(counts, "reached").any():
        return Section("rungs", title, missing("No searched trial has reached a rung yet."))
    *stops, end = records(counts)
    parts = [f"{row['reached']} reached {in_epochs(row['epochs'])}" for row in stops]
    parts += [f"{end['reached']} were trained to their end"]
    stopped = sum(row["stopped"] for row in stops)
    seen = (
        f"Of the searched trials {', '.join(parts)}; pruner={run.pruner} stopped {stopped}. Published networks are not "
        "counted: they are trained in full."
    )
    return Section("rungs", title, figure(plots.rungs(counts), "rungs-plot", seen))


def importances(run: RunRecord) -> tuple[Section, list[str]]:
    """The section, and the names of the parameters, most important first."""
    title = "Importance of parameters"
    numbers = [row["trial"] for row in records(run.fair, "trial")]
    scores = dict(zip(numbers, floats(run.fair, "score").tolist(), strict=True))
    if len(scores) < FEWEST:
        why = (
            f"Too few trials to say: importances need {FEWEST} that reached {_fair_time(run)}, and {len(scores)} did. "
        )
        return Section("importance", title, missing(f"{why}More trials: ", _more(run))), []
    try:
        found = importance(run.folder / "journal.log", scores, run.direction)
    except ValueError as error:
        return Section("importance", title, missing(f"Not computed: {error}")), []
    shown = found.loc[found["importance"] > 0].head(15)
    top = ", ".join(f"{row['parameter']} ({row['importance']:.0%})" for row in shown.head(3).to_dict("records"))
    rest = len(found) - len(shown)
    seen = (
        f"Most important: {top}. Computed by Optuna's {EVALUATOR} evaluator from {_fair_scores(run)}: how far the "
        f"values of the best {num_best(len(scores))} lie from those of all. It tells nothing of which value is better"
        + (", and from so few trials its order is uncertain." if len(scores) < _MANY else ".")
        + (f" {rest} further parameters have less." if rest > 0 else "")
    )
    return Section("importance", title, figure(plots.importance(shown), "importance-plot", seen)), list(
        found["parameter"]
    )


def effects(run: RunRecord, order: list[str]) -> Section:
    """Parameters stand in this order, those that it does not name after them."""
    title = "Effect of each choice"
    found = analysis.effects(run.fair, direction=run.direction)
    if found.empty:
        why = f"No choice was tried in two ways by trials that reached {_fair_time(run)}. "
        return Section("effects", title, missing(f"{why}More trials: ", _more(run)))
    names = sorted(found["parameter"].unique(), key=lambda name: order.index(name) if name in order else len(order))
    shown, further = names[:_EFFECTS_SHOWN], names[_EFFECTS_SHOWN:]
    axis = f"{run.score_name}, epoch {run.fair_epochs:g}"
    lead = f"Mean of {_fair_scores(run)}, with its 95% interval over these trials. {_CONFOUNDED}"
    html = paragraph(lead) + _effects_figure(found, shown, "effects-plot", axis, run.direction)
    if further:
        more = _effects_figure(found, further, "effects-more", axis, run.direction)
        html += part("folded", summary=count(len(further), "further parameter"), content=more)
    return Section("effects", title, html)


def _front_seen(run: RunRecord, column: str, what: str) -> str:
    """What the figure of score by size shows, from its smallest to its best."""
    scored = run.leaderboard.dropna(subset=["score", column])
    if scored.empty:
        return "No trial has a score yet."
    front = scored.loc[analysis.is_on_front(scored, column, run.direction)].sort_values(by=column)
    if front.empty:
        return f"{run.score_name.capitalize()} by {what}: {count(len(scored), 'trial')}, none of them complete."
    ends = [f"{number(row['score'])} with {row[column]:,} {what}" for row in records(front)]
    told = ends[0] if len(ends) == 1 else f"from {ends[0]} to {ends[-1]}"
    steps = count(len(ends), "network")
    return f"{run.score_name.capitalize()} by {what}. The Pareto front of completed trials has {steps}: {told}."


def _fair_scores(run: RunRecord) -> str:
    return (
        f"the {run.score_name} after {_fair_time(run)}, of all {len(run.fair)} searched trials that reached it"
        f"{', pruned ones included' if run.rungs else ''}, so that all compare after equal training"
    )


def _fair_time(run: RunRecord) -> str:
    """Returns '1 epoch, the first rung' or '18 epochs, a whole trial'."""
    return f"{in_epochs(run.fair_epochs)}, {'the first rung' if run.rungs else 'a whole trial'}"


def _effects_figure(found: pd.DataFrame, names: list[str], anchor: str, axis: str, direction: str) -> Markup:
    shown = found.loc[found["parameter"].isin(names)].copy()
    shown["parameter"] = pd.Categorical(shown["parameter"], names)
    shown = shown.sort_values("parameter", kind="stable").astype({"parameter": str})
    pick = max if direction == "maximize" else min
    parts = []
    for name in names[:_EFFECTS_SHOWN]:
        groups = [row for row in records(shown) if row["parameter"] == name]
        best = pick(groups, key=lambda row: row["mean"])
        parts.append(f"{name} {best['group']} ({number(best['mean'])}, n {best['n']})")
    return figure(
        plots.effects(shown, score_name=axis),
        anchor,
        f"The best mean of each of {len(parts)}: {'; '.join(parts)}.",
    )


def _more(run: RunRecord) -> str:
    return run.command("search.run", f"task={run.task}", f"num_trials={max(2 * FEWEST, len(run.leaderboard) * 2)}")
