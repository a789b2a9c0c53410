"""The doctor: of each way in which a node can be broken it names node, cause and cure, and no other node."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
from ray._raylet import GcsClient

from search.checkup.findings import Finding
from search.checkup.node_checks import Needs, judge_cluster, judge_missing, judge_nodes
from search.checkup.node_facts import Disk, NodeFacts
from search.cluster.slots import Growth, Nodes, NodeType, Slot
from search.doctor import main
from tests.search.command import ROOT, environment
from tests.waiting import HANG_SECONDS

CLUSTER = """
import json, os, signal, sys
from ray.cluster_utils import Cluster

head, *others = json.loads(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **head})
silent = []
for options in others:
    is_silent = options.pop("is_silent", False)
    node = cluster.add_node(**options)
    silent += [process.process.pid for process in node.all_processes["raylet"]] if is_silent else []
for raylet in silent:
    os.kill(raylet, signal.SIGSTOP)
print(f"address={cluster.address}", flush=True)
sys.stdin.read()
for raylet in silent:
    os.kill(raylet, signal.SIGCONT)
cluster.shutdown()
"""
MACHINES = """
cluster_name: machines
provider: {type: local, head_ip: 10.0.0.1, worker_ips: [10.0.0.2]}
file_mounts: {~/machines.yaml: machines.yaml}
setup_commands: [pip install -e . -c constraints.txt]
head_start_ray_commands: [ray start --head --num-cpus=0]
"""
GB = 10**9
GOOD = NodeFacts(
    name="good",
    resources={"CPU": 4, "object_store_memory": GB, "GPU": 1},
    versions={"python": "3.11.7", "ray": "2.60.0", "torch": "2.15.0+cpu", "optuna": "5.0.0", "frugal": "0.1.0"},
    code="a1b2",
    gpus_seen=1,
    gpu_bytes=[24 * GB],
    gpu_trouble="",
    memory_bytes=16 * GB,
    free_memory_bytes=14 * GB,
    disks=[Disk(path="/tmp/ray/session", free_bytes=50 * GB, total_bytes=100 * GB)],
    ahead_seconds=0.4,
    clock_error_seconds=0.001,
)
NEEDS = Needs(slot=Slot(cpus=1, gpus=0.25), data_bytes=200_000_000)
HERE = replace(GOOD, name="here", resources={})


def versions(**others: str | None) -> dict[str, Any]:
    changed = {**GOOD.versions, **others}
    return {"versions": {name: version for name, version in changed.items() if version}}


def resources(**others: float) -> dict[str, Any]:
    return {"resources": {**GOOD.resources, **others}}


def disk(free_bytes: int) -> dict[str, Any]:
    return {"disks": [*GOOD.disks, Disk(path="/spilled", free_bytes=free_bytes, total_bytes=1000 * GB)]}


@pytest.mark.parametrize(
    ("broken", "severity", "parts"),
    [
        (versions(python="3.12.1"), "broken", ["Python 3.12.1, here it is 3.11.7", "install Python 3.11.7 there"]),
        (versions(ray="2.59.0"), "broken", ["Ray 2.59.0, here it is 2.60.0", "`pip install ray==2.60.0` there"]),
        (versions(torch="2.14.0"), "broken", ["torch 2.14.0, here it is 2.15.0+cpu", "`pip install torch==2.15.0`"]),
        (versions(torch=None), "broken", ["no torch, here it is 2.15.0+cpu", "`pip install torch==2.15.0` there"]),
        (versions(frugal="0.0.9"), "broken", ["Frugal 0.0.9, here it is 0.1.0", "`ray up` again"]),
        (versions(optuna="4.0.0"), "warn", ["optuna 4.0.0, here it is 5.0.0", "`pip install optuna==5.0.0` there"]),
        ({"code": "c3d4"}, "broken", ["the project's code differs from the code here", "`ray up` again"]),
        ({"code": None}, "broken", ["the project cannot be imported", "copy and install it there"]),
        (
            {"gpus_seen": 0, "gpu_bytes": []},
            "broken",
            ["started with 1 GPU, but NVIDIA's driver shows none", "--num-gpus=0", "its driver"],
        ),
        (
            {"gpu_bytes": [], "gpu_trouble": "built without CUDA"},
            "broken",
            ["torch 2.15.0+cpu can use 0 of 1 GPU (built without CUDA)", "a torch with CUDA there"],
        ),
        ({"gpu_bytes": [2 * GB]}, "broken", ["a GPU has 2.00 GB", "need at least 2.80 GB", "gpus_per_trial="]),
        (
            {**resources(GPU=0), "gpu_bytes": []},
            "warn",
            ["Ray does not use 1 GPU", "start Ray there with --num-gpus=1"],
        ),
        (
            resources(object_store_memory=80_000_000),
            "broken",
            ["object store has 0.08 GB", "data need 0.20 GB", "--object-store-memory=400000000", "train_examples="],
        ),
        (
            {"free_memory_bytes": 4 * GB},
            "broken",
            ["3.20 GB of 16 GB of memory are available", "4 trials in parallel need about 4.60 GB", "cpus_per_trial="],
        ),
        (disk(600_000_000), "broken", ["/spilled: 0.60 GB are free", "may need 0.70 GB", "make room", "--temp-dir="]),
        (disk(40 * GB), "warn", ["/spilled: over 95% full", "make room on that disk"]),
        ({"ahead_seconds": 4.2}, "warn", ["its clock is 4.2 s ahead of the one here", "timedatectl set-ntp true"]),
        ({"ahead_seconds": -75.0}, "warn", ["its clock is 75.0 s behind the one here"]),
    ],
)
def test_one_broken_node_is_named_with_cause_and_cure_and_no_other(broken, severity: str, parts: list[str]):
    nodes = [GOOD, replace(GOOD, name="bad", **broken), replace(GOOD, name="other")]
    good, bad, other = judge_nodes(HERE, nodes, NEEDS)
    assert (bad.severity, bad.node) == (severity, "bad")
    assert [part for part in parts if part not in f"{bad.cause}: {bad.cure}"] == [], bad
    assert [(finding.severity, finding.node) for finding in (good, other)] == [("ok", "good"), ("ok", "other")]


def test_what_a_good_node_has_is_told_in_a_line():
    (finding,) = judge_nodes(HERE, [GOOD], NEEDS)
    expected = "4 slots; the same versions and code; 14 GB of memory, 1.00 GB of object store, 50 GB of disk"
    assert finding == Finding(finding.severity, "good", expected)
    (same,) = judge_nodes(HERE, [replace(GOOD, **versions(torch="2.15.0+cu130"))], NEEDS)
    assert same.severity == "ok", "a head without GPUs may have another build of the same version"


def test_a_node_that_trains_nothing_needs_no_room_for_trials_and_is_told_why():
    small = replace(GOOD, gpus_seen=0, gpu_bytes=[], free_memory_bytes=GB, **resources(GPU=0))
    (finding,) = judge_nodes(HERE, [small], NEEDS)
    assert finding.severity == "ok"
    assert finding.cause.startswith("0 slots (no GPU, so it trains nothing; gpus_per_trial=0 trains on CPUs)")
    (head,) = judge_nodes(HERE, [replace(small, **resources(GPU=0, CPU=0))], NEEDS)
    assert head.cause.startswith("0 slots (it trains nothing)")


def test_fewer_trials_side_by_side_need_less_of_a_node():
    (finding,) = judge_nodes(HERE, [replace(GOOD, free_memory_bytes=3 * GB)], replace(NEEDS, concurrency=1))
    assert finding.severity == "ok"


def test_a_gpu_that_is_not_there_breaks_only_what_trains_on_gpus():
    blind = replace(GOOD, gpus_seen=0, gpu_bytes=[])
    (finding,) = judge_nodes(HERE, [blind], replace(NEEDS, slot=Slot(cpus=1, gpus=0)))
    assert finding.severity == "warn"


def test_nodes_that_are_not_there_are_told():
    growth = Growth(head={}, types=[NodeType(resources={"CPU": 4}, max_count=4)], max_workers=4, min_workers=2)
    nodes = Nodes(up=[{}, {"CPU": 4}], growth=growth)
    assert judge_missing(replace(nodes, growth=None), {}, {}, []) == []
    (few,) = judge_missing(nodes, {}, {}, [])
    assert (few.severity, few.node) == ("warn", "cluster")
    assert few.cause.startswith("only 1 of at least 2 workers")
    silent, lost, absent = judge_missing(nodes, {"a": "no answer"}, {"b": "too many heartbeats"}, ["b", "10.0.0.3"])
    assert (silent.severity, silent.node, silent.cause) == ("broken", "a", "does not answer: no answer")
    assert (lost.severity, lost.node, lost.cause) == ("warn", "b", "was lost: too many heartbeats")
    assert (absent.severity, absent.node) == ("warn", "10.0.0.3")
    assert "another Python or Ray" in absent.cure
    assert all("`ray start`" in finding.cure for finding in (silent, lost, absent))


def test_a_cluster_without_a_slot_is_broken_unless_workers_may_come():
    head = Nodes(up=[{"CPU": 0}])
    none = judge_cluster(head, NEEDS.slot)
    assert (none.severity, none.node) == ("broken", "cluster")
    assert "no node has room for a trial; there are 0 CPUs, 0 GPUs" in none.cause
    assert "gpus_per_trial=" in none.cure
    growth = Growth(head={}, types=[NodeType(resources={"CPU": 4, "GPU": 1}, max_count=2)], max_workers=2)
    coming = judge_cluster(replace(head, growth=growth), NEEDS.slot)
    assert coming.severity == "ok"
    assert coming.cause.startswith("1 node, 0 slots of ")
    assert coming.cause.endswith("; up to 8 when all workers have started")


@dataclass(frozen=True)
class Simulated:
    """A cluster of several nodes on this machine, and the folder in which its Ray was started."""

    address: str
    temp: str


@contextmanager
def simulated(*nodes: Mapping[str, Any]) -> Iterator[Simulated]:
    """The first one is the head. In a folder of its own, so that no other Ray here is met; sockets need a short one."""
    with tempfile.TemporaryDirectory(prefix="fd", ignore_cleanup_errors=True) as temp:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-c", CLUSTER, json.dumps(nodes)]
        with subprocess.Popen(command, env=environment() | {"RAY_TMPDIR": temp}, text=True, **pipes) as process:
            assert process.stdout
            line = next(line.strip() for line in process.stdout if line.startswith("address="))
            yield Simulated(line, temp)
            process.communicate()


def examined(cluster: Simulated, folder: Path, *arguments: str) -> tuple[int, list[tuple[str, str, str]], str]:
    """The whole command, run in a folder: its exit code, its findings, and the last line.

    It finds programs in that folder too, ahead of the machine's.
    """
    command = [sys.executable, "-m", "search.doctor", cluster.address, *arguments]
    env = environment() | {"RAY_TMPDIR": cluster.temp, "PYTHONPATH": str(ROOT)}
    env["PATH"] = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=HANG_SECONDS)
    *lines, last = done.stdout.splitlines()
    matches = [re.fullmatch(r"(ok|warn|broken) +(\S+) +(.*)", line) for line in lines]
    assert all(matches), done.stdout + done.stderr
    return done.returncode, [match.groups() for match in matches if match], last  # type: ignore[misc]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds no project: a node's own code is found before the one that is installed."""
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture(scope="module")
def images(folder: Path) -> str:
    """Own images, too many for a small object store."""
    x = np.random.default_rng(0).integers(0, 255, (2_000, 256, 256), dtype=np.uint8)
    np.savez(folder / "images.npz", x=x, y=np.arange(len(x)) % 2)
    return f"data={folder}/images.npz"


