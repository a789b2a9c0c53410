"""python -m search.confirm: a run's finalists, trained again over several seeds and scored on the test images once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from results.analysis.confirmed import Confirmed, describe_coverage
from results.analysis.readings import describe_readings, mark_name
from results.analysis.statistics import mean_cells
from results.files import StorageError
from results.keys import check_name, key, keys_help, parse_into
from results.locations import user_facing_path
from results.runs_at import RULE, runs_at
from results.schema import Status
from results.shell import argument_of
from results.wording import count, number
from search.command_line.command import FAILED, run_command
from search.command_line.terminal import Column, Table, Terminal
from search.planning.config import RunConfig
from search.planning.config import parse as parse_run
from search.planning.keys import MAX_SEEDS, ConfirmKeys, Export
from search.planning.plan import Plan
from search.planning.resume import confirm_command
from search.retraining.confirmation import Confirmation, finalists_of
from search.retraining.retrain import again, failures
from search.retraining.rounds import begin_round
from search.runs.folder import find_run
from search.session.session import Session, open_session
from search.study.study import Study
from spaces.network import short_number

USAGE = "python -m search.confirm run=NAME"
PROMISE = """
Trains the best completed candidates of a run again, and its best reference, over several seeds: on training and
validation images together, for the length that validation chose, side by side. Then each is scored on the test images,
which no search looks at: once for each training, after its end. What is chosen once this has been done for a run is
marked, in all tables: you may have extended the search for what you saw. Where a dataset has no test images with
answers, training is on the training images, scores are on the validation images, and the table says so.

A search does this by itself when it comes to its end. What has been trained is not trained again: more seeds or a
larger top_k add to it, and what was cut short goes on from its last checkpoint."""
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


@dataclass
class ConfirmConfig:
    """Which run's finalists, and how often."""

    run: str = key("", "name of the run", "needed")
    top_k: int | None = key(None, "number of the best candidates", "the run's confirm.top_k, by default 3", above=0)
    seeds: int | None = key(
        None, "trainings of each", "the run's, 3 unless it was begun otherwise", above=0, most=MAX_SEEDS
    )
    runs_dir: str = key("", "folder of all runs", RULE)
    data: str | None = key(None, "original, made, auto, or the path of your own data", "the run's")
    data_dir: str | None = key(None, "folder of data files, where they have moved", "the run's")
    concurrency: int | None = key(None, "trainings side by side", "all slots", above=0)
    export: Export | None = key(None, "onnx: an ONNX file beside each model", "the run's")
    address: str | None = key(
        None, "Ray cluster to use, or 'local'", "your running cluster if there is one, else local"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Confirms what the command line says."""
    return run_command("search.confirm", arguments, help_text=help_text, parse=parse, work=run)


def help_text() -> str:
    return "\n".join([f"usage: {USAGE}", PROMISE, "", "Keys:", *keys_help(ConfirmConfig)])


def parse(arguments: Sequence[str]) -> RunConfig:
    """The run's configuration as it was begun, with what the command line says of its confirmation."""
    asked = parse_into(ConfirmConfig, arguments, "python -m search.confirm --help")
    if not asked.run:
        raise ValueError(f"run= is needed; usage: {USAGE}")
    check_name("run", asked.run)
    runs_dir = runs_at(asked.runs_dir)
    find_run(runs_dir, asked.run)
    words = {"run": asked.run, "runs_dir": runs_dir, "address": asked.address}
    words |= {"data": asked.data, "data_dir": asked.data_dir}
    words["export"] = asked.export.value if asked.export else None
    numbers = {"confirm.top_k": asked.top_k, "confirm.seeds": asked.seeds, "concurrency": asked.concurrency}
    given = [argument_of(name, text) for name, text in words.items() if text]
    config = parse_run([*given, *(f"{name}={number}" for name, number in numbers.items() if number is not None)])
    top_k = config.confirm.top_k or ConfirmKeys.top_k  # a run may have been started without confirmation
    return replace(config, confirm=replace(config.confirm, top_k=top_k))


def run(config: RunConfig) -> int:
    with open_session(Plan.of(config), go_on=confirm_command(config)) as session:
        if left := _num_left(session):
            notice = f"NOTICE: the search is not at its end, {left} of its trials are left, perhaps better ones."
            session.terminal.say(notice, style="bold yellow")
        is_done = confirm(session)
        is_done = session.export_models() and is_done
        session.write_report()
    return session.exit_code(0 if is_done else FAILED)


def confirm(session: Session) -> bool:
    """Retrains and scores the run's finalists, as far as that has not been done, and says what came out.

    False if there was nothing to confirm, or if not all was trained.
    """
    config, terminal = session.plan.config, session.terminal
    top_k, seeds = config.confirm.top_k, config.confirm.seeds
    confirmation = Confirmation(session.plan, session.splits, finalists_of(session.study), top_k, seeds)
    if not top_k or not confirmation.finalists:
        if top_k:
            terminal.say("confirmation: no trial was trained to its end, so there is nothing to confirm")
        return False
    with confirmation.folder.locked():
        study = _open_study(confirmation)
        begin_round(study, [finalist.name for finalist in confirmation.finalists], seeds)
        held_out = confirmation.held_out()
        names = ", ".join(finalist.name for finalist in confirmation.finalists)
        terminal.say(
            ("\nconfirmation", "bold"),
            f": {names}; {count(seeds, 'seed')} each, on {len(held_out.train):,} images; scored once, on "
            f"{len(held_out.val):,} {confirmation.scored_on} images",
        )
        job = confirmation.job(study)
        outcome = session.train(job, study, held_out)
    print_confirmed(terminal, confirmation, study)
    if told := describe_readings(confirmation.rows(study)):
        terminal.say(told)
    if not outcome.is_whole:
        terminal.say(f"Not all was trained. Resume with: {confirm_command(config)}")
    elif failed := again(study, job.given, confirm_command(config)):
        terminal.say(failed, style="bold yellow")
        return False
    return outcome.is_whole


def _open_study(confirmation: Confirmation) -> Study:
    try:
        return confirmation.open_study()
    except ValueError as damaged:  # within a session a ValueError would be a fault of ours
        raise StorageError(str(damaged)) from None


def _num_left(session: Session) -> int:
    """Trials that the search was asked for and that have not ended."""
    ended = sum(trial.reference is None and trial.status != Status.RUNNING for trial in session.study.current)
    return max(0, session.plan.num_trials - ended)


def print_confirmed(terminal: Terminal, confirmation: Confirmation, study: Study) -> None:
    """Means with their intervals, in the order of validation, and which of them cannot be told apart."""
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
    """Each finalist against the search's first, in pairs of equal seeds and images."""
    gaps = {name: found.gap(names[0], name) for name in names[1:]}
    return [
        f"{names[0]} and {name}: {gap.verdict}; the difference is "
        f"{gap.value:+.2g}, its 95% interval {gap.low:+.2g} to {gap.high:+.2g}, in pairs of equal seeds"
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
    return f"{files}. The search has chosen by these very images, so that the scores are biased upwards"


if __name__ == "__main__":
    sys.exit(main())
