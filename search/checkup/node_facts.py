"""The facts of a cluster's nodes: versions, code, GPUs, memory, disks and clock.

`look` is sent to each node by value and needs only Python, Ray and psutil there, so a node answers even if this
project is missing or differs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypedDict, TypeVar

import psutil

from search.engines import ray as ray_internals

if TYPE_CHECKING:
    import ray

P = ParamSpec("P")
T = TypeVar("T")

PACKAGES = ("ray", "torch", "torchvision", "numpy", "optuna", "frugal")
CODE = ("search", "spaces", "trainables", "data", "results")
USABLE_GPUS = """
import json, warnings
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    import torch
    gpus = [torch.cuda.get_device_properties(gpu).total_memory for gpu in range(torch.cuda.device_count())]
said = [str(each.message) for each in warned] if torch.version.cuda or torch.version.hip else ["built without CUDA"]
print(json.dumps([gpus, " ".join(said[-1:])]))
"""
CLOCK_READINGS = 5
UNEXPECTED_TERMINATION = 2
"""Ray's number for the unexpected death of a node (NodeDeathInfo in its common.proto)."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    path: str
    free_bytes: int
    total_bytes: int


class Node(TypedDict):
    """A node as Ray lists it, without the fields that are not used here."""

    NodeID: str
    NodeName: str
    NodeManagerAddress: str
    Alive: bool
    Resources: dict[str, float]
    DeathReason: int
    DeathReasonMessage: str


class Look(TypedDict):
    """The facts that a node reports about itself, as plain values, since they are sent between processes."""

    versions: dict[str, str]
    code: str | None
    gpus_seen: int
    gpu_bytes: list[int]
    gpu_trouble: str
    memory_bytes: int
    free_memory_bytes: int
    disks: list[DiskUsage]


class DiskUsage(TypedDict):
    """The fields of a Disk, as plain values."""

    path: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """A node as Ray describes it, and as it describes itself."""

    name: str
    resources: Mapping[str, float]
    versions: Mapping[str, str]
    """The versions of Python and of the installed packages, by name."""
    code: str | None
    """A fingerprint of this project's source files; None if it cannot be imported."""
    gpus_seen: int
    """The number of GPUs that NVIDIA's driver lists."""
    gpu_bytes: Sequence[int]
    """The memory of each GPU that torch can use; empty if Ray was started without GPUs."""
    gpu_trouble: str
    memory_bytes: int
    free_memory_bytes: int
    """Free memory plus what Ray's workers hold, since a search's workers will replace them."""
    disks: Sequence[Disk]
    """The disks of Ray's own files and of objects that do not fit into its object store."""
    ahead_seconds: float = 0.0
    """How far the node's clock is ahead of this process's clock."""
    clock_error_seconds: float = 0.0
    """The largest possible error of `ahead_seconds`: half the round-trip time."""


def look_here() -> NodeFacts:
    """Returns the facts of this process and its machine. Ray must be connected."""
    return _facts("here", {}, look(False))


def ask_nodes(answer_seconds: float) -> tuple[list[NodeFacts], dict[str, str]]:
    """Asks every live node; returns the facts of those that answer, sorted by name, and why each other one does not."""
    import ray
    from ray import cloudpickle
    from ray.exceptions import GetTimeoutError, RayError

    for module in sys.modules[__name__], ray_internals:
        cloudpickle.register_pickle_by_value(module)
    up = _by_name(node for node in ray.nodes() if node["Alive"])
    asked = {name: _on(node["NodeID"], look, node["Resources"].get("GPU", 0) > 0) for name, node in up.items()}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=answer_seconds)
    facts, silent = [], {}
    for name, answer in asked.items():
        try:
            found = ray.get(answer, timeout=0.1)
            facts.append(_facts(name, up[name]["Resources"], found, *_compare_clocks(up[name]["NodeID"])))
        except GetTimeoutError:
            silent[name] = f"no answer within {answer_seconds:g} seconds"
            ray.cancel(answer, force=True)
        except RayError as trouble:
            silent[name] = str(trouble).strip().splitlines()[-1]
    return facts, silent


def lost_nodes() -> dict[str, str]:
    """Returns the nodes that died unexpectedly and have not come back: by name, Ray's reason."""
    import ray

    nodes = ray.nodes()
    up = {_name(node) for node in nodes if node["Alive"]}
    return {
        _name(node): "".join(node["DeathReasonMessage"].strip().splitlines()[:1])
        for node in nodes
        if node["DeathReason"] == UNEXPECTED_TERMINATION and _name(node) not in up
    }


