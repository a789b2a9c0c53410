"""What would break a run on a cluster, judged from what its nodes say of themselves: who, why, and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from search.checkup.node_facts import NodeFacts
from search.cluster.slots import Nodes, Slot

LOOSE = ("optuna",)
"""Packages that workers do not train with: another version of them there does no harm."""
WORKER_BYTES = 1_000_000_000
"""What a worker takes for itself on a CPU: of tiny10k 0.52 GB (RssAnon) in its first trial, 0.9 and 1.0 GB after 290
small ones (oneDNN keeps kernels for shapes that have been, for one thing); PyTorch 2.15."""
LIBRARY_BYTES = 400_000_000
"""What PyTorch's files take once on a node, shared by its workers: 0.42 GB (RssFile) there."""
USABLE_MEMORY = 0.95
"""Ray kills workers of a node above this share of its memory, unless told otherwise (RAY_memory_usage_threshold)."""
GPU_WORKER_BYTES = 500_000_000
"""What CUDA takes of a GPU for each process before any data, by order of magnitude."""
RAYS_DISK_BYTES = 500_000_000
"""Room for Ray's own logs and sockets on a node."""
FULL_DISK = 0.95
"""Above this share Ray moves nothing from its object store to a disk (RAY_local_fs_capacity_threshold)."""
CLOCK_SECONDS = 1.0
HAS_NOT_JOINED = (
    "it may still be set up, as `ray monitor` with the file shows; Ray refuses a node of another Python or Ray"
)


class Severity(StrEnum):
    ok = "ok"
    warn = "warn"
    broken = "broken"


@dataclass(frozen=True)
class Finding:
    """What was found where, and, unless all is well, what helps."""

    severity: Severity
    node: str
    cause: str
    cure: str = ""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a search takes of a cluster."""

    slot: Slot
    concurrency: int | None = None
    """Trials side by side in all, where that is limited."""
    data_bytes: int
    """Training and validation data: once in each node's object store, and once on the GPU of each trial."""

    def num_trials(self, node: NodeFacts) -> int:
        """How many train side by side on a node."""
        fitting = self.slot.fits(node.resources)
        return fitting if self.concurrency is None else min(fitting, self.concurrency)

    def memory_bytes(self, num_trials: int) -> int:
        """Of a node that trains so many trials side by side."""
        return num_trials * WORKER_BYTES + LIBRARY_BYTES + self.data_bytes

    def gpu_bytes(self) -> int:
        """Of a GPU with as many trials as share it."""
        sharing = max(1, int(1 / self.slot.gpus + 1e-9)) if self.slot.gpus else 0
        return sharing * (GPU_WORKER_BYTES + self.data_bytes)


def judge_nodes(here: NodeFacts, nodes: Sequence[NodeFacts], needs: Needs) -> list[Finding]:
    """What is wrong with each node, or a line that says what it has; `here` is the process that would search."""
    findings = []
    for node in nodes:
        wrong = [finding for check in CHECKS for finding in check(node, here, needs)]
        findings += wrong or [Finding(Severity.ok, node.name, _summary(node, needs))]
    return findings


def judge_missing(
    nodes: Nodes, silent: Mapping[str, str], lost: Mapping[str, str], absent: Sequence[str]
) -> list[Finding]:
    """Nodes that do not answer or were lost, with why, by name; and the workers of a file that are not up."""
    findings = []
    for name, why in silent.items():
        cure = "look at the machine, and at Ray's logs there; `ray stop` and `ray start` there have it join anew"
        findings.append(Finding(Severity.broken, name, f"does not answer: {why}", cure))
    for name, why in lost.items():
        cure = "`ray start` there, or `ray up` again, if it is to come back"
        findings.append(Finding(Severity.warn, name, f"was lost: {why}", cure))
    for name in absent:
        if name not in lost:
            cause = "has not joined, and the cluster's file names it"
            findings.append(Finding(Severity.warn, name, cause, f"{HAS_NOT_JOINED}, which `ray start` there says"))
    expected, num_up = nodes.growth.min_workers if nodes.growth else 0, len(nodes.up) - 1
    if num_up < expected and not absent:
        cause = f"{num_up} of the {expected} workers are up that its file asks for at least"
        findings.append(Finding(Severity.warn, "cluster", cause, HAS_NOT_JOINED))
    return findings


def judge_cluster(nodes: Nodes, slot: Slot) -> Finding:
    """Whether there is a slot for a trial."""
    try:
        nodes.check_fits(slot)
    except ValueError as mistake:
        cure = "have a trial take less (cpus_per_trial=, gpus_per_trial=), or start nodes that have room for one"
        return Finding(Severity.broken, "cluster", str(mistake), cure)
    up, most = nodes.slots_up(slot), nodes.most_slots(slot)
    coming = f"; {most} once all nodes have come that may" if most > up else ""
    return Finding(
        Severity.ok, "cluster", f"{count(len(nodes.up), 'node')}, {count(up, 'slot')} of {slot} each{coming}"
    )