@pytest.fixture(scope="module")
def small_disk(folder: Path) -> Iterator[str | None]:
    """A disk of 64 MB, where one can be mounted."""
    place = folder / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    is_mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    yield str(place) if is_mounted else None
    if is_mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture(scope="module")
def broken(folder: Path, small_disk: str | None) -> Iterator[Simulated]:
    """Nodes that are each broken in a way of its own, beside a head that is not."""
    torch, code, seen = folder / "torch", folder / "code", folder / "seen"
    (torch / "torch-2.0.0.dist-info").mkdir(parents=True)
    (torch / "torch-2.0.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0.0\n")
    (code / "search").mkdir(parents=True)
    (code / "search" / "__init__.py").write_text("")  # also without the module that asks it
    seen.mkdir()
    (seen / "nvidia-smi").write_text("#!/bin/sh\nfor gpu in $(seq 64); do echo GPU $gpu: made up; done\n")
    (seen / "nvidia-smi").chmod(0o755)
    small = [{"node_name": "disk", "object_spilling_directory": small_disk}] if small_disk else []
    with simulated(
        {"node_name": "head", "num_cpus": 1, "object_store_memory": 150 * 2**20},
        {"node_name": "torch", "env_vars": {"PYTHONPATH": str(torch)}},
        {"node_name": "code", "env_vars": {"PYTHONPATH": str(code)}},
        {"node_name": "no-gpu", "num_gpus": 64},
        {"node_name": "no-cuda", "num_gpus": 64, "env_vars": {"PATH": f"{seen}:{os.environ['PATH']}"}},
        {"node_name": "store", "object_store_memory": 80 * 2**20},
        *small,
    ) as cluster:
        yield cluster


