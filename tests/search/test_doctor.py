"""The doctor names each broken node with the cause and the cure, and no other node."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
from ray._raylet import GcsClient

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


@dataclass(frozen=True)
class Simulated:
    """A cluster of several nodes on this machine, and the folder in which its Ray was started."""

    address: str
    temp: str


@contextmanager
def simulated(*nodes: Mapping[str, Any]) -> Iterator[Simulated]:
    """Starts nodes, the head first, in a short-named temporary folder, so that no other Ray is found."""
    with tempfile.TemporaryDirectory(prefix="fd", ignore_cleanup_errors=True) as temp:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-c", CLUSTER, json.dumps(nodes)]
        with subprocess.Popen(command, env=environment() | {"RAY_TMPDIR": temp}, text=True, **pipes) as process:
            assert process.stdout
            line = next(line.strip() for line in process.stdout if line.startswith("address="))
            yield Simulated(line, temp)
            process.communicate()


def examined(cluster: Simulated, folder: Path, *arguments: str) -> tuple[int, list[tuple[str, str, str]], str]:
    """Runs the whole command in a folder. Returns its exit code, its findings and the last line.

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
    """Returns a folder without the project, so that a node's own code is found before the installed one."""
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture(scope="module")
def images(folder: Path) -> str:
    """Writes images, too many for a small object store."""
    x = np.random.default_rng(0).integers(0, 255, (2_000, 256, 256), dtype=np.uint8)
    np.savez(folder / "images.npz", x=x, y=np.arange(len(x)) % 2)
    return f"data={folder}/images.npz"


@pytest.fixture(scope="module")
def small_disk(folder: Path) -> Iterator[str | None]:
    """Mounts a disk of 64 MB, where that is possible."""
    place = folder / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    is_mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    yield str(place) if is_mounted else None
    if is_mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture(scope="module")
def broken(folder: Path, small_disk: str | None) -> Iterator[Simulated]:
    """Starts nodes that are each broken in a different way, and a head that is not."""
    torch, code, seen = folder / "torch", folder / "code", folder / "seen"
    (torch / "torch-2.0.0.dist-info").mkdir(parents=True)
    (torch / "torch-2.0.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0.0\n")
    (code / "search").mkdir(parents=True)
    (code / "search" / "__init__.py").write_text("")  # also lacks the module that answers the doctor
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
        "store": ["object store has 83.9 MB", "--object-store-memory="],
    }
    parts |= {"disk": [f"{small_disk}: 67.1 MB are free", "make room on that disk"]} if small_disk else {}
    assert {node: severity for node, (severity, _) in wrong.items()} == dict.fromkeys(parts, "broken")
    assert [(node, part) for node in parts for part in parts[node] if part not in wrong[node][1]] == [], wrong
    assert [node for severity, node, _ in findings if severity == "ok"] == ["here", "here", "head", "cluster"]
    assert last == f"{len(parts)} broken, 0 warnings, 4 ok"
    assert len(findings) == len(parts) + 4
    assert code == 1


@pytest.mark.ray
@pytest.mark.nodes
def test_a_node_that_is_silent_is_named_in_time(folder):
    """The head's findings do not count: on a busy machine it may not answer in time either."""
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
def test_a_healthy_cluster_is_reported_after_its_file(healthy, folder):
    (folder / "machines.yaml").write_text(MACHINES)
    for tool in ("ssh", "rsync"):  # the doctor looks for them, but does not start them
        (folder / tool).write_text("#!/bin/sh\nexit 1\n")
        (folder / tool).chmod(0o755)
    code, findings, _ = examined(healthy, folder, "machines.yaml", "data=made", "runs_dir=runs")
    severities = [(node, severity) for severity, node, _ in findings if node != "machines.yaml"]
    assert severities == [("here", "ok"), ("here", "ok"), ("head", "ok"), ("10.0.0.2", "warn"), ("cluster", "ok")]
    assert "has not joined" in findings[-2][2]
    assert findings[-1][2] == "1 node, 2 slots of 1 CPU each"
    assert code == 0, findings
    assert not (folder / "runs").exists()


@pytest.mark.ray
def test_faults_of_this_machine_are_reported_too(healthy, folder):
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
def test_a_cluster_of_another_python_refuses_this_one_and_both_versions_are_named(healthy, folder):
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
    output = capsys.readouterr().out
    assert "no cluster is running here" in output
    assert "0 broken, 0 warnings, 1 ok" in output


def test_a_lost_cluster_is_reported_with_what_a_search_would_do(tmp_path, monkeypatch, capsys, nowhere):
    monkeypatch.setenv("RAY_ADDRESS", nowhere.removeprefix("address="))
    assert main([]) == 0
    output = capsys.readouterr().out
    assert "no Ray cluster answers there" in output
    assert "A search would start its own Ray" in output
    assert "`ray stop`" in output


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
    output = capsys.readouterr().err
    assert output.startswith("search.doctor: ")
    assert part in output
    assert len(output.splitlines()) == 1


def test_an_address_where_nobody_listens_is_a_mistake(nowhere, capsys):
    assert main([nowhere]) == 2
    assert "no Ray cluster answers there" in capsys.readouterr().err


def test_help_lists_the_keys_that_make_a_difference(capsys):
    assert main(["--help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("usage: python -m search.doctor [cluster.yaml] [key=value ...]")
    assert "  answer_seconds " in output
    assert "  runs_dir " in output
    assert "  max_epochs " not in output
