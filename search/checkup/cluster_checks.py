"""The check of the Ray that a search would use: which one it is, and each of its nodes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping

from search.checkup.cluster_file import worker_addresses
from search.checkup.findings import Finding, Severity
from search.checkup.local_checks import check_data, check_runs_dir, in_one_line
from search.checkup.node_checks import Needs, judge_cluster, judge_missing, judge_nodes
from search.cluster.slots import Nodes
from search.planning.config import RunConfig

Say = Callable[[str], None]


def check_cluster(
    config: RunConfig, file: Mapping[str, object], answer_seconds: float, say: Say
) -> Iterator[list[Finding]]:
    """Yields findings as they are made, a list for each part of the check.

    `file` is the cluster file, empty if none was named. Nodes have `answer_seconds` to answer. `say` is called with the
    progress of downloads.
    """
    from search.cluster.connection import Cluster
    from search.cluster.which_ray import OtherVersions, choose_ray

    try:
        choice = choose_ray(config.address)
    except OtherVersions as refusal:
        cure = "use one Python and one Ray on all machines; constraints.txt has Ray's version"
        yield [Finding(Severity.broken, "here", in_one_line(refusal), cure)]
        return
    if choice.not_joined:
        cause = f"{choice.not_joined}. A search would start its own Ray on this machine"
        yield [Finding(Severity.warn, "cluster", cause, "if it no longer runs, `ray stop` here removes its record")]
    elif choice.address is None and config.address is None:
        cause = "no cluster is running here; a search would start its own Ray on this machine"
        yield [Finding(Severity.ok, "cluster", cause, "address=local checks that one")]
    else:
        with Cluster(config, choice):
            yield from _check_nodes(config, file, answer_seconds, say)


def _check_nodes(
    config: RunConfig, file: Mapping[str, object], answer_seconds: float, say: Say
) -> Iterator[list[Finding]]:
    """Checks a cluster that this process has joined."""
    import ray

    from search.checkup.node_facts import ask_nodes, look_here, lost_nodes
    from search.cluster.autoscaler import growth_from, running_file
    from search.planning.plan import Plan

    plan = Plan.of(config)
    up = [node for node in ray.nodes() if node["Alive"]]
    running = running_file(ray.get_runtime_context().gcs_address)
    nodes = Nodes(up=[node["Resources"] for node in up], growth=growth_from(running) if running else None)
    slot = nodes.slot(cpus=config.cpus_per_trial, gpus=config.gpus_per_trial, share=plan.task.gpus_per_trial)
    data_bytes, data = check_data(plan, say)
    yield [data, check_runs_dir(plan, nodes.slots_up(slot))]
    facts, silent = ask_nodes(answer_seconds)
    yield judge_nodes(look_here(), facts, Needs(slot=slot, concurrency=config.concurrency, data_bytes=data_bytes))
    addresses = {node["NodeManagerAddress"] for node in up}
    absent = [name for name in worker_addresses(file or running or {}) if _resolve(name) not in addresses]
    yield judge_missing(nodes, silent, lost_nodes(), absent)
    yield [judge_cluster(nodes, slot)]


def _resolve(name: str) -> str:
    """Returns a machine's address; a cluster file may hold host names too."""
    try:
        return socket.gethostbyname(name)
    except OSError:
        return name
