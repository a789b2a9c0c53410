"""The number of trials that fit now, and that may fit later."""

import pytest

from search.cluster import connection
from search.cluster.autoscaler import growth_from
from search.cluster.connection import Slots
from search.cluster.slots import Growth, Nodes, NodeType, Slot

CPU = Slot(cpus=1, gpus=0)
QUARTER = Slot(cpus=1, gpus=0.25)
HEAD = {"CPU": 0.0}
L4 = {"CPU": 4.0, "GPU": 1.0}


def growth(*types: NodeType, max_workers: int = 8, min_workers: int = 0) -> Growth:
    return Growth(head=HEAD, types=types, max_workers=max_workers, min_workers=min_workers)


@pytest.mark.parametrize(
    ("slot", "nodes", "expected"),
    [
        (Slot(cpus=1, gpus=0), [{"CPU": 2.0}], 2),
        (Slot(cpus=2, gpus=0), [{"CPU": 3.0}, {"CPU": 3.0}], 2),
        (Slot(cpus=1, gpus=0.25), [{"CPU": 16.0, "GPU": 1.0}], 4),
        (Slot(cpus=1, gpus=0.3), [{"CPU": 16.0, "GPU": 2.0}], 6),
        (Slot(cpus=1, gpus=0.1), [{"CPU": 4.0, "GPU": 1.0}], 4),
        (Slot(cpus=1, gpus=2), [{"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0}], 2),
        (Slot(cpus=0.5, gpus=0), [{"CPU": 2.0}, {}], 4),
    ],
)
def test_slots_straddle_neither_nodes_nor_gpus(slot, nodes, expected):
    assert Nodes(up=nodes).slots_up(slot) == Nodes(up=nodes).most_slots(slot) == expected


def test_a_slot_that_fits_nowhere_is_refused_with_what_there_is_and_what_may_come():
    with pytest.raises(ValueError, match=r"cpus_per_trial=4 .*there are 2 CPUs, 0 GPUs$"):
        Nodes(up=[{"CPU": 2.0}]).check_fits(Slot(cpus=4, gpus=0))
    nodes = Nodes(up=[HEAD], growth=growth(NodeType(resources=L4, max_count=8)))
    with pytest.raises(ValueError, match=r"there are 0 CPUs, 0 GPUs; 4 CPUs, 1 GPU \(may start\)$"):
        nodes.check_fits(Slot(cpus=8, gpus=0))


def test_workers_that_may_come_count_while_none_is_up_and_when_some_are():
    coming = growth(NodeType(resources=L4, max_count=8))
    assert [Nodes(up=up, growth=coming).slots_up(QUARTER) for up in ([HEAD], [HEAD, L4])] == [0, 4]
    assert [Nodes(up=up, growth=coming).most_slots(QUARTER) for up in ([HEAD], [HEAD, L4])] == [32, 32]
    assert Nodes(up=[HEAD, *[L4] * 9], growth=coming).most_slots(QUARTER) == 36, "more than the file knows of"


def test_of_several_types_those_with_most_slots_come_up_to_the_limit_of_all():
    small, large = NodeType(resources=L4, max_count=8), NodeType(resources={"CPU": 16.0, "GPU": 4.0}, max_count=2)
    assert growth(small, large, max_workers=3).slots(QUARTER) == 16 + 16 + 4
    assert growth(small, large, max_workers=3).slots(CPU) == 16 + 16 + 4


def test_a_cluster_may_have_gpus_before_one_is_up():
    assert Nodes(up=[HEAD], growth=growth(NodeType(resources=L4, max_count=8))).may_have_gpus
    assert not Nodes(up=[HEAD], growth=growth(NodeType(resources=L4, max_count=0))).may_have_gpus
    assert not Nodes(up=[HEAD], growth=growth(NodeType(resources={"CPU": 4.0}, max_count=8))).may_have_gpus
    assert Nodes(up=[L4]).may_have_gpus


def test_only_machines_of_ones_own_are_waited_for():
    unknown = growth(NodeType(resources={}, max_count=2), max_workers=2, min_workers=2)
    assert [Nodes(up=[HEAD] * count, growth=unknown).waits_for for count in (1, 2, 3, 4)] == [2, 1, 0, 0]
    assert Nodes(up=[HEAD], growth=growth(NodeType(resources=L4, max_count=8), min_workers=2)).waits_for == 0
    assert Nodes(up=[HEAD]).waits_for == 0


def test_a_cluster_file_says_what_may_come():
    file = {
        "head_node_type": "head",
        "max_workers": 8,
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "max_workers": 0},
            "gpu": {"resources": {"CPU": 4, "GPU": 1}, "min_workers": 1, "max_workers": 6},
            "cpu": {"resources": {"CPU": 16}},
        },
    }
    assert growth_from(file) == Growth(
        head={"CPU": 0},
        types=[
            NodeType(resources={"CPU": 4, "GPU": 1}, max_count=6),
            NodeType(resources={"CPU": 16}, max_count=8),
        ],
        max_workers=8,
        min_workers=1,
    )


def test_machines_of_ones_own_are_of_one_type_and_unknown():
    kind = {"resources": {}, "min_workers": 2, "max_workers": 2}
    file = {"head_node_type": "local", "max_workers": 2, "available_node_types": {"local": kind}}
    found = growth_from(file)
    assert (found.is_known, found.min_workers, found.slots(CPU)) == (False, 2, 0)


def test_a_lost_head_is_not_asked_for_its_nodes(monkeypatch):
    """No call to it would ever return."""
    monkeypatch.setattr(connection, "NODES_SECONDS", 0)
    answers = [Nodes(up=[{"CPU": 4.0}]), Nodes(up=[{"CPU": 2.0}])]
    slots = Slots(CPU, None, answers.pop)
    monkeypatch.setattr(connection, "is_lost", lambda: True)
    assert slots.up == 2
    monkeypatch.setattr(connection, "is_lost", lambda: False)
    assert slots.up == 4