def look(has_gpus: bool) -> Look:
    """Returns the facts that only this machine knows. With `has_gpus`, torch is asked for the GPUs that it can use."""
    raylet = _raylet()
    memory, free_memory = _memory(raylet)
    gpu_bytes, trouble = _usable_gpus() if has_gpus else ([], "")
    return {
        "versions": _versions(),
        "code": _code(),
        "gpus_seen": _gpus_seen(),
        "gpu_bytes": gpu_bytes,
        "gpu_trouble": trouble,
        "memory_bytes": memory,
        "free_memory_bytes": free_memory,
        "disks": _disks(raylet),
    }


def _facts(name: str, resources: Mapping[str, float], found: Look, ahead: float = 0.0, error: float = 0.0) -> NodeFacts:
    return NodeFacts(
        name=name,
        resources=resources,
        versions=found["versions"],
        code=found["code"],
        gpus_seen=found["gpus_seen"],
        gpu_bytes=found["gpu_bytes"],
        gpu_trouble=found["gpu_trouble"],
        memory_bytes=found["memory_bytes"],
        free_memory_bytes=found["free_memory_bytes"],
        disks=[Disk(**disk) for disk in found["disks"]],
        ahead_seconds=ahead,
        clock_error_seconds=error,
    )


def _by_name(nodes: Iterable[Node]) -> dict[str, Node]:
    """Returns the nodes sorted by name. Several nodes on one machine get part of their id as a suffix."""
    named: dict[str, Node] = {}
    for node in sorted(nodes, key=_name):
        name = _name(node)
        named[f"{name} ({node['NodeID'][:6]})" if name in named else name] = node
    return named


def _name(node: Node) -> str:
    """Returns the name that Ray was started with, or the address."""
    return node["NodeName"] or node["NodeManagerAddress"]


def _on(node_id: str, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> ray.ObjectRef[T]:
    """Starts a function on a node, without using a slot, and returns a reference to its result."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    return ray.remote(**options)(function).remote(*arguments, **named)


def _compare_clocks(node_id: str) -> tuple[float, float]:
    """Returns how far a node's clock is ahead of ours, and the largest error, in seconds, by the quickest answer."""
    import ray

    readings = []
    for _ in range(CLOCK_READINGS):
        before = time.time()
        there = ray.get(_on(node_id, _clock), timeout=10)
        after = time.time()
        readings.append(((after - before) / 2, there - (before + after) / 2))
    error, ahead = min(readings)
    return ahead, error


def _clock() -> float:
    return time.time()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _code() -> str | None:
    """Returns 16 hex digits of a SHA-256 over the names and contents of all source files."""
    digest = hashlib.sha256()
    for package in CODE:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:  # a folder that merely has the name
            return None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            if "runs" in path.relative_to(root).parts:  # the output of searches, not code
                continue
            digest.update(f"{package}/{path.relative_to(root)}".encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _gpus_seen() -> int:
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def _usable_gpus() -> tuple[list[int], str]:
    """Returns the memory in bytes of each GPU that torch can use, and what went wrong, if anything."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    command = [sys.executable, "-c", USABLE_GPUS]
    try:
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], str(error)
    if asked.returncode != 0:
        return [], "".join(asked.stderr.splitlines()[-1:])
    gpu_bytes, trouble = json.loads(asked.stdout.splitlines()[-1])
    return gpu_bytes, trouble


def _memory(raylet: psutil.Process | None) -> tuple[int, int]:
    """Returns the total memory in bytes, and what of it is free or held by Ray's workers on this node."""
    held = 0
    for worker in raylet.children() if raylet else []:
        try:
            memory = worker.memory_info()
        except psutil.Error:  # the worker has ended
            continue
        held += memory.rss - getattr(memory, "shared", 0)
    total, used = ray_internals.memory_bytes()
    return total, total - used + held


def _disks(raylet: psutil.Process | None) -> list[DiskUsage]:
    """Returns the disks on which Ray on this node keeps its files and spilled objects."""
    words = raylet.cmdline() if raylet else []
    options = {name: value for name, _, value in (word.partition("=") for word in words)}
    paths = [options[name] for name in ("--session_dir", "--fallback_directory") if name in options]
    return [_usage(path) for path in dict.fromkeys(paths)]


def _raylet() -> psutil.Process | None:
    """Returns Ray's process on this node, the parent of its workers; None outside a worker."""
    parent = psutil.Process().parent()
    return parent if parent and "raylet" in parent.name() else None


def _usage(path: str) -> DiskUsage:
    usage = shutil.disk_usage(path)
    return {"path": path, "free_bytes": usage.free, "total_bytes": usage.total}
