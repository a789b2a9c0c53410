"""Joining Ray."""

import socket

import numpy as np
import pytest
from ray.cluster_utils import Cluster as SimulatedCluster

from data.splits import Split, Splits
from search.cluster import Cluster, Slots
from search.config import RunConfig
from search.run import main
from search.slots import Nodes, Slot


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([f"address={address}", "data=made", f"runs_dir={tmp_path}"]) == 2
    assert f"address={address}: no Ray cluster answers there" in capsys.readouterr().err


@pytest.mark.ray
def test_data_that_a_node_has_no_room_for_are_refused_with_both_sizes_and_the_ways_out():
    """Ray would put them on disk without a word."""
    labels = np.zeros(150_000, dtype=np.int64)
    large = Split(np.zeros((150_000, 28, 28), dtype=np.uint8), labels)
    small = Split(large.x[:100], labels[:100])
    simulated = SimulatedCluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20}
    )
    try:
        with Cluster(RunConfig(address=simulated.address)) as cluster:
            cluster.check_room(Splits(name="small", origin="made", train=small, val=small, test=large))
            message = r"large: 119 MB .* on node .* has 84 MB; start Ray there with --object-store-memory=.*train_exam"
            with pytest.raises(ValueError, match=message):
                cluster.check_room(Splits(name="large", origin="made", train=large, val=small, test=small))
    finally:
        simulated.shutdown()


def test_slots_follow_the_nodes_up_to_what_was_asked_for(monkeypatch):
    monkeypatch.setattr("search.cluster.NODES_SECONDS", 0.0)
    nodes = [Nodes(up=[{"CPU": 0.0}])]
    slots, asked = (Slots(Slot(cpus=1, gpus=0), limit, lambda: nodes[0]) for limit in (None, 3))
    seen = []
    for num_workers in (0, 1, 2, 1):
        nodes[0] = Nodes(up=[{"CPU": 0.0}, *[{"CPU": 2.0}] * num_workers])
        seen.append((slots.up, slots.most, asked.most))
    assert seen == [(0, 0, 0), (2, 2, 2), (4, 4, 3), (2, 2, 2)]
