"""How many trials fit the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What one trial takes of a node."""

    cpus: float
    gpus: float

    @property
    def threads(self) -> int:
        """Threads of a trial that computes on a CPU."""
        return max(1, int(self.cpus))

    def fits(self, node: Mapping[str, float]) -> int:
        """How many slots a node of these resources has; they do not straddle nodes."""
        counts = [int(node.get("CPU", 0) / self.cpus + 1e-9)]
        if self.gpus >= 1:
            counts.append(int(node.get("GPU", 0) / self.gpus + 1e-9))
        elif self.gpus > 0:  # nor do they straddle GPUs
            counts.append(int(node.get("GPU", 0)) * int(1 / self.gpus + 1e-9))
        return min(counts)


def count_slots(slot: Slot, nodes: Iterable[Mapping[str, float]]) -> int:
    """How many trials run side by side on nodes of these resources. Raises ValueError if not even one fits."""
    nodes = list(nodes)
    total = sum(slot.fits(node) for node in nodes)
    if total == 0:
        has = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise ValueError(
            f"cpus_per_trial={slot.cpus:g} gpus_per_trial={slot.gpus:g}: no node has room for a trial; there are {has}"
        )
    return total
