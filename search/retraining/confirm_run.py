"""Confirms a run: retrains its finalists, scores them on the test examples once, and prints the result."""

from __future__ import annotations

from results.analysis.readings import describe_readings
from results.files import StorageError
from results.schema import Status
from results.wording import count
from search.command_line.signals import Stop
from search.planning.config import RunConfig
from search.planning.plan import Plan
from search.planning.resume import confirm_command
from search.retraining.confirmation import Confirmation, finalists_of
from search.retraining.confirmed_table import print_confirmed
from search.retraining.retrain import describe_retryable
from search.retraining.rounds import begin_round, num_test_reads
from search.runs.folder import RunFolder
from search.session.session import Ending, Session, open_session
from search.study.study import Study


def confirm_run(config: RunConfig, stop: Stop | None = None) -> Ending:
    """Confirms the finalists of an earlier run, in a session of its own."""
    with open_session(Plan.of(config), resume_with=confirm_command(config), stop=stop) as session:
        if left := _num_left(session):
            session.terminal.say(
                f"NOTICE: the search has not finished: {count(left, 'trial')} left, perhaps with better candidates.",
                style="bold yellow",
            )
        is_done = confirm(session)
        is_done = session.export_models() and is_done
        session.write_report()
    return session.ending(None if is_done else "not all finalists were confirmed")


def confirm(session: Session) -> bool:
    """Retrains and scores the run's finalists, except those that are confirmed already, and prints the result.

    Returns False if there was nothing to confirm, or if not all were trained.
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
            f": {names}; {count(seeds, 'seed')} each, on {len(held_out.train):,} examples; scored once, on "
            f"{len(held_out.val):,} {confirmation.scored_on} examples",
        )
        job = confirmation.job(study)
        outcome = session.train(job, study, held_out)
    print_confirmed(terminal, confirmation, study)
    if reading := describe_readings(confirmation.rows(study)):
        terminal.say(reading)
    if not outcome.is_whole:
        terminal.say(f"Not all was trained. Resume with: {confirm_command(config)}")
    elif failed := describe_retryable(study, job.given, confirm_command(config)):
        terminal.say(failed, style="bold yellow")
        return False
    return outcome.is_whole


def _open_study(confirmation: Confirmation) -> Study:
    try:
        return confirmation.open_study()
    except ValueError as damaged:  # within a session a ValueError would be an internal error
        raise StorageError(str(damaged)) from None


def _num_left(session: Session) -> int:
    """The number of the search's trials that have not ended."""
    ended = sum(trial.reference is None and trial.status != Status.RUNNING for trial in session.study.current)
    return max(0, session.plan.num_trials - ended)


def describe_test_reads(folder: RunFolder) -> str:
    """Returns how often test examples were read for a run: its confirmation reads them, a search never does."""
    try:
        reads = num_test_reads(folder)
    except ValueError:  # the confirmation reports it in full
        return "read by the run's confirmation, whose journal is damaged"
    return f"read {count(reads, 'time')} by the run's confirmation" if reads else "untouched"
