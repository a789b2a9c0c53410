"""The pruners that `pruner=NAME` chooses from."""

from __future__ import annotations

from search.study.pruning.asha import Asha
from search.study.pruning.none import NoPruning
from search.study.pruning.pruner import PrunerEntry

PRUNERS = {
    "asha": PrunerEntry("keeps the top 1/reduction_factor of trials at each rung", Asha.from_keys),
    "none": PrunerEntry(
        "trains every trial to its end; grace_epochs and reduction_factor have no effect", NoPruning.from_keys
    ),
}
