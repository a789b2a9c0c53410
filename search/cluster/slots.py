"""How many trials fit a cluster: on the nodes that are up, and on those that may come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.wording import count

Resources = Mapping[str, float]
"""Of a node, as Ray counts them: {"CPU": 4, "GPU": 1, ...}."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What one trial takes of a node."""

    cpus: float
    gpus: float

    @property
    def threads(self) -> int:
        """Threads of a trial that computes on a CPU."""
        return max(1, int(self.cpus))

    def fits(self, node: Resources) -> int:
        """How many slots a node of these resources has; they do not straddle nodes."""
        counts = [int(node.get("CPU", 0) / self.cpus + 1e-9)]
        if self.gpus >= 1:
            counts.append(int(node.get("GPU", 0) / self.gpus + 1e-9))
        elif self.gpus > 0:  # nor do they straddle GPUs
            counts.append(int(node.get("GPU", 0)) * int(1 / self.gpus + 1e-9))
        return min(counts)

    def __str__(self) -> str:
        return " and ".join(([count(self.gpus, "GPU")] if self.gpus else []) + [count(self.cpus, "CPU")])


@dataclass(frozen=True, kw_only=True)
class NodeType:
    """Machines that an autoscaler may start: what one of them has, and how many there may be."""

    resources: Resources
    max_count: int


@dataclass(frozen=True, kw_only=True)
class Growth:
    """What a cluster may become: its head, and the workers that its autoscaler may start."""

    head: Resources
    types: Sequence[NodeType]
    max_workers: int
    min_workers: int = 0

    @property
    def is_known(self) -> bool:
        """Whether the file says what workers have; for machines that one already has, only these know it."""
        return all(kind.resources for kind in self.types if kind.max_count)

    def slots(self, slot: Slot) -> int:
        """On the head and on as many workers as may come, those with the most slots first."""
        total, left = slot.fits(self.head), self.max_workers
        for kind in sorted(self.types, key=lambda kind: slot.fits(kind.resources), reverse=True):
            count = min(kind.max_count, left)
            total, left = total + count * slot.fits(kind.resources), left - count
        return total


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes of a cluster: those that are up, and what it may become."""

    up: Sequence[Resources]
    growth: Growth | None = None

    @property
    def may_have_gpus(self) -> bool:
        """Whether some node has a GPU, or one may come that has."""
        return any(node.get("GPU") for node in [*self.up, *self._coming()])

    @property
    def waits_for(self) -> int:
        """How many nodes are to join before it is known what the cluster has."""
        if self.growth is None or self.growth.is_known:
            return 0
        return max(0, 1 + self.growth.min_workers - len(self.up))

    def slot(self, *, cpus: float, gpus: float | None, share: float) -> Slot:
        """What a trial takes: of a GPU this share, where there are or may be some, unless told otherwise."""
        if gpus is None:
            gpus = share if self.may_have_gpus else 0.0
        return Slot(cpus=cpus, gpus=gpus)

    def slots_up(self, slot: Slot) -> int:
        """How many trials run side by side on the nodes that are up."""
        return sum(slot.fits(node) for node in self.up)

    def most_slots(self, slot: Slot) -> int:
        """How many can, once all nodes have come that may."""
        return max(self.slots_up(slot), self.growth.slots(slot) if self.growth else 0)

    def check_fits(self, slot: Slot) -> None:
        """Raises ValueError, with what there is, if not one trial ever fits."""
        if self.most_slots(slot) == 0:
            raise ValueError(
                f"cpus_per_trial={slot.cpus:g} gpus_per_trial={slot.gpus:g}: no node has room for a trial; "
                f"there are {self._listed()}"
            )

    def _listed(self) -> str:
        up = [_in_words(node) for node in self.up]
        return "; ".join(up + [f"{_in_words(node)} (may come)" for node in self._coming()])

    def _coming(self) -> list[Resources]:
        """What one node has of each type that may come."""
        return [kind.resources for kind in self.growth.types if kind.max_count] if self.growth else []


def _in_words(node: Resources) -> str:
    return f"{count(node.get('CPU', 0), 'CPU')}, {count(node.get('GPU', 0), 'GPU')}"
