"""One actor beside the driver: takes workers' checkpoints, writes them into the run's folder, hands them out.

So a cluster needs no shared file system and no bucket. The actor knows bytes only; torch is not imported here. A file
begins with a seal, so that a damaged or foreign one is found before a trial starts on it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data.cache import atomic_write
from search.folder import writing

SEAL = b"frugal checkpoint 1\n"


class CheckpointStore:
    """The last checkpoint of each live trial in a study's folder, and the models that are kept, there or elsewhere."""

    def __init__(self, folder: str, models: str | None = None) -> None:
        self.checkpoints, self.models = Path(folder, "checkpoints"), Path(models or Path(folder, "models"))
        self.ended: set[int] = set()

    def save(self, number: int, state: bytes) -> None:
        """Keeps a trial's checkpoint in place of its last one; one that arrives after the trial's end is dropped."""
        if number not in self.ended:
            _write(self.checkpoints / f"{number}.ckpt", SEAL + hashlib.sha256(state).digest() + state)

    def load(self, number: int) -> bytes | None:
        """A trial's last checkpoint, if there is one. Raises ValueError if it is damaged."""
        return _unsealed(self.checkpoints / f"{number}.ckpt")

    def save_model(self, number: int, model: bytes) -> None:
        _write(self.checkpoints / f"{number}.model", model)

    def end(self, number: int, kept_as: str | None) -> None:
        """Removes an ended trial's files; its model is kept under this name, in place of one that has it."""
        self.ended.add(number)
        model = self.checkpoints / f"{number}.model"
        with writing(model):
            if kept_as and model.exists():
                self.models.mkdir(exist_ok=True)
                os.replace(model, self.models / kept_as)
            for path in (model, self.checkpoints / f"{number}.ckpt"):
                path.unlink(missing_ok=True)

    def left_over(self) -> list[int]:
        """The trials of which there are files: those that ran when the driver was killed, or had just ended."""
        return sorted({int(path.stem) for path in self.checkpoints.glob("*") if path.stem.isdigit()})


def start_store(folder: Path, models: Path) -> Any:
    """The actor, on the driver's own node, where a study's folder and that of its models lie. It takes no slot.

    If its process dies it is started again, and what it was asked meanwhile is asked again: all that it knows is in
    files. (A checkpoint that comes after its trial's end may then stay; it is removed when the run ends.)
    """
    here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(**options)(CheckpointStore).remote(str(folder.absolute()), str(models.absolute()))


def check_checkpoints(folder: Path, numbers: Iterable[int]) -> None:
    """Raises ValueError if one of these trials has a checkpoint that is damaged or none of ours."""
    for number in numbers:
        _unsealed(folder / "checkpoints" / f"{number}.ckpt")


def _write(path: Path, content: bytes) -> None:
    with writing(path), atomic_write(path) as file:
        file.write(content)


def _unsealed(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path}: a checkpoint that cannot be read: {error.strerror}; {_without(path)}") from None
    start = len(SEAL) + hashlib.sha256().digest_size
    state = content[start:]
    if content[:start] != SEAL + hashlib.sha256(state).digest():
        raise ValueError(f"{path}: not a checkpoint of this version of Frugal, or damaged; {_without(path)}")
    return state


def _without(path: Path) -> str:
    return f"remove it, and trial {path.stem} starts again from its first epoch"
