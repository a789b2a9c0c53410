"""python -m search.replay: retrains one trial from what its run recorded, and compares it with its curve."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from results.keys import CONFIG_HELP, keys_help
from search.command_line.command import FAILED, run_command
from search.command_line.terminal import Terminal
from search.retraining.replaying import USAGE, ReplayConfig, parse, replay_trial

HELP = """
Retrains one trial, alone and without Ray, from what its run recorded: candidate, seed and data. Prints each of its
reports next to the recorded one, and whether losses and score are the same, bit for bit.

A trial that ran on a CPU gives the same bits on the same model of CPU with the same version of PyTorch, even if it was
killed and resumed, or moved to another machine of that kind. Another CPU or version rounds sums differently (one CPU
computes in bfloat16, another in float32), and curves agree within the noise of training. On a GPU, some sums depend on
the order in which threads end, so bit-identical results are not guaranteed. The largest difference is printed.

The exit code is 0 if the curves are the same, 1 if they differ, and 2 for a user's mistake."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Replays the trial that the command line names, and returns the exit code."""
    return run_command("search.replay", arguments, help_text=help_text, parse=parse, work=run)


def help_text() -> str:
    return "\n".join([f"usage: {USAGE}", HELP, "", "Keys:", *keys_help(ReplayConfig), CONFIG_HELP])


def run(config: ReplayConfig) -> int:
    terminal = Terminal()
    found = replay_trial(config, terminal.say)
    terminal.say(found.verdict)
    return FAILED if found.difference else 0


if __name__ == "__main__":
    sys.exit(main())
