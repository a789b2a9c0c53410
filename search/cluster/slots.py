"""How many trials fit on a cluster: on the nodes that are up, and on those that may start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.wording import count

Resources = Mapping[str, float]
"""A node's resources as Ray counts them: {"CPU": 4, "GPU": 1, ...}."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The resources that one trial uses on a node."""

    cpus: float
    gpus: float

    @property
    def threads(self) -> int:
        """The number of threads of a trial that computes on a CPU."""
        return max(1, int(self.cpus))

    def fits(self, node: Resources) -> int:
        """Returns how many slots a node with these resources has. A slot never spans two nodes or two GPUs."""
        counts = [int(node.get("CPU", 0) / self.cpus + 1e-9)]
        if self.gpus >= 1:
            counts.append(int(node.get("GPU", 0) / self.gpus + 1e-9))
        elif self.gpus > 0:
            counts.append(int(node.get("GPU", 0)) * int(1 / self.gpus + 1e-9))
        return min(counts)

    def __str__(self) -> str:
        return " and ".join(([count(self.gpus, "GPU")] if self.gpus else []) + [count(self.cpus, "CPU")])


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """A kind of machine that an autoscaler may start: its resources, and how many there may be."""

    resources: Resources
    max_count: int


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a cluster may grow: its head, and the workers that its autoscaler may start."""

    head: Resources
    types: Sequence[NodeType]
    max_workers: int
    min_workers: int = 0

    @property
    def is_known(self) -> bool:
        """Whether the cluster file says what its workers have. For existing machines only they know it."""
        return all(kind.resources for kind in self.types if kind.max_count)

    def slots(self, slot: Slot) -> int:
        """Returns the slots on the head and on all workers that may start, those with the most slots first."""
        total, left = slot.fits(self.head), self.max_workers
        for kind in sorted(self.types, key=lambda kind: slot.fits(kind.resources), reverse=True):
            count = min(kind.max_count, left)
            total, left = total + count * slot.fits(kind.resources), left - count
        return total


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes of a cluster: those that are up, and how it may grow."""

    up: Sequence[Resources]
    growth: Growth | None = None

    @property
    def may_have_gpus(self) -> bool:
        """Whether a node has a GPU, or one with a GPU may start."""
        return any(node.get("GPU") for node in [*self.up, *self._startable()])

    @property
    def waits_for(self) -> int:
        """How many nodes must still join before the cluster's resources are known."""
        if self.growth is None or self.growth.is_known:
            return 0
        return max(0, 1 + self.growth.min_workers - len(self.up))

    def slot(self, *, cpus: float, gpus: float | None, share: float) -> Slot:
        """Returns a trial's slot. Without `gpus`, it uses `share` of a GPU if the cluster has or may get GPUs."""
        if gpus is None:
            gpus = share if self.may_have_gpus else 0.0
        return Slot(cpus=cpus, gpus=gpus)

    def slots_up(self, slot: Slot) -> int:
        """Returns how many trials run in parallel on the nodes that are up."""
        return sum(slot.fits(node) for node in self.up)

    def most_slots(self, slot: Slot) -> int:
        """Returns how many trials run in parallel once all nodes that may start are up."""
        return max(self.slots_up(slot), self.growth.slots(slot) if self.growth else 0)

    def check_fits(self, slot: Slot) -> None:
        """Raises ValueError that lists the nodes if no trial can ever fit."""
        if self.most_slots(slot) == 0:
            raise ValueError(
                f"cpus_per_trial={slot.cpus:g} gpus_per_trial={slot.gpus:g}: no node has room for a trial; "
                f"there are {self._listed()}"
            )

    def _listed(self) -> str:
        up = [_describe(node) for node in self.up]
        return "; ".join(up + [f"{_describe(node)} (may start)" for node in self._startable()])

    def _startable(self) -> list[Resources]:
        """Returns the resources of one node of each type that may start."""
        return [kind.resources for kind in self.growth.types if kind.max_count] if self.growth else []


def _describe(node: Resources) -> str:
    return f"{count(node.get('CPU', 0), 'CPU')}, {count(node.get('GPU', 0), 'GPU')}"
