"""python -m search.run: one search, from command line to leaderboard and confirmed finalists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from search.command_line.command import FAILED, run_command
from search.planning.config import RunConfig, parse
from search.planning.keys import help_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line says.

    The exit code is 0; 2 for a user's mistake; 1 if the disk is full, all trials fail or Ray is lost; 130 after Ctrl-C,
    143 after SIGTERM, 129 after SIGHUP.
    """
    return run_command("search.run", arguments, help_text=help_text, parse=parse, work=run)


def run(config: RunConfig) -> int:
    return dry_run(config) if config.dry_run else search(config)


def dry_run(config: RunConfig) -> int:
    """Prints the space, what the budget rejects, and a predicted time; trains nothing."""
    from search.command_line.terminal import Terminal
    from search.planning.plan import Plan
    from search.planning.preview import print_preview
    from search.session.session import quiet_optuna

    quiet_optuna()
    print_preview(Plan.of(config), Terminal())
    return 0


def search(config: RunConfig) -> int:
    """One search: data, study, cluster, trials, tables; then the finalists, if the search came to its end."""
    from search.command_line.terminal import Terminal
    from search.planning.plan import Plan
    from search.planning.preview import check_feasible
    from search.planning.warm_start import find_earlier, start_warm
    from search.session.session import open_session, quiet_optuna

    quiet_optuna()
    plan = Plan.of(config)
    check_feasible(plan)
    earlier = find_earlier(plan, Terminal().say)
    with open_session(plan) as session:
        from search.confirm import confirm
        from search.retraining.best_model import settle_best_model
        from search.session.summary import print_start, print_summary
        from search.trials.job import search_job

        print_start(session)
        warm = start_warm(plan, session.study, earlier, plan.identity(session.splits), session.say)
        outcome = session.train(replace(search_job(plan, session.splits), warm=warm), session.study, session.splits)
        model = settle_best_model(session, outcome)
        print_summary(session.terminal, session.plan, session.splits, session.study, outcome, best_model=model)
        if outcome.is_whole:
            confirm(session)
        is_exported = session.export_models()
        session.write_report()
    return session.exit_code(FAILED if outcome.failure or not is_exported else 0)


if __name__ == "__main__":
    sys.exit(main())
