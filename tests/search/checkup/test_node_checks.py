"""The doctor's checks of nodes: a broken node is named with its cause and its cure, and no other node is."""

from dataclasses import replace
from typing import Any

import pytest

from search.checkup.findings import Finding
from search.checkup.node_checks import Needs, judge_cluster, judge_missing, judge_nodes
from search.checkup.node_facts import Disk, NodeFacts
from search.cluster.slots import Growth, Nodes, NodeType, Slot

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
        ({"gpu_bytes": [2 * GB]}, "broken", ["a GPU has 2 GB", "need at least 2.8 GB", "gpus_per_trial="]),
        (
            {**resources(GPU=0), "gpu_bytes": []},
            "warn",
            ["Ray does not use 1 GPU", "start Ray there with --num-gpus=1"],
        ),
        (
            resources(object_store_memory=80_000_000),
            "broken",
            ["object store has 80 MB", "data need 200 MB", "--object-store-memory=400000000", "train_examples="],
        ),
        (
            {"free_memory_bytes": 4 * GB},
            "broken",
            ["3.2 GB of 16 GB of memory are available", "4 trials in parallel need about 4.6 GB", "cpus_per_trial="],
        ),
        (disk(600_000_000), "broken", ["/spilled: 600 MB are free", "may need 700 MB", "make room", "--temp-dir="]),
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


def test_a_good_node_is_summed_up_in_a_line():
    (finding,) = judge_nodes(HERE, [GOOD], NEEDS)
    expected = "4 slots; the same versions and code; 14 GB of memory, 1 GB of object store, 50 GB of disk"
    assert finding == Finding(finding.severity, "good", expected)
    (same,) = judge_nodes(HERE, [replace(GOOD, **versions(torch="2.15.0+cu130"))], NEEDS)
    assert same.severity == "ok", "a head without GPUs may have another build of the same version"


def test_a_node_that_trains_nothing_needs_no_room_for_trials_and_the_finding_says_why():
    small = replace(GOOD, gpus_seen=0, gpu_bytes=[], free_memory_bytes=GB, **resources(GPU=0))
    (finding,) = judge_nodes(HERE, [small], NEEDS)
    assert finding.severity == "ok"
    assert finding.cause.startswith("0 slots (no GPU, so it trains nothing; gpus_per_trial=0 trains on CPUs)")
    (head,) = judge_nodes(HERE, [replace(small, **resources(GPU=0, CPU=0))], NEEDS)
    assert head.cause.startswith("0 slots (it trains nothing)")


def test_fewer_parallel_trials_need_less_of_a_node():
    (finding,) = judge_nodes(HERE, [replace(GOOD, free_memory_bytes=3 * GB)], replace(NEEDS, concurrency=1))
    assert finding.severity == "ok"


def test_a_gpu_that_is_not_there_breaks_only_what_trains_on_gpus():
    blind = replace(GOOD, gpus_seen=0, gpu_bytes=[])
    (finding,) = judge_nodes(HERE, [blind], replace(NEEDS, slot=Slot(cpus=1, gpus=0)))
    assert finding.severity == "warn"


def test_missing_nodes_are_reported():
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
