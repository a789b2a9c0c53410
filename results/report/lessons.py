"""The report's sections on what can be learned from the trials: sizes, curves, rungs, importances and effects."""

from __future__ import annotations

import pandas as pd
from markupsafe import Markup

from results import analysis, plots
from results.analysis.columns import floats, records, select_rows
from results.analysis.importance import EVALUATOR, FEWEST, importance, num_best
from results.plots.style import COLOURS
from results.report.page import Section, figure, missing, paragraph, part
from results.report.run_record import RunRecord
from results.wording import capitalize, count, epoch_range, number

_MANY = 200  # trials: with fewer, the order of importances is uncertain
_EFFECTS_SHOWN = 8  # parameters; the others are folded
_CONFOUNDED = (
    "These means describe the trials of this run; they do not show that a choice causes a better score. Trials also "
    "differ in other choices, and the sampler draws good values together. An ablation, which changes one choice at a "
    "time, would show causes. An interval shows the uncertainty of the mean for such trials; a long one may extend "
    "beyond the figure."
)
_SIZES = (("num_params", "parameters"), ("num_macs", "MACs"))


def size(run: RunRecord) -> Section:
    name = run.score_name
    if run.leaderboard.dropna(subset=["score"]).empty:
        return Section("size", "Score against size", missing("No trial has a score yet."))
    seen_params, seen_macs = (_front_seen(run, column, what) for column, what in _SIZES)
    first = figure(plots.score_by_params(run.leaderboard, score_name=name), "by-params", seen_params)
    second = figure(plots.score_by_macs(run.leaderboard, score_name=name), "by-macs", seen_macs)
    note = "Double-click a figure to see all points; at first, those far below the median are outside."
    return Section("size", "Score against size", part("pair", first=first, second=second) + paragraph(note, "quiet"))


def learning(run: RunRecord) -> Section:
    if run.curves.dropna(subset=["val_score"]).empty:
        return Section("curves", "Learning curves", missing("No trial has reported yet."))
    ended = run.leaderboard.dropna(subset=["epochs"])
    parts = []
    for status in COLOURS:
        epochs = floats(select_rows(ended, "status", [status]), "epochs")
        if len(epochs):
            parts.append(f"{count(len(epochs), 'trial')} {status.lower()} after {epoch_range(epochs)}")
    seen = (
        f"{capitalize(run.score_name)} by epoch, a line for each trial, coloured by how it ended: {', '.join(parts)}."
    )
    drawn = plots.learning_curves(run.curves, run.leaderboard, score_name=run.score_name)
    return Section("curves", "Learning curves", figure(drawn, "learning", seen))


def rungs(run: RunRecord) -> Section:
    title = "Trials per rung"
    if not run.config.get("max_epochs"):
        return Section("rungs", title, missing("The run has no config.yaml, so its rungs are unknown."))
    if not run.rungs and run.pruner != "asha":
        return Section("rungs", title, missing(f"No trial was stopped early: pruner={run.pruner}."))
    counts = analysis.rungs(run.leaderboard, run.rungs, run.max_epochs)
    if not floats(counts, "reached").any():
        return Section("rungs", title, missing("No searched trial has reached a rung yet."))
    *stops, end = records(counts)
    parts = [f"{row['reached']} reached {count(row['epochs'], 'epoch')}" for row in stops]
    parts += [f"{end['reached']} were trained completely"]
    stopped = sum(row["stopped"] for row in stops)
    seen = (
        f"Of the searched trials {', '.join(parts)}; pruner={run.pruner} stopped {stopped}. Published networks are not "
        "counted, since they are always trained completely."
    )
    return Section("rungs", title, figure(plots.rungs(counts), "rungs-plot", seen))


