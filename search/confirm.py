"""python -m search.confirm: retrains a run's finalists over several seeds and scores them on the test examples once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from results.keys import CONFIG_HELP, keys_help
from search.command_line.command import run_command
from search.planning.config import RunConfig
from search.retraining.confirm_config import USAGE, ConfirmConfig, parse

HELP = """
Retrains the best completed candidates of a run, and its best reference, over several seeds: on training and validation
examples together, for as many epochs as validation selected, in parallel. Each model is then scored once on the test
examples, which no search reads. Candidates that are chosen after that are marked in all tables: you may have extended
the search because of what you saw. If a dataset has no test examples with answers, finalists are trained on the
training examples and scored on the validation examples, and the table says so.

A search confirms its finalists at its end. Finished trainings are not repeated: more seeds or a larger top_k add to
them, and interrupted ones resume from their last checkpoint."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Confirms the run that the command line names, and returns the exit code."""
    return run_command("search.confirm", arguments, help_text=help_text, parse=parse, work=run)


def help_text() -> str:
    return "\n".join([f"usage: {USAGE}", HELP, "", "Keys:", *keys_help(ConfirmConfig), CONFIG_HELP])


def run(config: RunConfig) -> int:
    from search.retraining.confirm_run import confirm_run

    return confirm_run(config).exit_code


if __name__ == "__main__":
    sys.exit(main())
