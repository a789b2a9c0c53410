"""Prints a search's plan at its start and its results at its end."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import results
from data.splits import Splits
from results import tables
from results.locations import is_remote, user_facing_path
from results.runs_at import VARIABLE, is_default
from results.schema import Status
from results.shell import command_line
from results.wording import count, number
from search.command_line.terminal import Column, Table, Terminal
from search.planning.plan import Plan
from search.planning.resume import resume_command
from search.session.session import Session
from search.study.study import Study
from search.trials.outcome import Outcome
from spaces.network import short_number

NUM_BEST = 10


def print_start(session: Session, *, test_reads: str) -> None:
    """Prints the search's plan, data and slots. `test_reads` is a phrase about how often test examples were read."""
    plan, study, slots = session.plan, session.study, session.slots
    config, budget = plan.config, plan.budget
    limits = [
        f"at most {budget.max_params:,} parameters" if budget.max_params else "any number of parameters",
        f"{short_number(budget.max_macs)} MACs" if budget.max_macs else "any number of MACs",
    ]
    later = f", {slots.most} once all nodes have joined" if slots.most > slots.up else ""
    lines = [
        f"data     {_data(session.splits, test_reads)}",
        f"search   {count(plan.num_trials, 'trial')} of up to {count(plan.max_epochs, 'epoch')}, "
        f"{', '.join(limits)}, sampler {config.sampler}, pruner {config.pruner}, seed {config.seed}",
        f"ray      {session.ray}",
        f"slots    {slots.up}, each of {slots.slot}{later}",
        f"run      {user_facing_path(plan.folder.path)}{_worked_on(plan)}",
    ]
    if study.trials:
        ended = sum(trial.status != Status.RUNNING for trial in study.current)
        continuing = f"{len(study.running())} continuing from their last checkpoint"
        lines.append(f"resumed  {count(ended, 'trial')} had ended, {continuing}")
    lines += [f"skipped  reference {name}: {reason}" for name, reason in plan.skipped().items()]
    session.terminal.say((plan.task.name, "bold"), f": {plan.task.sentence}")
    for line in lines:
        session.terminal.say(line)


def print_summary(
    terminal: Terminal,
    plan: Plan,
    splits: Splits,
    study: Study,
    outcome: Outcome,
    *,
    best_model: Path | None,
    test_reads: str,
) -> None:
    """Prints the best trials, how the trials ended, where the files are, and how to resume.

    `best_model` is the file with the best trial's network, if there is one.
    """
    if (best := _best_table(plan)).rows:
        terminal.show(best)
    for line in [
        *_endings(study, plan, outcome),
        *_files(plan, study, best_model),
        f"data: {_data(splits, test_reads)}",
    ]:
        terminal.say(line)
    if splits.origin == "made":
        is_stand_in = splits.name != plan.dataset.name
        instead = f", NOT on {plan.dataset.name}, whose files were not used" if is_stand_in else ", made stand-in data"
        terminal.say(f"NOTICE: these are results on {splits.name}{instead}.", style="bold yellow")
    if outcome.ended_early:
        terminal.say(f"The search ended before its {count(plan.num_trials, 'trial')}: {outcome.ended_early}.")
    if outcome.failure:
        terminal.say(
            "Stopped: all trials so far failed in the same way, so the next ones would too. The last error:",
            style="bold red",
        )
        terminal.say(outcome.failure)
        terminal.say(f"After fixing it, resume with: {resume_command(plan.config)}")
    if outcome.stop.name or outcome.out_of_time:
        reason = outcome.stop.name or "time_budget_seconds"
        terminal.say(f"Stopped by {reason}. Resume with: {resume_command(plan.config)}")


def _worked_on(plan: Plan) -> str:
    return f", worked on in {plan.folder.path}" if is_remote(plan.config.runs_dir) else ""