@pytest.mark.ray
@pytest.mark.nodes
def test_each_node_that_is_really_broken_is_named_and_no_other(broken, folder, images, small_disk):
    code, findings, last = examined(broken, folder, "task=images", images, f"answer_seconds={HANG_SECONDS}")
    wrong = {node: (severity, text) for severity, node, text in findings if severity != "ok"}
    parts = {
        "torch": ["torch 2.0.0, here it is", "`pip install torch=="],
        "code": ["the project's code differs from the code here", "`ray up` again"],
        "no-gpu": ["started with 64 GPUs, but NVIDIA's driver shows none", "--num-gpus=0"],
        "no-cuda": ["can use 0 of 64 GPUs", "a torch with CUDA"],
        "store": ["object store has 0.08 GB", "--object-store-memory="],
    }
    parts |= {"disk": [f"{small_disk}: 0.07 GB are free", "make room on that disk"]} if small_disk else {}
    assert {node: severity for node, (severity, _) in wrong.items()} == dict.fromkeys(parts, "broken")
    assert [(node, part) for node in parts for part in parts[node] if part not in wrong[node][1]] == [], wrong
    assert [node for severity, node, _ in findings if severity == "ok"] == ["here", "here", "head", "cluster"]
    assert last == f"{len(parts)} broken, 0 warnings, 4 ok"
    assert len(findings) == len(parts) + 4
    assert code == 1


