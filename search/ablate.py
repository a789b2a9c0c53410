"""python -m search.ablate: varies one choice around a base, over several seeds, to show what it matters."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from textwrap import fill

from results.keys import CONFIG_HELP, keys_help
from search.command_line.command import run_command
from search.planning.keys import RunKeys
from search.retraining.ablate_config import SHARED, USAGE, AblateConfig, AblateKeys, parse
from spaces import variants

HELP = f"""
Trains a base and its variants over the same seeds, as a run of its own. Each variant has one choice changed and all
else equal. They are trained on the training examples and scored on the validation examples; test examples are not
read. The table has the means with 95% intervals over the seeds, and the difference from the base, paired by seed.

A base is a published network of the task (bertoldi), a trial of a run (NAME/17), or a run (NAME) for its best trial.
All parameters of the task can be varied for a trial; for any base, these can:
{fill(", ".join(variants.names()), 118, initial_indent="  ", subsequent_indent="  ")}
Several are varied in turn, not together: vary=[dropout,pooling] values.dropout=[0,0.1] values.pooling=[max,average].
Without values, a categorical parameter is varied over all its choices.

run=NAME alone resumes an interrupted ablation; more seeds or values add to it."""
EXAMPLE = "example: python -m search.ablate task=tiny10k base=bertoldi vary=dropout values=[0,0.1,0.2] seeds=3"


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains the variants that the command line asks for, and returns the exit code."""
    return run_command("search.ablate", arguments, help_text=help_text, parse=parse, work=run)


def help_text() -> str:
    shared = [line for line in keys_help(RunKeys) if line.split()[0] in SHARED]
    return "\n".join([f"usage: {USAGE}", HELP, "", "Keys:", *keys_help(AblateKeys), *shared, CONFIG_HELP, "", EXAMPLE])


def run(config: AblateConfig) -> int:
    from search.retraining.ablate_run import ablate_run

    return ablate_run(config).exit_code


if __name__ == "__main__":
    sys.exit(main())
