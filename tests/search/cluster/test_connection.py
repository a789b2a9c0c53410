"""Joins a Ray cluster, or starts one."""

import ipaddress
import signal
import socket
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from ray.cluster_utils import Cluster as SimulatedCluster

from data.splits import Split, Splits
from search.cluster.connection import Cluster, Slots
from search.cluster.slots import Nodes, Slot
from search.planning.config import from_values
from search.run import main
from tests.search.command import start
from tests.waiting import HANG_SECONDS

NUM_BEFORE_REPORTS = 10
"""The number of journal records after which some trial has reported."""


def test_an_address_where_nobody_listens_is_reported_at_once(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([f"address={address}", "data=made", f"runs_dir={tmp_path}"]) == 2
    assert f"address={address}: no Ray cluster answers there" in capsys.readouterr().err


@pytest.mark.ray
@pytest.mark.tasks
def test_no_process_of_a_local_search_listens_to_other_machines(tmp_path):
    with start(tmp_path, "run=a", "num_trials=100", "max_epochs=30") as search:
        _wait_for_reports(tmp_path / "a" / "journal.log")
        processes = [psutil.Process(search.pid), *psutil.Process(search.pid).children(recursive=True)]
        listening = {
            (process.name(), connection.laddr.ip)
            for process in processes
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        search.send_signal(signal.SIGINT)
        search.communicate()
    assert {"gcs_server", "raylet"} <= {name for name, _ in listening}
    assert {each for each in listening if not _is_loopback(each[1])} == set()


def _wait_for_reports(journal: Path) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not (journal.exists() and journal.read_bytes().count(b"\n") > NUM_BEFORE_REPORTS):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


@pytest.mark.tasks
@pytest.mark.ray
def test_data_that_a_node_has_no_room_for_are_refused_with_both_sizes_and_the_ways_out():
    """Ray would silently put them on disk."""
    labels = np.zeros(150_000, dtype=np.int64)
    large = Split(np.zeros((150_000, 28, 28), dtype=np.uint8), labels)
    small = Split(large.x[:100], labels[:100])
    simulated = SimulatedCluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20}
    )
    try:
        with Cluster(from_values(address=simulated.address)) as cluster:
            cluster.check_room(Splits(name="small", origin="made", train=small, val=small, test=large))
            message = r"large: 119 MB .* on node .* has 83\.9 MB; start Ray there with --object-store-memory=.*train_"
            with pytest.raises(ValueError, match=message):
                cluster.check_room(Splits(name="large", origin="made", train=large, val=small, test=small))
    finally:
        simulated.shutdown()


def test_slots_follow_the_nodes_up_to_what_was_asked_for(monkeypatch):
    monkeypatch.setattr("search.cluster.connection.NODES_SECONDS", 0.0)
    nodes = [Nodes(up=[{"CPU": 0.0}])]
    slots, asked = (Slots(Slot(cpus=1, gpus=0), limit, lambda: nodes[0]) for limit in (None, 3))
    seen = []
    for num_workers in (0, 1, 2, 1):
        nodes[0] = Nodes(up=[{"CPU": 0.0}, *[{"CPU": 2.0}] * num_workers])
        seen.append((slots.up, slots.most, asked.most))
    assert seen == [(0, 0, 0), (2, 2, 2), (4, 4, 3), (2, 2, 2)]
