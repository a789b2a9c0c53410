"""The message while no trial can start because others use the cluster's resources."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from search.cluster.slots import Slot

WAIT_SECONDS = 15.0


@dataclass
class Waiting:
    """Measures how long trials have waited with room for none of them."""

    since: float = field(default_factory=time.monotonic)

    def is_due(self, is_waiting: bool) -> bool:
        """Returns whether the message is due: every 15 seconds in which no trial could start."""
        now = time.monotonic()
        if not is_waiting:
            self.since = now
        if now - self.since < WAIT_SECONDS:
            return False
        self.since = now
        return True


def nothing_free(slot: Slot) -> str:
    """Returns a message with what a trial needs and what is free."""
    return (
        f"no trial can start: a trial needs {slot}, and the cluster has {free_resources()}. Waiting; press Ctrl-C to "
        "stop. address=local trains on this machine alone"
    )


def free_resources() -> str:
    """Returns, for example, '3 of 8 CPUs and 1 of 2 GPUs free' for the connected cluster."""
    import ray

    total, free = ray.cluster_resources(), ray.available_resources()
    parts = [f"{free.get(name, 0):g} of {total[name]:g} {name}s" for name in ("CPU", "GPU") if total.get(name)]
    return f"{' and '.join(parts) or 'no CPUs'} free"
