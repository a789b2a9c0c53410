"""Checks of a cluster's nodes against what a search needs: versions, code, GPUs, memory, object store, disks, clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data.progress import size_text
from results.wording import count
from search.checkup.findings import Finding, Severity
from search.checkup.node_facts import NodeFacts
from search.cluster.slots import Nodes, Slot

OPTIONAL_ON_WORKERS = ("optuna",)
"""Packages that workers do not train with; another version of them on a worker does no harm."""
WORKER_BYTES = 1_000_000_000
"""A worker's own memory on a CPU. Measured on tiny10k with PyTorch 2.15: 0.52 GB (RssAnon) in its first trial, 0.9 to
1.0 GB after 290 small trials, partly because oneDNN caches kernels for each shape."""
LIBRARY_BYTES = 400_000_000
"""PyTorch's mapped files, which a node's workers share: 0.42 GB (RssFile) in the same measurement."""
USABLE_MEMORY = 0.95
"""Ray kills workers above this share of a node's memory (RAY_memory_usage_threshold's default)."""
GPU_WORKER_BYTES = 500_000_000
"""GPU memory that CUDA uses in each process before any data, to the order of magnitude."""
RAYS_DISK_BYTES = 500_000_000
"""Disk space for Ray's own logs and sockets on a node."""
FULL_DISK = 0.95
"""Ray spills no objects to a disk that is fuller than this (RAY_local_fs_capacity_threshold's default)."""
MAX_CLOCK_DIFFERENCE_SECONDS = 1.0
HAS_NOT_JOINED = (
    "it may still be setting up: `ray monitor` with the file shows it. Ray refuses nodes with another Python or Ray"
)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The resources that a search needs on a cluster."""

    slot: Slot
    concurrency: int | None = None
    """The maximum number of concurrent trials; None for as many as fit."""
    data_bytes: int
    """Size of the training and validation data: one copy in each node's object store, and one on the GPU per trial."""

    def num_trials(self, node: NodeFacts) -> int:
        """Returns how many trials run in parallel on a node."""
        fitting = self.slot.fits(node.resources)
        return fitting if self.concurrency is None else min(fitting, self.concurrency)

    def memory_bytes(self, num_trials: int) -> int:
        """Returns the memory that a node needs for this many parallel trials."""
        return num_trials * WORKER_BYTES + LIBRARY_BYTES + self.data_bytes

    def gpu_bytes(self) -> int:
        """Returns the GPU memory that the trials on one GPU need together."""
        sharing = max(1, int(1 / self.slot.gpus + 1e-9)) if self.slot.gpus else 0
        return sharing * (GPU_WORKER_BYTES + self.data_bytes)


def judge_nodes(here: NodeFacts, nodes: Sequence[NodeFacts], needs: Needs) -> list[Finding]:
    """Returns what is wrong with each node, or one line with its resources. `here` describes the driver's machine."""
    findings = []
    for node in nodes:
        wrong = [finding for check in CHECKS for finding in check(node, here, needs)]
        findings += wrong or [Finding(Severity.ok, node.name, _summary(node, needs))]
    return findings


def judge_missing(
    nodes: Nodes, silent: Mapping[str, str], lost: Mapping[str, str], absent: Sequence[str]
) -> list[Finding]:
    """Returns findings for silent and lost nodes, each with its reason, and for workers of the file that are not up."""
    findings = []
    for name, why in silent.items():
        cure = "check the machine and Ray's logs there; `ray stop` and `ray start` there make it rejoin"
        findings.append(Finding(Severity.broken, name, f"does not answer: {why}", cure))
    for name, why in lost.items():
        cure = "to bring it back, run `ray start` there, or `ray up` again"
        findings.append(Finding(Severity.warn, name, f"was lost: {why}", cure))
    for name in absent:
        if name not in lost:
            cause = "has not joined, although the cluster file names it"
            findings.append(Finding(Severity.warn, name, cause, f"{HAS_NOT_JOINED}, as `ray start` there would report"))
    expected, num_up = nodes.growth.min_workers if nodes.growth else 0, len(nodes.up) - 1
    if num_up < expected and not absent:
        cause = f"only {num_up} of at least {expected} workers that the cluster file asks for are up"
        findings.append(Finding(Severity.warn, "cluster", cause, HAS_NOT_JOINED))
    return findings


def judge_cluster(nodes: Nodes, slot: Slot) -> Finding:
    """Returns whether any node has room for a trial."""
    try:
        nodes.check_fits(slot)
    except ValueError as mistake:
        cure = "give a trial less (cpus_per_trial=, gpus_per_trial=), or start larger nodes"
        return Finding(Severity.broken, "cluster", str(mistake), cure)
    up, maximum = nodes.slots_up(slot), nodes.most_slots(slot)
    growing = f"; up to {maximum} when all workers have started" if maximum > up else ""
    return Finding(
        Severity.ok, "cluster", f"{count(len(nodes.up), 'node')}, {count(up, 'slot')} of {slot} each{growing}"
    )


