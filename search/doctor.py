"""python -m search.doctor: would a run break here, on this cluster or with this cluster file?"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.keys import entries_of, key, keys_help, parse_into
from search.command_line.command import FAILED, run_command
from search.command_line.terminal import Terminal
from search.planning.config import MOST_SECONDS, RunConfig
from search.planning.config import parse as parse_run

if TYPE_CHECKING:
    from search.checkup.findings import Finding
    from search.planning.plan import Plan

USAGE = "python -m search.doctor [cluster.yaml] [key=value ...]"
PROMISE = """
Looks for what would break a run, and says of each thing found on which node it is, why, and what helps. Nothing is
changed, and nothing is trained.

  cluster.yaml   a cluster file is checked before `ray up`: Ray's schema, paths, keys, and what trains nothing
  a cluster      that is up (on its head: the one that a search would join) is asked node by node: versions of Python,
                 Ray, torch and this project's code; GPUs seen and declared; memory, object store and disks against what
                 the task needs; clocks. The task's data are loaded for that, and downloaded if need be.

Takes the keys of search.run, so that its own command line can be checked. The exit code is 0 if nothing is broken,
warnings or not; 1 if something is; 2 for a mistake in what was asked."""
MATTERING = (
    *("task", "scale", "data", "data_dir", "train_examples", "val_examples", "cpus_per_trial", "gpus_per_trial"),
    *("concurrency", "runs_dir", "address"),
)
"""Keys of a search that make a difference here."""
STYLES = {"ok": "green", "warn": "yellow", "broken": "bold red"}
RUN_BYTES = 200_000_000
"""Room for a run's journal, tables, report and the pictures in it."""
BYTES_A_PARAMETER = 12
"""In a checkpoint: the weight, and what Adam keeps of it."""
LARGE_PARAMS = 10_000_000
"""Of a network where the task has no limit."""
NAMED_WIDTH = 12


@dataclass
class DoctorKeys:
    """How the doctor asks."""

    answer_seconds: float = key(60.0, "how long a node may take to answer", above=0, most=MOST_SECONDS)


@dataclass(frozen=True)
class DoctorConfig:
    run: RunConfig
    file: str | None
    answer_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks what the command line says."""
    return run_command("search.doctor", arguments, help_text=help_text, parse=parse, work=examine)


def help_text() -> str:
    shared = [line for line in keys_help(RunConfig) if line.split()[0] in MATTERING]
    return "\n".join([f"usage: {USAGE}", PROMISE, "", "Keys that make a difference:", *keys_help(DoctorKeys), *shared])


def parse(arguments: Sequence[str]) -> DoctorConfig:
    """Raises ValueError that names the key and what it takes."""
    files = [each for each in arguments if "=" not in each]
    mine = [each for each in arguments if each.partition("=")[0] in entries_of(DoctorKeys)]
    if len(files) > 1:
        raise ValueError(f"{', '.join(files)}: one cluster file at a time; usage: {USAGE}")
    keys = parse_into(DoctorKeys, mine, "python -m search.doctor --help")
    run = parse_run([each for each in arguments if each not in (*files, *mine)])
    return DoctorConfig(run, files[0] if files else None, keys.answer_seconds)


def examine(config: DoctorConfig) -> int:
    """The file, if there is one, then the cluster, if one is up; 1 if something is broken, else 0."""
    from search.checkup.findings import Severity, count

    told = _Told()
    file: dict[str, Any] = {}
    if config.file:
        from search.checkup.cluster_file import check_cluster_file, read_cluster_file

        file = read_cluster_file(config.file)
        told.tell(check_cluster_file(config.file, file))
    _examine_cluster(config, file, told)
    counts = told.counts
    told.say(f"{counts[Severity.broken]} broken, {count(counts[Severity.warn], 'warning')}, {counts[Severity.ok]} ok")
    return FAILED if counts[Severity.broken] else 0


class _Told:
    """Prints findings in columns, a line each, and counts them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.terminal = Terminal()

    def tell(self, findings: Iterable[Finding]) -> None:
        findings = list(findings)
        width = max([NAMED_WIDTH, *(len(finding.node) for finding in findings)])
        for finding in findings:
            self.counts[finding.severity] += 1
            cure = f": {finding.cure}" if finding.cure else ""
            severity = (f"{finding.severity:<8}", STYLES[finding.severity])
            self.terminal.say(severity, f"{finding.node:<{width}}  {finding.cause}{cure}")

    def say(self, text: str) -> None:
        self.terminal.say(text)