def _versions(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    for name, version in here.versions.items():
        there = node.versions.get(name)
        if there and _public(there) == _public(version):
            continue
        severity = Severity.warn if name in LOOSE else Severity.broken
        found = f"{_titled(name)} {there}" if there else f"no {_titled(name)}"
        yield Finding(severity, node.name, f"{found}, here it is {version}", _install(name, version))


def _install(name: str, version: str) -> str:
    """What brings a version to a node."""
    if name == "python":
        return f"install Python {version} there and the project anew, or here what the nodes have"
    if name == "frugal":
        return "`pip install -e . -c constraints.txt` in the project there, or `ray up` again"
    return f"`pip install {name}=={_public(version)}` there, or on all nodes and here what constraints.txt has"


def _code(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    if node.code == here.code:
        return
    found = "another state of the project's code than here" if node.code else "the project cannot be imported"
    yield Finding(
        Severity.broken, node.name, found, "`ray up` again, which copies file_mounts; or copy and install it there"
    )


def _gpus(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    declared, usable = int(node.resources.get("GPU", 0)), len(node.gpu_bytes)
    severity = Severity.broken if needs.slot.gpus else Severity.warn
    if usable < declared and node.gpus_seen < declared:
        cause = f"Ray was told of {count(declared, 'GPU')}, NVIDIA's driver shows {node.gpus_seen or 'none'}"
        yield Finding(
            severity, node.name, cause, f"start Ray there with --num-gpus={node.gpus_seen}, or see to its driver"
        )
    elif usable < declared:
        cause = f"torch {node.versions.get('torch')} can use {usable} of {count(declared, 'GPU')}{_why(node)}"
        yield Finding(severity, node.name, cause, "a torch with CUDA there, or a newer driver, as torch says")
    elif not declared and node.gpus_seen:
        cause = f"{count(node.gpus_seen, 'GPU')} that Ray was not told of: no trial trains on it"
        yield Finding(Severity.warn, node.name, cause, f"start Ray there with --num-gpus={node.gpus_seen}")
    elif usable and needs.slot.fits(node.resources) and needs.gpu_bytes() > min(node.gpu_bytes):
        cause = (
            f"a GPU of {_gb(min(node.gpu_bytes))}; the trials that share it take {_gb(needs.gpu_bytes())} at the least"
        )
        yield Finding(Severity.broken, node.name, cause, "a larger gpus_per_trial=, or fewer images: train_examples=")


def _store(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    room = int(node.resources.get("object_store_memory", 0))
    if needs.data_bytes > room:
        cause = f"Ray's object store has {_gb(room)}, training and validation data take {_gb(needs.data_bytes)}"
        cure = f"start Ray there with --object-store-memory={2 * needs.data_bytes}, or take less with train_examples="
        yield Finding(Severity.broken, node.name, cause, cure)


def _memory(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    num_trials = needs.num_trials(node)
    free = node.free_memory_bytes - (1 - USABLE_MEMORY) * node.memory_bytes
    if num_trials and needs.memory_bytes(num_trials) > free:
        cause = (
            f"{_gb(free)} of {_gb(node.memory_bytes)} of memory can be had, {count(num_trials, 'trial')} side by side "
            f"take about {_gb(needs.memory_bytes(num_trials))}; Ray would kill some"
        )
        yield Finding(
            Severity.broken, node.name, cause, "a larger cpus_per_trial= or gpus_per_trial= has fewer train at once"
        )


def _disk(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    needed = RAYS_DISK_BYTES + needs.data_bytes
    for disk in node.disks:
        cure = "make room on that disk, or start Ray there with a folder on a larger one: --temp-dir=FOLDER"
        if disk.free_bytes < needed:
            cause = f"{disk.path}: {_gb(disk.free_bytes)} are free, Ray's files may need {_gb(needed)}"
            yield Finding(Severity.broken, node.name, cause, cure)
            return
        if disk.free_bytes < (1 - FULL_DISK) * disk.total_bytes:
            cause = f"{disk.path}: over {FULL_DISK:.0%} full; Ray puts no objects there that it has no memory for"
            yield Finding(Severity.warn, node.name, cause, cure)
            return


def _clock(node: NodeFacts, here: NodeFacts, needs: Needs) -> Iterator[Finding]:
    if abs(node.ahead_seconds) <= CLOCK_SECONDS + node.clock_error_seconds:
        return
    side = "ahead of" if node.ahead_seconds > 0 else "behind"
    yield Finding(
        Severity.warn,
        node.name,
        f"its clock is {abs(node.ahead_seconds):.1f} s {side} the one here: its logs do not go with this one's",
        "have a time service set it: `timedatectl set-ntp true` there",
    )


CHECKS = (_versions, _code, _gpus, _store, _memory, _disk, _clock)


def _summary(node: NodeFacts, needs: Needs) -> str:
    """What a node has, of which nothing is wrong."""
    room = int(node.resources.get("object_store_memory", 0))
    free_disk = min((disk.free_bytes for disk in node.disks), default=0)
    return (
        f"{count(needs.slot.fits(node.resources), 'slot')}{_why_none(node, needs.slot)}; the same versions and code; "
        f"{_gb(node.free_memory_bytes)} of memory, {_gb(room)} of object store, {_gb(free_disk)} of disk"
    )


def _why_none(node: NodeFacts, slot: Slot) -> str:
    if slot.fits(node.resources):
        return ""
    if slot.gpus and not node.resources.get("GPU") and node.resources.get("CPU"):
        return " (it has no GPU and trains nothing; gpus_per_trial=0 has CPUs train)"
    return " (it trains nothing)"


def _why(node: NodeFacts) -> str:
    return f" ({node.gpu_trouble})" if node.gpu_trouble else ""


def _titled(name: str) -> str:
    return {"python": "Python", "ray": "Ray", "frugal": "Frugal"}.get(name, name)


def _public(version: str) -> str:
    """Without what it was built for: 2.15.0+cpu on a head and 2.15.0+cu130 on a worker go together."""
    return version.partition("+")[0]


def count(number: int, noun: str) -> str:
    """'1 node', '2 nodes'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _gb(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.2f} GB" if num_bytes < 1e10 else f"{num_bytes / 1e9:,.0f} GB"
