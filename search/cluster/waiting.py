"""What is said while trials are wanted and none can start, since others have what the cluster has."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from search.cluster.slots import Slot

WAIT_SECONDS = 15.0


@dataclass
class Waiting:
    """How long trials have been waiting, with room for none of them."""

    since: float = field(default_factory=time.monotonic)

    def is_due(self, is_waiting: bool) -> bool:
        """Whether to say so: every 15 seconds in which there was room for none of the trials that wait."""
        now = time.monotonic()
        if not is_waiting:
            self.since = now
        if now - self.since < WAIT_SECONDS:
            return False
        self.since = now
        return True


def nothing_free(slot: Slot) -> str:
    """What a trial needs, and what of the cluster is free."""
    return (
        f"no trial can start: one needs {slot}, and the cluster has {free_of_all()}. Waiting; Ctrl-C ends it, and "
        "address=local trains on this machine alone"
    )


def free_of_all() -> str:
    """'3 of 8 CPUs and 1 of 2 GPUs free', of the cluster that Ray is connected to."""
    import ray

    total, free = ray.cluster_resources(), ray.available_resources()
    parts = [f"{free.get(name, 0):g} of {total[name]:g} {name}s" for name in ("CPU", "GPU") if total.get(name)]
    return f"{' and '.join(parts) or 'no CPUs'} free"