def _examine_cluster(config: DoctorConfig, file: dict[str, Any], told: _Told) -> None:
    from search.checkup.findings import Finding, Severity
    from search.cluster.connection import Cluster
    from search.cluster.which_ray import OtherVersions, choose_ray

    try:
        choice = choose_ray(config.run.address)
    except OtherVersions as refusal:
        cure = "have one Python and one Ray on all machines; constraints.txt has Ray's version"
        told.tell([Finding(Severity.broken, "here", _one_line(refusal), cure)])
        return
    if choice.not_joined:
        cause = f"{choice.not_joined}. A search would start a Ray of its own on this machine"
        told.tell([Finding(Severity.warn, "cluster", cause, "`ray stop` here forgets one that is gone")])
    elif choice.address is None and config.run.address is None:
        cause = "none is up here; a search would start a Ray of its own on this machine"
        told.tell([Finding(Severity.ok, "cluster", cause, "address=local checks that one")])
    else:
        with Cluster(config.run, choice):
            _examine_nodes(config, file, told)


def _examine_nodes(config: DoctorConfig, file: dict[str, Any], told: _Told) -> None:
    """All of a cluster that is joined."""
    import ray

    from search.checkup.cluster_file import worker_addresses
    from search.checkup.findings import Needs, judge_cluster, judge_missing, judge_nodes
    from search.checkup.node_facts import ask_nodes, look_here, lost_nodes
    from search.cluster.autoscaler import growth_from, running_file
    from search.cluster.slots import Nodes
    from search.planning.plan import Plan

    plan = Plan.of(config.run)
    up = [node for node in ray.nodes() if node["Alive"]]
    running = running_file(ray.get_runtime_context().gcs_address)
    nodes = Nodes(up=[node["Resources"] for node in up], growth=growth_from(running) if running else None)
    slot = nodes.slot(cpus=config.run.cpus_per_trial, gpus=config.run.gpus_per_trial, share=plan.task.gpus_per_trial)
    data_bytes, data = _examine_data(plan, told)
    told.tell([data, _examine_runs_dir(plan, nodes.slots_up(slot))])
    facts, silent = ask_nodes(config.answer_seconds)
    needs = Needs(slot=slot, concurrency=config.run.concurrency, data_bytes=data_bytes)
    told.tell(judge_nodes(look_here(), facts, needs))
    addresses = {node["NodeManagerAddress"] for node in up}
    absent = [name for name in worker_addresses(file or running or {}) if _resolved(name) not in addresses]
    told.tell(judge_missing(nodes, silent, lost_nodes(), absent))
    told.tell([judge_cluster(nodes, slot)])


def _resolved(name: str) -> str:
    """A machine's address; files may have names too."""
    try:
        return socket.gethostbyname(name)
    except OSError:
        return name


def _examine_data(plan: Plan, told: _Told) -> tuple[int, Finding]:
    """The bytes that workers need of the task's data, which are loaded as a search does; 0 where they cannot be had."""
    from search.checkup.findings import Finding, Severity

    try:
        splits = plan.load_data(told.say)
    except ValueError as mistake:
        cure = "data_dir= or data= names others; the README says where they are had"
        return 0, Finding(Severity.broken, "here", f"task={plan.task.name}: {_one_line(mistake)}", cure)
    num_bytes = splits.train.nbytes + splits.val.nbytes
    cause = f"{splits.name}: {num_bytes / 1e6:,.0f} MB of training and validation data"
    return num_bytes, Finding(Severity.ok, "here", cause)


def _examine_runs_dir(plan: Plan, num_slots: int) -> Finding:
    """Whether the folder of runs can be written, and has room for one."""
    from search.checkup.findings import Finding, Severity

    runs_dir = plan.config.runs_dir
    if "://" in runs_dir:
        return Finding(Severity.ok, "here", f"runs_dir={runs_dir}: a search tries it by writing there")
    path = Path(runs_dir).absolute()
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        cure = "give it to yourself, or name another with runs_dir=FOLDER"
        return Finding(Severity.broken, "here", f"runs_dir={runs_dir}: {place} cannot be written to", cure)
    free, needed = shutil.disk_usage(place).free, RUN_BYTES + num_slots * BYTES_A_PARAMETER * _num_params(plan)
    cause = f"runs_dir={runs_dir}: {free / 1e9:,.1f} GB are free"
    if free < needed:
        cause += f", a run may need {needed / 1e9:,.1f} GB"
        return Finding(Severity.broken, "here", cause, "make room, or name another folder with runs_dir=FOLDER")
    return Finding(Severity.ok, "here", cause)


def _num_params(plan: Plan) -> int:
    """Of the largest network that may be trained, as far as that is known."""
    limit = plan.config.max_params or LARGE_PARAMS
    return max([limit, *(candidate.network.num_params for candidate in plan.references().values())])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