def _versions(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    for name, version in here.versions.items():
        there = node.versions.get(name)
        if there and _public(there) == _public(version):
            continue
        severity = Severity.warn if name in OPTIONAL_ON_WORKERS else Severity.broken
        found = f"{_titled(name)} {there}" if there else f"no {_titled(name)}"
        yield Finding(severity, node.name, f"{found}, here it is {version}", _install(name, version))


def _install(name: str, version: str) -> str:
    """Returns how to install this version on a node."""
    if name == "python":
        return f"install Python {version} there and reinstall the project, or use the nodes' version here"
    if name == "frugal":
        return "`pip install -e . -c constraints.txt` in the project there, or run `ray up` again"
    return f"`pip install {name}=={_public(version)}` there, or use constraints.txt's versions on all nodes"


def _code(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    if node.code == here.code:
        return
    found = "the project's code differs from the code here" if node.code else "the project cannot be imported"
    yield Finding(
        Severity.broken, node.name, found, "run `ray up` again to copy file_mounts, or copy and install it there"
    )


def _gpus(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    declared, usable = int(node.resources.get("GPU", 0)), len(node.gpu_bytes)
    severity = Severity.broken if needs.slot.gpus else Severity.warn
    if usable < declared and node.gpus_seen < declared:
        cause = f"Ray was started with {count(declared, 'GPU')}, but NVIDIA's driver shows {node.gpus_seen or 'none'}"
        yield Finding(
            severity, node.name, cause, f"start Ray there with --num-gpus={node.gpus_seen}, or repair its driver"
        )
    elif usable < declared:
        cause = f"torch {node.versions.get('torch')} can use {usable} of {count(declared, 'GPU')}{_why(node)}"
        yield Finding(severity, node.name, cause, "install a torch with CUDA there, or a newer driver, as torch says")
    elif not declared and node.gpus_seen:
        cause = f"Ray does not use {count(node.gpus_seen, 'GPU')} of this machine, so no trial trains there"
        yield Finding(Severity.warn, node.name, cause, f"start Ray there with --num-gpus={node.gpus_seen}")
    elif usable and needs.slot.fits(node.resources) and needs.gpu_bytes() > min(node.gpu_bytes):
        smallest, needed = size_text(min(node.gpu_bytes)), size_text(needs.gpu_bytes())
        cause = f"a GPU has {smallest}; the trials that share it need at least {needed}"
        yield Finding(
            Severity.broken, node.name, cause, "set a larger gpus_per_trial=, or use fewer examples: train_examples="
        )


def _store(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    room = int(node.resources.get("object_store_memory", 0))
    if needs.data_bytes > room:
        has, needed = size_text(room), size_text(needs.data_bytes)
        cause = f"Ray's object store has {has}, but training and validation data need {needed}"
        cure = f"start Ray there with --object-store-memory={2 * needs.data_bytes}, or use less with train_examples="
        yield Finding(Severity.broken, node.name, cause, cure)


def _memory(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    num_trials = needs.num_trials(node)
    free = node.free_memory_bytes - (1 - USABLE_MEMORY) * node.memory_bytes
    if num_trials and needs.memory_bytes(num_trials) > free:
        cause = (
            f"{size_text(free)} of {size_text(node.memory_bytes)} of memory are available, but "
            f"{count(num_trials, 'trial')} in parallel need about "
            f"{size_text(needs.memory_bytes(num_trials))}; Ray would kill some"
        )
        yield Finding(
            Severity.broken,
            node.name,
            cause,
            "set a larger cpus_per_trial= or gpus_per_trial=, so that fewer trials run at once",
        )


def _disk(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    needed = RAYS_DISK_BYTES + needs.data_bytes
    for disk in node.disks:
        cure = "make room on that disk, or start Ray there with a folder on a larger one: --temp-dir=FOLDER"
        if disk.free_bytes < needed:
            cause = f"{disk.path}: {size_text(disk.free_bytes)} are free, but Ray's files may need {size_text(needed)}"
            yield Finding(Severity.broken, node.name, cause, cure)
            return
        if disk.free_bytes < (1 - FULL_DISK) * disk.total_bytes:
            cause = f"{disk.path}: over {FULL_DISK:.0%} full; Ray does not spill objects to it when memory runs out"
            yield Finding(Severity.warn, node.name, cause, cure)
            return


def _clock(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    if abs(node.ahead_seconds) <= MAX_CLOCK_DIFFERENCE_SECONDS + node.clock_error_seconds:
        return
    side = "ahead of" if node.ahead_seconds > 0 else "behind"
    yield Finding(
        Severity.warn,
        node.name,
        f"its clock is {abs(node.ahead_seconds):.1f} s {side} the one here, so log timestamps do not line up",
        "synchronize its clock: `timedatectl set-ntp true` there",
    )


CHECKS = (_versions, _code, _gpus, _store, _memory, _disk, _clock)


def _summary(node: NodeFacts, needs: Needs) -> str:
    """Returns the resources of a node on which nothing is wrong."""
    room = int(node.resources.get("object_store_memory", 0))
    free_disk = min((disk.free_bytes for disk in node.disks), default=0)
    return (
        f"{count(needs.slot.fits(node.resources), 'slot')}{_why_none(node, needs.slot)}; the same versions and code; "
        f"{size_text(node.free_memory_bytes)} of memory, {size_text(room)} of object store, "
        f"{size_text(free_disk)} of disk"
    )


def _why_none(node: NodeFacts, slot: Slot) -> str:
    if slot.fits(node.resources):
        return ""
    if slot.gpus and not node.resources.get("GPU") and node.resources.get("CPU"):
        return " (no GPU, so it trains nothing; gpus_per_trial=0 trains on CPUs)"
    return " (it trains nothing)"


def _why(node: NodeFacts) -> str:
    return f" ({node.gpu_trouble})" if node.gpu_trouble else ""


def _titled(name: str) -> str:
    return {"python": "Python", "ray": "Ray", "frugal": "Frugal"}.get(name, name)


def _public(version: str) -> str:
    """Returns the version without its build: 2.15.0+cpu on a head and 2.15.0+cu130 on a worker are compatible."""
    return version.partition("+")[0]
