"""python -m search.check: tries a task in seconds, before a search spends hours on it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from results.conditions import readable_goal
from results.keys import CONFIG_HELP, keys_help
from results.wording import count
from search.command_line.command import FAILED, run_command
from search.command_line.terminal import Terminal
from search.planning.config import RunConfig, parse
from search.planning.keys import RunKeys

USAGE = "python -m search.check task=./my_task.py [key=value ...]"
HELP = """
Tries a task on a few of its examples and says what it found, with a cure for each problem: shapes, classes and their
balance, examples in two splits, the budget and counted parameters for 100 draws, a training step, whether the loss of
a repeated batch falls, whether trainings repeat and resume bit for bit, and the export to ONNX. It writes nothing.

It takes the keys of search.run. The exit code is 0 if nothing is broken, even with warnings; 1 if something is broken;
2 for a mistake on the command line or an error in the task's file."""
KEYS_THAT_MATTER = (
    *("task", "scale", "data", "data_dir", "max_params", "max_macs", "max_code", "seed", "fix", "train_examples"),
    *("val_examples", "sigma"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the task that the command line names, and returns the exit code."""
    return run_command("search.check", arguments, help_text=help_text, parse=parse, work=check)


def help_text() -> str:
    shared = [line for line in keys_help(RunKeys) if line.split()[0] in KEYS_THAT_MATTER]
    return "\n".join([f"usage: {USAGE}", HELP, "", "Keys that make a difference:", *shared, CONFIG_HELP])


def check(config: RunConfig) -> int:
    """Prints the findings as they are made; returns 1 if something is broken, else 0."""
    from search.checkup.findings import Severity, print_findings
    from search.checkup.task_checks import check_task
    from search.planning.plan import Plan
    from search.session.session import quiet_optuna

    terminal, counts = Terminal(), Counter[Severity]()
    plan = Plan.of(config)
    terminal.say((plan.task.name, "bold"), f": {plan.task.sentence}; goal {readable_goal(plan.goal_text)}")
    splits = plan.load_data(terminal.say)
    with quiet_optuna():
        for finding in check_task(plan, splits):
            print_findings([finding], terminal, counts)
    terminal.say(
        f"{counts[Severity.broken]} broken, {count(counts[Severity.warn], 'warning')}, {counts[Severity.ok]} ok"
    )
    return FAILED if counts[Severity.broken] else 0


if __name__ == "__main__":
    sys.exit(main())
