"""python -m search.run: one search, from command line to leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console

from search.config import USER_ERROR, RunConfig, help_text, parse

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line says; the exit code is 0, 2 for a user's mistake, or 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if any(argument in ("-h", "--help", "help") for argument in arguments):
        print(help_text())
        return 0
    try:
        config = parse(arguments)
        return dry_run(config) if config.dry_run else search(config)
    except ValueError as mistake:
        print(f"search.run: {mistake}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("search.run: stopped at once; what the journal holds is kept", file=sys.stderr)
        return INTERRUPTED


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
    from search.preview import check_feasible

    _quiet_optuna()
    console = Console() if sys.stdout.isatty() else Console(width=120)
    plan = Plan.of(config)
    check_feasible(plan)
    splits = plan.load_data(lambda text: console.print(text, style="bold yellow", highlight=False, soft_wrap=True))
    with plan.locked_folder():
        study = plan.open_study(splits)
        with Cluster(config) as cluster:
            from search.summary import print_start, print_summary
            from search.tuning import run_trials

            slot = cluster.slot(plan.task)
            num_slots = cluster.concurrency(slot)
            print_start(console, plan, splits, study, slot, num_slots)
            try:
                outcome = run_trials(plan, splits, study, slot, num_slots, console)
            except ValueError as fault:  # from here on a ValueError is no user's mistake, and is shown whole
                raise RuntimeError(f"run={config.run}: a fault of ours; what the journal holds is kept") from fault
        print_summary(console, plan, splits, study, outcome)
    return INTERRUPTED if outcome.interrupted else 0


def _quiet_optuna() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