def importances(run: RunRecord) -> tuple[Section, list[str]]:
    """Makes the section, and returns it with the names of the parameters, most important first."""
    title = "Importance of parameters"
    numbers = [row["trial"] for row in records(run.fair, "trial")]
    scores = dict(zip(numbers, floats(run.fair, "score").tolist(), strict=True))
    if len(scores) < FEWEST:
        why = f"Too few trials: importances need {FEWEST} that reached {_fair_time(run)}, and {len(scores)} did. "
        return Section("importance", title, missing(f"{why}To run more trials: ", _more(run))), []
    try:
        found = importance(run.folder / "journal.log", scores, run.direction)
    except ValueError as error:
        return Section("importance", title, missing(f"Not computed: {error}")), []
    shown = found.loc[found["importance"] > 0].head(15)
    top = ", ".join(f"{row['parameter']} ({row['importance']:.0%})" for row in shown.head(3).to_dict("records"))
    rest = len(found) - len(shown)
    seen = (
        f"Most important: {top}. Optuna's {EVALUATOR} evaluator compares the values of the best "
        f"{num_best(len(scores))} trials with those of all, by {_fair_scores(run)}. It does not say which value is "
        "better"
        + (", and with so few trials the order is uncertain." if len(scores) < _MANY else ".")
        + (f" {rest} other parameters are less important." if rest > 0 else "")
    )
    return Section("importance", title, figure(plots.importance(shown), "importance-plot", seen)), list(
        found["parameter"]
    )


def effects(run: RunRecord, order: list[str]) -> Section:
    """Makes the section, with parameters in this order and all others after them."""
    title = "Effect of each choice"
    found = analysis.effects(run.fair, direction=run.direction)
    if found.empty:
        why = f"No choice had two values among the trials that reached {_fair_time(run)}. "
        return Section("effects", title, missing(f"{why}To run more trials: ", _more(run)))
    names = sorted(found["parameter"].unique(), key=lambda name: order.index(name) if name in order else len(order))
    shown, further = names[:_EFFECTS_SHOWN], names[_EFFECTS_SHOWN:]
    axis = f"{run.score_name}, epoch {run.fair_epochs:g}"
    lead = f"The mean of {_fair_scores(run)}, with its 95% interval over these trials. {_CONFOUNDED}"
    html = paragraph(lead) + _effects_figure(found, shown, "effects-plot", axis, run.direction)
    if further:
        more = _effects_figure(found, further, "effects-more", axis, run.direction)
        html += part("folded", summary=count(len(further), "other parameter"), content=more)
    return Section("effects", title, html)


def _front_seen(run: RunRecord, column: str, what: str) -> str:
    """Returns a caption for score by size, with the smallest and the best network of the front."""
    scored = run.leaderboard.dropna(subset=["score", column])
    if scored.empty:
        return "No trial has a score yet."
    front = scored.loc[analysis.is_on_front(scored, column, run.direction)].sort_values(by=column)
    if front.empty:
        return f"{capitalize(run.score_name)} by {what}: {count(len(scored), 'trial')}, none of them complete."
    ends = [f"{number(row['score'])} with {row[column]:,} {what}" for row in records(front)]
    networks = ends[0] if len(ends) == 1 else f"from {ends[0]} to {ends[-1]}"
    steps = count(len(ends), "network")
    return f"{capitalize(run.score_name)} by {what}. The Pareto front of completed trials has {steps}: {networks}."


def _fair_scores(run: RunRecord) -> str:
    return (
        f"the {run.score_name} after {_fair_time(run)}, of all {len(run.fair)} searched trials that reached it"
        f"{', including pruned ones' if run.rungs else ''}, so that all are compared after equal training"
    )


def _fair_time(run: RunRecord) -> str:
    """Returns '1 epoch, the first rung' or '18 epochs, a whole trial'."""
    return f"{count(run.fair_epochs, 'epoch')}, {'the first rung' if run.rungs else 'a whole trial'}"


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
        f"The best choice of each parameter by its mean: {'; '.join(parts)}.",
    )


def _more(run: RunRecord) -> str:
    return run.command("search.run", f"task={run.task_key}", f"num_trials={max(2 * FEWEST, len(run.leaderboard) * 2)}")
