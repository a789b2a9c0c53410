"""Ray for the time of a run: started or joined, quiet, and left as it was found."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from types import TracebackType

from data.splits import Splits
from search.config import RunConfig
from search.slots import Slot, count_slots
from search.tasks import Task

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # else a dozen files a trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is search.tuning's
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the journal is the record
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
}


ANSWER_SECONDS = 5.0


class Cluster:
    """Ray is connected in it: to a running cluster if there is one, by Ray's own rule, else to a local one."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config

    def __enter__(self) -> Cluster:
        os.environ.update(QUIET)
        import ray

        if ray.is_initialized():
            raise RuntimeError("Ray is initialized already in this process; a run starts and ends its own connection")
        _check_answers(self.config.address)
        try:
            ray.init(
                address=self.config.address,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
            )
            logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it lists failed trials by names of its own
        except ConnectionError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"address={self.config.address}: no Ray cluster answers there: {reason}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        ray.shutdown()

    def slot(self, task: Task) -> Slot:
        """What a trial takes: of a GPU the task's share, where the cluster has GPUs, unless told otherwise."""
        gpus = self.config.gpus_per_trial
        if gpus is None:
            gpus = task.gpus_per_trial if any(node.get("GPU") for node in self._nodes()) else 0.0
        return Slot(cpus=self.config.cpus_per_trial, gpus=gpus)

    def concurrency(self, slot: Slot) -> int:
        """How many trials run side by side. Raises ValueError if more are asked for than fit."""
        slots = count_slots(slot, self._nodes())
        asked = self.config.concurrency
        if asked is not None and asked > slots:
            raise ValueError(
                f"concurrency={asked}: the cluster has {slots} slots of {slot.cpus:g} CPUs, {slot.gpus:g} GPUs"
            )
        return asked or slots

    def check_room(self, splits: Splits) -> None:
        """Raises ValueError if some node's object store is too small for what workers need of a dataset.

        Ray would put it on disk then, without a word, and each worker would read it from there.
        """
        needed = splits.train.nbytes + splits.val.nbytes
        for node in self._nodes():
            room = node.get("object_store_memory", 0)
            if needed > room:
                raise ValueError(
                    f"{splits.name}: {needed / 1e6:,.0f} MB of training and validation data, but Ray's object store on "
                    f"node {_address(node)} has {room / 1e6:,.0f} MB; start Ray there with "
                    "--object-store-memory=BYTES, or take less with train_examples="
                )

    def _nodes(self) -> list[dict[str, float]]:
        import ray

        return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _address(resources: Mapping[str, float]) -> str:
    """Ray gives each node a resource of its own, named by its address."""
    names = [name.removeprefix("node:") for name in resources if name.startswith("node:")]
    return min(names, key=lambda name: name.startswith("__"), default="?")


def _check_answers(address: str | None) -> None:
    """Raises ValueError if nobody listens at HOST:PORT, where Ray itself would try for many minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdigit():  # 'auto', 'local', or a client's ray://
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise ValueError(f"address={address}: no Ray cluster answers there: {error}") from None
