"""python -m search.run: one search, from command line to leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from search.command import FAILED, SIGNALLED, run_command
from search.config import RunConfig, help_text, parse, resume_command
from search.folder import StorageError
from search.signals import stop_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line says.

    The exit code is 0; 2 for a user's mistake; 1 if the disk is full or all trials fail; 130 after Ctrl-C, 143 after
    SIGTERM.
    """
    return run_command("search.run", arguments, help_text=help_text, parse=parse, work=run)


def run(config: RunConfig) -> int:
    return dry_run(config) if config.dry_run else search(config)


def dry_run(config: RunConfig) -> int:
    """Prints the space, what the budget rejects, and a predicted time; trains nothing."""
    from search.plan import Plan
    from search.preview import print_preview

    _quiet_optuna()
    print_preview(Plan.of(config), Console())
    return 0


def search(config: RunConfig) -> int:
    """One search: data, study, cluster, trials, tables."""
    from search.cluster import Cluster
    from search.plan import Plan
    from search.preview import check_feasible, check_reports

    _quiet_optuna()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    plan = Plan.of(config)
    check_feasible(plan)
    splits = plan.load_data(lambda text: console.print(text, style="bold yellow", highlight=False, soft_wrap=True))
    check_reports(plan, splits)
    with plan.folder.locked(), stop_signals() as stop:
        study = plan.open_study(splits)
        with _kept(config), Cluster(config) as cluster:
            stop.listen()  # again, since Ray takes SIGTERM for itself when it starts
            from search.summary import print_start, print_summary
            from search.tuning import run_trials

            slot = cluster.slot(plan.task)
            num_slots = cluster.concurrency(slot)
            cluster.check_room(splits)
            plan.write_config(splits)
            print_start(console, plan, splits, study, slot, num_slots)
            with _no_mistake():
                outcome = run_trials(plan, splits, study, slot, num_slots, console, stop)
                print_summary(console, plan, splits, study, outcome)
    if stop.signal:
        return SIGNALLED + stop.signal
    return FAILED if outcome.failure else 0


@contextmanager
def _kept(config: RunConfig) -> Iterator[None]:
    """Says how to go on where a run is cut short."""
    go_on = f"What the journal holds is kept. To go on: {resume_command(config)}"
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped at once. {go_on}") from None
    except StorageError as error:
        raise StorageError(f"{error}. {go_on}") from error


@contextmanager
def _no_mistake() -> Iterator[None]:
    """Once trials run, a ValueError is no user's mistake: it is shown whole."""
    try:
        yield
    except ValueError as fault:
        raise RuntimeError("a fault of ours; what the journal holds is kept") from fault


def _quiet_optuna() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
