"""python -m search.doctor: finds what would break a run on this cluster, or with this cluster file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from results.keys import entries_of, key, keys_help, parse_into
from results.wording import count
from search.command_line.command import FAILED, run_command
from search.command_line.terminal import Terminal
from search.planning.config import RunConfig
from search.planning.config import parse as parse_run
from search.planning.keys import MAX_SECONDS, RunKeys

if TYPE_CHECKING:
    pass

USAGE = "python -m search.doctor [cluster.yaml] [key=value ...]"
HELP = """
Looks for what would break a run. For each problem it prints the node, the cause and the cure. It changes nothing and
trains nothing.

  cluster.yaml   checks a cluster file before `ray up`: Ray's schema, paths, keys, and nodes that would train nothing
  no file        checks each node of the running cluster that a search would join (run it on the head): versions of
                 Python, Ray, torch and this project's code; GPUs; memory, object store and disks against what the
                 task needs; clocks. For this it loads the task's data, and downloads them if necessary.

It takes the keys of search.run, so that the command line of a search can be checked. The exit code is 0 if nothing is
broken, even with warnings; 1 if something is broken; 2 for a mistake on the command line."""
KEYS_THAT_MATTER = (
    *("task", "scale", "data", "data_dir", "train_examples", "val_examples", "cpus_per_trial", "gpus_per_trial"),
    *("concurrency", "runs_dir", "address"),
)
"""Keys of search.run that change what the doctor finds."""


@dataclass
class DoctorKeys:
    """Keys of the doctor itself."""

    answer_seconds: float = key(60.0, "seconds that a node may take to answer", above=0, most=MAX_SECONDS)


@dataclass(frozen=True)
class DoctorConfig:
    run: RunConfig
    file: str | None
    answer_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks what the command line names and returns the exit code."""
    return run_command("search.doctor", arguments, help_text=help_text, parse=parse, work=examine)


def help_text() -> str:
    shared = [line for line in keys_help(RunKeys) if line.split()[0] in KEYS_THAT_MATTER]
    return "\n".join([f"usage: {USAGE}", HELP, "", "Keys that make a difference:", *keys_help(DoctorKeys), *shared])


def parse(arguments: Sequence[str]) -> DoctorConfig:
    """Returns the configuration. Raises ValueError that names the key and what it takes."""
    files = [each for each in arguments if "=" not in each]
    own = [each for each in arguments if each.partition("=")[0] in entries_of(DoctorKeys)]
    if len(files) > 1:
        raise ValueError(f"{', '.join(files)}: only one cluster file at a time; usage: {USAGE}")
    keys = parse_into(DoctorKeys, own, "python -m search.doctor --help")
    run = parse_run([each for each in arguments if each not in (*files, *own)])
    return DoctorConfig(run, files[0] if files else None, keys.answer_seconds)


def examine(config: DoctorConfig) -> int:
    """Checks the file, if one is named, then the cluster, if one runs; returns 1 if something is broken, else 0."""
    from search.checkup.cluster_checks import check_cluster
    from search.checkup.cluster_file import check_cluster_file, read_cluster_file
    from search.checkup.findings import Severity, print_findings

    terminal, counts = Terminal(), Counter[Severity]()
    file: dict[str, object] = {}
    if config.file:
        file = read_cluster_file(config.file)
        print_findings(check_cluster_file(config.file, file), terminal, counts)
    for findings in check_cluster(config.run, file, config.answer_seconds, terminal.say):
        print_findings(findings, terminal, counts)
    warnings = count(counts[Severity.warn], "warning")
    terminal.say(f"{counts[Severity.broken]} broken, {warnings}, {counts[Severity.ok]} ok")
    return FAILED if counts[Severity.broken] else 0


if __name__ == "__main__":
    sys.exit(main())
