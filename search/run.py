"""python -m search.run: runs one search, up to a leaderboard and confirmed finalists."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from search.command_line.command import run_command
from search.planning.config import RunConfig, parse
from search.planning.keys import help_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Searches as the command line says, and returns the exit code.

    The exit code is 0; 2 for a user's mistake; 1 if the disk is full, all trials fail or Ray is lost; 130 after Ctrl-C,
    143 after SIGTERM, 129 after SIGHUP.
    """
    return run_command("search.run", arguments, help_text=help_text, parse=parse, work=run)


def run(config: RunConfig) -> int:
    """Runs the search, or prints its preview if `dry_run` is on, and returns the exit code."""
    from search.api import preview, run_search

    if config.dry_run:
        preview(config)
        return 0
    return run_search(config).exit_code


if __name__ == "__main__":
    sys.exit(main())