def _best_table(plan: Plan) -> Table:
    """Returns the best trials, and the references that are not among them."""
    rows = tables.read(plan.folder.path / "leaderboard.parquet", "leaderboard").to_pylist()
    rows = [row for row in rows if row["rank"] is not None and (row["rank"] <= NUM_BEST or row["reference"])]
    further = {f"metric_{name}": name for name in _metrics(rows)}
    if any(row["code_size"] is not None for row in rows):
        further = {"code_size": "code", **further}
    columns = (
        Column("rank", goes=6),
        Column("trial", folds=True),
        Column("score"),
        *(Column(name, goes=2) for name in further.values()),
        Column("parameters", goes=5),
        Column("MACs", goes=3),
        Column("epochs", goes=1),
        Column("status", goes=4, is_text=True),
    )
    table = Table(columns, title=f"the {NUM_BEST} best by {plan.objective_text}")
    for row in rows:
        table.add(
            str(row["rank"]),
            row["reference"] or str(row["trial"]),
            number(row["score"]),
            *(_further_text(row[name]) for name in further),
            f"{row['num_params']:,}",
            short_number(row["num_macs"]),
            f"{row['epochs']:g}",
            row["status"],
            style="cyan" if row["reference"] else "",
        )
    return table


def _metrics(rows: Sequence[Mapping[str, object]]) -> list[str]:
    return [name.removeprefix("metric_") for name in (rows[0] if rows else ()) if name.startswith("metric_")]


def _further_text(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else number(value)


def _endings(study: Study, plan: Plan, outcome: Outcome) -> list[str]:
    counts = {status: sum(trial.status == status for trial in study.current) for status in Status}
    stopped = counts.pop(Status.RUNNING)
    named = [f"{count} {status.lower()}" for status, count in counts.items() if count]
    named += [f"{stopped} stopped"] if stopped else []
    lines = [count(len(study.current), "trial") + (f": {', '.join(named)}" if named else "")]
    if study.repeated:
        lines[0] += f"; {len(study.repeated)} that had failed were retrained, and stay in the tables"
    failed = study.to_repeat(plan.references().keys())
    if failed and not outcome.failure:
        names = ", ".join(sorted({trial.status for trial in failed}))
        lines.append(
            f"{len(failed)} may have failed because of the machine ({names}). After fixing it, retrain them with: "
            f"{resume_command(plan.config)}"
        )
    if study.num_draws:
        reasons = ", ".join(f"{count} {reason}" for reason, count in study.rejected.most_common())
        rejected = f"{study.rejected.total()} of {study.num_draws} draws rejected ({1 - study.acceptance():.0%})"
        lines.append(f"budget: {rejected}" + (f": {reasons}" if reasons else ""))
    share = _training_share(study, outcome)
    if not math.isnan(share):
        lines.append(f"slots: {share:.1%} of slot time was forward, backward, optimizer and validation work")
    return lines


def _training_share(study: Study, outcome: Outcome) -> float:
    reports = [report for trial in study.trials for report in trial.reports if report.order >= outcome.first_report]
    slot_seconds = outcome.slot_seconds
    return sum(report.seconds for report in reports) / slot_seconds if slot_seconds else math.nan


def _files(plan: Plan, study: Study, best_model: Path | None) -> list[str]:
    place = user_facing_path(plan.folder.path)
    lines = [f"tables: {place}/leaderboard.parquet and curves.parquet{_notebook(plan.config.runs_dir)}"]
    if best_model is not None:
        model, code = user_facing_path(best_model), plan.task.code
        has_own = any(trial.candidate.network.has_own_module for trial in study.trials)
        if has_own and code is not None and code.given is not None:  # its text is no file to execute
            return [*lines, f"best model: {model}; try in Python: run.best.model()(examples)"]
        own = ["input=EXAMPLES"] if code else ["input=IMAGES"]
        if has_own:
            own.append(f"task={user_facing_path(plan.folder.task)}")
        lines.append(f"best model: {model}; try: {command_line('search.predict', f'model={model}', *own)}")
    return lines


def _notebook(runs_dir: str) -> str:
    """Returns the notebook's path from here, and the variable that it needs for these runs; "" if it is missing."""
    path = Path(results.__file__).with_name("analysis.ipynb")
    if not path.is_file():
        return ""
    place = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path
    if is_default(runs_dir, here=path.parent):
        return f"; notebook: {place}"
    runs = runs_dir if is_remote(runs_dir) else os.path.abspath(runs_dir)
    return f"; notebook: {place} (with {VARIABLE}={shlex.quote(runs)})"


def _data(splits: Splits, test_reads: str) -> str:
    sizes = f"{len(splits.train):,} training and {len(splits.val):,} validation examples"
    test = f"{len(splits.test):,} test examples {test_reads}"
    return f"{splits.name} ({splits.origin}, {splits.fingerprint}): {sizes}; {test}"
