"""How many trials fit."""

import pytest

from search.slots import Slot, count_slots


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
    assert count_slots(slot, nodes) == expected


def test_a_slot_that_fits_nowhere_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"cpus_per_trial=4 .*there are 2 CPUs, 0 GPUs"):
        count_slots(Slot(cpus=4, gpus=0), [{"CPU": 2.0}])