@pytest.mark.ray
@pytest.mark.nodes
def test_a_node_that_is_silent_is_named_in_time(folder):
    """What is said of the head, which on a busy machine may not answer in time either, is not looked at."""
    with simulated({"node_name": "head", "num_cpus": 1}, {"node_name": "silent", "is_silent": True}) as cluster:
        code, findings, _ = examined(cluster, folder, "data=made", "answer_seconds=5")
    [(severity, text)] = [(severity, text) for severity, node, text in findings if node == "silent"]
    assert severity == "broken"
    assert "does not answer: " in text
    assert "check the machine" in text
    assert code == 1


@pytest.fixture(scope="module")
def healthy() -> Iterator[Simulated]:
    with simulated({"node_name": "head", "num_cpus": 2, "object_store_memory": 150 * 2**20}) as cluster:
        yield cluster


@pytest.mark.tasks
@pytest.mark.ray
def test_a_cluster_that_is_fit_is_told_so_beside_its_file(healthy, folder):
    (folder / "machines.yaml").write_text(MACHINES)
    for tool in ("ssh", "rsync"):  # which the doctor looks for, and does not start
        (folder / tool).write_text("#!/bin/sh\nexit 1\n")
        (folder / tool).chmod(0o755)
    code, findings, _ = examined(healthy, folder, "machines.yaml", "data=made", "runs_dir=runs")
    told = [(node, severity) for severity, node, _ in findings if node != "machines.yaml"]
    assert told == [("here", "ok"), ("here", "ok"), ("head", "ok"), ("10.0.0.2", "warn"), ("cluster", "ok")]
    assert "has not joined" in findings[-2][2]
    assert findings[-1][2] == "1 node, 2 slots of 1 CPU each"
    assert code == 0, findings
    assert not (folder / "runs").exists()


