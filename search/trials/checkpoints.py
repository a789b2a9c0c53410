"""The checkpoint store: an actor on the driver's node that writes workers' checkpoints to the run's folder.

Through it a cluster needs neither a shared file system nor a bucket. It handles bytes only and does not import torch. A
file starts with a seal, so that a damaged or foreign one is found before a trial starts from it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import ray
from ray.actor import ActorProxy
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from data.files import replacing
from results.files import writing

SEAL = b"frugal checkpoint 1\n"


class CheckpointStore:
    """Holds the last checkpoint of each live trial in a study's folder, and moves results to where they are kept."""

    def __init__(self, folder: str, models: str | None = None) -> None:
        self.checkpoints = Path(folder, "checkpoints")
        self.results = {
            "model": (Path(models or Path(folder, "models")), ".pt"),
            "answers": (Path(folder, "answers"), ".npz"),
        }
        self.ended: set[int] = set()
        self.newest: dict[int, int] = {}

    def save(self, number: int, state: bytes, num_reports: int = 0) -> None:
        """Replaces a trial's checkpoint by this one, which follows `num_reports` reports.

        Drops a checkpoint that arrives after the trial's end, and one that is older than the last: it comes from a node
        that had fallen silent, and the trial has continued elsewhere.
        """
        if number not in self.ended and num_reports >= self.newest.get(number, 0):
            self.newest[number] = num_reports
            _write(self.checkpoints / f"{number}.ckpt", SEAL + hashlib.sha256(state).digest() + state)

    def load(self, number: int) -> bytes | None:
        """Returns a trial's last checkpoint, or None. Raises ValueError if it is damaged."""
        return _unseal(self.checkpoints / f"{number}.ckpt")

    def save_results(self, number: int, results: Mapping[str, bytes]) -> None:
        """Saves a trial's results by kind: its model, and its answers to the examples that it was scored on."""
        for kind, content in results.items():
            _write(self.checkpoints / f"{number}.{kind}", content)

    def end(self, number: int, kept_as: str | None) -> None:
        """Removes an ended trial's files. Its results replace those under the name `kept_as`, unless that is None."""
        self.ended.add(number)
        with writing(self.checkpoints / f"{number}.*"):
            for kind, (folder, ending) in self.results.items():
                path = self.checkpoints / f"{number}.{kind}"
                if kept_as and path.exists():
                    folder.mkdir(exist_ok=True)
                    target = folder / f"{kept_as}{ending}"
                    target.with_suffix(".onnx").unlink(missing_ok=True)  # it belongs to the model that is replaced
                    os.replace(path, target)
                path.unlink(missing_ok=True)
            (self.checkpoints / f"{number}.ckpt").unlink(missing_ok=True)


def start_store(folder: Path, models: Path) -> ActorProxy[CheckpointStore]:
    """Starts the actor on the driver's node, where the folders of the study and its models are. It takes no slot.

    If its process dies, Ray restarts it and repeats the calls meanwhile, since all its state is in files. (A checkpoint
    that arrives after its trial's end may then stay until the run ends.)
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(**options)(CheckpointStore).remote(str(folder.absolute()), str(models.absolute()))


def left_over(folder: Path) -> list[int]:
    """Returns the trials with files in a study's store: they ran, or had just ended, when the driver was killed."""
    return sorted({int(path.stem) for path in (folder / "checkpoints").glob("*") if path.stem.isdigit()})


def check_checkpoints(folder: Path, numbers: Iterable[int]) -> None:
    """Raises ValueError if the checkpoint of one of these trials is damaged or foreign."""
    for number in numbers:
        _unseal(folder / "checkpoints" / f"{number}.ckpt")


def _write(path: Path, content: bytes) -> None:
    with writing(path), replacing(path, make_folder=True) as file:
        file.write(content)


def _unseal(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path}: this checkpoint cannot be read: {error.strerror}; {_hint(path)}") from None
    start = len(SEAL) + hashlib.sha256().digest_size
    state = content[start:]
    if content[:start] != SEAL + hashlib.sha256(state).digest():
        raise ValueError(f"{path}: not a checkpoint of this version of Frugal, or damaged; {_hint(path)}")
    return state


def _hint(path: Path) -> str:
    return f"remove it, and trial {path.stem} restarts from its first epoch"
