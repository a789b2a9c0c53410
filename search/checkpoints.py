"""One actor beside the driver: takes workers' checkpoints, writes them into the run's folder, hands them out.

So a cluster needs no shared file system and no bucket. The actor knows bytes only; torch is not imported here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data.cache import atomic_write


class CheckpointStore:
    """The last checkpoint of each live trial, and the best completed trial's model, in a run's folder."""

    def __init__(self, folder: str) -> None:
        self.checkpoints, self.models = Path(folder, "checkpoints"), Path(folder, "models")
        for path in (self.checkpoints, self.models):
            path.mkdir(parents=True, exist_ok=True)
        self.ended: set[int] = set()

    def save(self, number: int, state: bytes) -> None:
        """Keeps a trial's checkpoint in place of its last one; one that arrives after the trial's end is dropped."""
        if number not in self.ended:
            _write(self.checkpoints / f"{number}.ckpt", state)

    def load(self, number: int) -> bytes | None:
        """A trial's last checkpoint, if there is one."""
        path = self.checkpoints / f"{number}.ckpt"
        return path.read_bytes() if path.exists() else None

    def save_model(self, number: int, model: bytes) -> None:
        _write(self.checkpoints / f"{number}.model", model)

    def end(self, number: int, is_best: bool) -> None:
        """Removes an ended trial's files; the best one's model replaces the one that was best so far."""
        self.ended.add(number)
        model = self.checkpoints / f"{number}.model"
        if is_best and model.exists():
            os.replace(model, self.models / "best.pt")
        for path in (model, self.checkpoints / f"{number}.ckpt"):
            path.unlink(missing_ok=True)

    def left_over(self) -> list[int]:
        """The trials of which there are files: those that ran when the driver was killed, or had just ended."""
        return sorted({int(path.stem) for path in self.checkpoints.iterdir() if path.stem.isdigit()})


def start_store(folder: Path) -> Any:
    """The actor, on the driver's own node, where the run's folder lies. It takes no slot."""
    here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(CheckpointStore).remote(str(folder.absolute()))


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)
