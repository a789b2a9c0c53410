"""What a node of the cluster says of itself: versions, code, GPUs, memory, disks, its clock.

`look` goes to each node by value, so that one answers too where this project is missing, or another: it needs Python,
Ray and psutil alone.
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
from typing import Any

import psutil

from search.engines import ray as ray_internals

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
"""Ray's number for a node's death that it did not bring about itself (NodeDeathInfo, in its common.proto)."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    path: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """A node as Ray knows it, and as it sees itself."""

    name: str
    resources: Mapping[str, float]
    versions: Mapping[str, str]
    """Of Python and of the packages that are there."""
    code: str | None
    """A fingerprint of this project's source files; None where it cannot be imported."""
    gpus_seen: int
    """By NVIDIA's driver."""
    gpu_bytes: Sequence[int]
    """The memory of each GPU that torch can use; it is asked only where Ray was told of GPUs."""
    gpu_trouble: str
    memory_bytes: int
    free_memory_bytes: int
    """With what Ray's workers hold: a search's workers take their place."""
    disks: Sequence[Disk]
    """Of Ray's own files, and of objects that its object store has no room for."""
    ahead_seconds: float = 0.0
    """Of the clock of this process."""
    clock_error_seconds: float = 0.0
    """The true value is at most so far away: half the way there and back."""


def look_here() -> NodeFacts:
    """This process and its machine; Ray must be connected."""
    return _facts("here", {}, look(False))


def ask_nodes(answer_seconds: float) -> tuple[list[NodeFacts], dict[str, str]]:
    """What each node that is up says, in the order of their names; and of those that say nothing, why."""
    import ray
    from ray import cloudpickle
    from ray.exceptions import GetTimeoutError, RayError

    for module in sys.modules[__name__], ray_internals:
        cloudpickle.register_pickle_by_value(module)
    up = _named(node for node in ray.nodes() if node["Alive"])
    asked = {name: _on(node["NodeID"], look, node["Resources"].get("GPU", 0) > 0) for name, node in up.items()}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=answer_seconds)
    facts, silent = [], {}
    for name, answer in asked.items():
        try:
            said: Any = ray.get(answer, timeout=0.1)
            facts.append(_facts(name, up[name]["Resources"], said, *_compare_clocks(up[name]["NodeID"])))
        except GetTimeoutError:
            silent[name] = f"no answer within {answer_seconds:g} seconds"
            ray.cancel(answer, force=True)
        except RayError as trouble:
            silent[name] = str(trouble).strip().splitlines()[-1]
    return facts, silent


def lost_nodes() -> dict[str, str]:
    """The nodes that were not to go and have not come back, by name, and how Ray noticed."""
    import ray

    nodes = ray.nodes()
    up = {_name(node) for node in nodes if node["Alive"]}
    return {
        _name(node): "".join(node["DeathReasonMessage"].strip().splitlines()[:1])
        for node in nodes
        if node["DeathReason"] == UNEXPECTED_TERMINATION and _name(node) not in up
    }


def look(has_gpus: bool) -> dict[str, Any]:
    """The facts that only this machine knows; torch is asked for its GPUs if Ray was told that there are any."""
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


def _facts(
    name: str, resources: Mapping[str, float], said: dict[str, Any], ahead: float = 0.0, error: float = 0.0
) -> NodeFacts:
    said = said | {"disks": [Disk(**disk) for disk in said["disks"]]}
    return NodeFacts(name=name, resources=resources, ahead_seconds=ahead, clock_error_seconds=error, **said)


def _named(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """In the order of their names; several on one machine have parts of their numbers behind them."""
    named: dict[str, Mapping[str, Any]] = {}
    for node in sorted(nodes, key=_name):
        name = _name(node)
        named[f"{name} ({node['NodeID'][:6]})" if name in named else name] = node
    return named


def _name(node: Mapping[str, Any]) -> str:
    """Its address, unless Ray was started with a name for it."""
    return node["NodeName"] or node["NodeManagerAddress"]


def _on(node_id: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The answer to come of a function that runs on this node; it takes no slot."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    options: dict[str, Any] = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    return ray.remote(**options)(function).remote(*arguments)


def _compare_clocks(node_id: str) -> tuple[float, float]:
    """How far its clock is ahead of ours, and the error of that, by the quickest of several answers."""
    import ray

    readings = []
    for _ in range(CLOCK_READINGS):
        before = time.time()
        there: Any = ray.get(_on(node_id, _clock), timeout=10)
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
    """16 hex digits of SHA-256 over the names and contents of all source files."""
    digest = hashlib.sha256()
    for package in CODE:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:  # a folder that only has the name
            return None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            if "runs" in path.relative_to(root).parts:  # what searches leave, not code
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
    """The memory of each GPU, as torch sees them in a process that may use all; and what was wrong, if anything."""
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


def _memory(raylet: Any) -> tuple[int, int]:
    """All there is, and what is free or held by Ray's workers on this node."""
    held = 0
    for worker in raylet.children() if raylet else []:
        try:
            memory = worker.memory_info()
        except psutil.Error:  # it has ended meanwhile
            continue
        held += memory.rss - getattr(memory, "shared", 0)
    total, used = ray_internals.memory_bytes()
    return total, total - used + held


def _disks(raylet: Any) -> list[dict[str, Any]]:
    """Where Ray on this node keeps its files, and objects that its store has no room for."""
    options = dict(word.partition("=")[::2] for word in raylet.cmdline()) if raylet else {}
    paths = [options[name] for name in ("--session_dir", "--fallback_directory") if name in options]
    return [_usage(path) for path in dict.fromkeys(paths)]


def _raylet() -> Any:
    """The process that Ray runs on each node, the parent of its workers; None outside one."""
    parent = psutil.Process().parent()
    return parent if parent and "raylet" in parent.name() else None


def _usage(path: str) -> dict[str, Any]:
    usage = shutil.disk_usage(path)
    return {"path": path, "free_bytes": usage.free, "total_bytes": usage.total}