@pytest.mark.ray
def test_what_is_wrong_here_is_told_too(healthy, folder):
    (folder / "file").write_text("")
    arguments = ["data=original", "data_dir=nowhere", "runs_dir=file", "cpus_per_trial=3"]
    code, findings, _ = examined(healthy, folder, *arguments)
    broken = [(node, text) for severity, node, text in findings if severity == "broken"]
    assert [node for node, _ in broken] == ["here", "here", "cluster"]
    assert "task=tiny10k: " in broken[0][1]
    assert "runs_dir=file: " in broken[1][1]
    assert "cpus_per_trial=3" in broken[2][1]
    assert code == 1


@pytest.mark.ray
def test_a_cluster_of_another_python_refuses_this_one_and_both_are_told(healthy, folder):
    gcs = GcsClient(address=healthy.address.removeprefix("address="))
    where = (CLUSTER_METADATA_KEY, KV_NAMESPACE_CLUSTER)
    known = gcs.internal_kv_get(where[0], namespace=where[1])
    gcs.internal_kv_put(where[0], json.dumps({**json.loads(known), "python_version": "3.9.1"}).encode(), True, where[1])
    try:
        code, findings, _ = examined(healthy, folder)
    finally:
        gcs.internal_kv_put(where[0], known, True, where[1])
    ((severity, node, text),) = findings
    assert (severity, node, code) == ("broken", "here", 1)
    assert f"it runs Python 3.9.1, and here it is {platform.python_version()}" in text


def test_without_a_cluster_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "no cluster is running here" in said
    assert "0 broken, 0 warnings, 1 ok" in said


def test_a_cluster_that_is_gone_is_told_with_what_a_search_would_do(tmp_path, monkeypatch, capsys, nowhere):
    monkeypatch.setenv("RAY_ADDRESS", nowhere.removeprefix("address="))
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "no Ray cluster answers there" in said
    assert "A search would start its own Ray" in said
    assert "`ray stop`" in said


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["a.yaml", "b.yaml"], "a.yaml, b.yaml: only one cluster file at a time"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
        (["answer_seconds=0"], "answer_seconds=0.0: must be above 0"),
        (["tasc=tiny10k"], "did you mean task?"),
        (["task=mnist"], "there is no such task"),
    ],
)
def test_a_mistake_is_told_in_a_line(arguments: list[str], part: str, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("search.doctor: ")
    assert part in said
    assert len(said.splitlines()) == 1


def test_an_address_where_nobody_listens_is_a_mistake(nowhere, capsys):
    assert main([nowhere]) == 2
    assert "no Ray cluster answers there" in capsys.readouterr().err


def test_help_lists_the_keys_that_make_a_difference(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: python -m search.doctor [cluster.yaml] [key=value ...]")
    assert "  answer_seconds " in said
    assert "  runs_dir " in said
    assert "  max_epochs " not in said
