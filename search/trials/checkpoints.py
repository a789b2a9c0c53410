"""One actor beside the driver: takes workers' checkpoints, writes them into the run's folder, hands them out.

So a cluster needs no shared file system and no bucket. The actor knows bytes only; torch is not imported here. A file
begins with a seal, so that a damaged or foreign one is found before a trial starts on it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data.files import replacing
from results.files import writing

SEAL = b"frugal checkpoint 1\n"


class CheckpointStore:
    """The last checkpoint of each live trial in a study's folder, and the results that are kept, there or elsewhere."""

    def __init__(self, folder: str, models: str | None = None) -> None:
        self.checkpoints = Path(folder, "checkpoints")
        self.results = {
            "model": (Path(models or Path(folder, "models")), ".pt"),
            "answers": (Path(folder, "answers"), ".npz"),
        }
        self.ended: set[int] = set()
        self.newest: dict[int, int] = {}

    def save(self, number: int, state: bytes, num_reports: int = 0) -> None:
        """Keeps a trial's checkpoint after so many reports in place of its last one.

        One that arrives after the trial's end is dropped, and one that is behind the last: the trial goes on elsewhere,
        and this comes from a node that had fallen silent.
        """
        if number not in self.ended and num_reports >= self.newest.get(number, 0):
            self.newest[number] = num_reports
            _write(self.checkpoints / f"{number}.ckpt", SEAL + hashlib.sha256(state).digest() + state)

    def load(self, number: int) -> bytes | None:
        """A trial's last checkpoint, if there is one. Raises ValueError if it is damaged."""
        return _unsealed(self.checkpoints / f"{number}.ckpt")

    def save_results(self, number: int, results: Mapping[str, bytes]) -> None:
        """Holds what a trial leaves, by kind: its model, and its answers to the images that it was scored on."""
        for kind, content in results.items():
            _write(self.checkpoints / f"{number}.{kind}", content)

    def end(self, number: int, kept_as: str | None) -> None:
        """Removes an ended trial's files; its results are kept under this name, in place of those that have it."""
        self.ended.add(number)
        with writing(self.checkpoints / f"{number}.*"):
            for kind, (folder, ending) in self.results.items():
                path = self.checkpoints / f"{number}.{kind}"
                if kept_as and path.exists():
                    folder.mkdir(exist_ok=True)
                    target = folder / f"{kept_as}{ending}"
                    target.with_suffix(".onnx").unlink(missing_ok=True)  # of the model that was there before
                    os.replace(path, target)
                path.unlink(missing_ok=True)
            (self.checkpoints / f"{number}.ckpt").unlink(missing_ok=True)


def start_store(folder: Path, models: Path) -> Any:
    """The actor, on the driver's own node, where a study's folder and that of its models lie. It takes no slot.

    If its process dies it is started again, and what it was asked meanwhile is asked again: all that it knows is in
    files. (A checkpoint that comes after its trial's end may then stay; it is removed when the run ends.)
    """
    here: Any = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(**options)(CheckpointStore).remote(str(folder.absolute()), str(models.absolute()))


def left_over(folder: Path) -> list[int]:
    """The trials of which a study's store has files: those that ran when the driver was killed, or had just ended."""
    return sorted({int(path.stem) for path in (folder / "checkpoints").glob("*") if path.stem.isdigit()})


def check_checkpoints(folder: Path, numbers: Iterable[int]) -> None:
    """Raises ValueError if one of these trials has a checkpoint that is damaged or none of ours."""
    for number in numbers:
        _unsealed(folder / "checkpoints" / f"{number}.ckpt")


def _write(path: Path, content: bytes) -> None:
    with writing(path), replacing(path, make_folder=True) as file:
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
