"""The connection to Ray during a run: started or joined quietly, and ended or left at the end."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from data.progress import size_text
from data.splits import Splits
from results.wording import count
from search.cluster.local_ray import authentication, check_shell, check_temporary_folder, name_a_home, token_of_its_own
from search.cluster.ray_watch import is_lost
from search.cluster.slots import Growth, Nodes, Slot
from search.cluster.waiting import free_resources
from search.cluster.which_ray import LOCAL, RayChoice, choose_ray
from search.command_line.signals import Stop
from search.engines.ray import end_local_processes, on_loopback, sessions_of_their_own
from search.planning.config import RunConfig
from search.tasks import Task

if TYPE_CHECKING:
    from ray.job_config import JobConfig

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # they would write a dozen files per trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # search.trials.tuning handles Ctrl-C
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the journal is the record of the run
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # its default is 1 with a custom searcher; ours counts slots
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
}


NODES_SECONDS = 2.0
"""The least time between two requests for Ray's nodes."""
WORKERS_SECONDS = 60.0
"""How long to wait for the workers of a cluster file whose resources only they know."""
PATIENT = {"health_check_failure_threshold": 100}
"""Settings of a local Ray. By default it drops its only node if a busy machine keeps it from answering for a minute.

`search.cluster.ray_watch` notices at once if Ray has ended."""


def own_path() -> JobConfig:
    """Returns a job configuration that keeps the current folder off the workers' sys.path, unless it is the checkout.

    Ray would put it first, and a user's data.py there would hide our package. Workers import the installed project.
    """
    from ray.job_config import JobConfig

    root = Path(__file__).parents[2]
    # _client_job's only effect on a driver is that the current folder is not added
    return JobConfig(_client_job=True, _py_driver_sys_path=[str(root)] if Path.cwd() == root else [])


class Cluster:
    """A context in which this process is connected to Ray: to `choice`, or else to what `choose_ray` finds."""

    def __init__(self, config: RunConfig, choice: RayChoice | None = None) -> None:
        self.config, self.choice = config, choice
        self._growth: Growth | None = None
        self._open = ExitStack()

    def __enter__(self) -> Cluster:
        os.environ.update(QUIET)
        name_a_home()
        import ray

        if ray.is_initialized():
            raise RuntimeError("Ray is already initialized in this process; a run starts and ends its own connection")
        self.choice = self.choice or choose_ray(self.config.address)
        from search.cluster.autoscaler import growth_of

        with ExitStack() as opened:
            opened.enter_context(_authenticated(self.choice))
            opened.callback(_leave)
            _connect(self.choice)
            self._growth = growth_of(ray.get_runtime_context().gcs_address)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __str__(self) -> str:
        """Returns which Ray this is, and what of it is free."""
        import ray

        assert self.choice is not None
        if self.choice.address is None:
            why = f"; {self.choice.not_joined}" if self.choice.not_joined else ""
            return f"a local one, {count(ray.cluster_resources().get('CPU', 0), 'CPU')}{why}"
        nodes = count(len(self._nodes().up), "node")
        return f"joined {self.choice.address}: {nodes}, {free_resources()}; address=local for one of its own"

    def slots(self, task: Task, say: Callable[[str], None], stop: Stop) -> Slots:
        """Returns the slot of a trial and a live count of slots, which follows nodes as they join and leave.

        Raises ValueError if no trial can ever fit, or if `concurrency` asks for more than the cluster can have.
        """
        nodes = self._settled_nodes(say, stop)
        config = self.config
        slot = nodes.slot(cpus=config.cpus_per_trial, gpus=config.gpus_per_trial, share=task.gpus_per_trial)
        nodes.check_fits(slot)
        asked, maximum = config.concurrency, nodes.most_slots(slot)
        if asked is not None and asked > maximum:
            raise ValueError(f"concurrency={asked}: the cluster has {count(maximum, 'slot')}, each of {slot}")
        return Slots(slot, asked, partial(_nodes_of, self._growth))  # no reference to self, since Tune pickles it

    def check_room(self, splits: Splits) -> None:
        """Raises ValueError if a node's object store is too small for the training and validation data.

        Ray would silently spill them to disk, and each worker would read them from there.
        """
        needed = splits.train.nbytes + splits.val.nbytes
        for node in self._nodes().up:
            room = node.get("object_store_memory", 0)
            if needed > room:
                raise ValueError(
                    f"{splits.name}: {size_text(needed)} of training and validation data, but Ray's object store on "
                    f"node {_address(node)} has {size_text(room)}; start Ray there with "
                    "--object-store-memory=BYTES, or use less with train_examples="
                )

    def _settled_nodes(self, say: Callable[[str], None], stop: Stop) -> Nodes:
        """Returns the nodes; if a cluster file does not say what its machines have, first waits for them to join."""
        nodes, deadline = self._nodes(), time.monotonic() + WORKERS_SECONDS
        if nodes.waits_for:
            say(f"waiting up to {WORKERS_SECONDS:g} seconds for {count(nodes.waits_for, 'more node')} to join")
        while nodes.waits_for and time.monotonic() < deadline and not stop.name:
            time.sleep(NODES_SECONDS)
            nodes = self._nodes()
        return nodes

    def _nodes(self) -> Nodes:
        return _nodes_of(self._growth)


class Slots:
    """How many trials run in parallel: as many as fit, up to a limit."""

    def __init__(self, slot: Slot, limit: int | None, nodes: Callable[[], Nodes]) -> None:
        self.slot, self.limit = slot, limit
        self._nodes, self._seen, self._seen_at = nodes, nodes(), time.monotonic()

    @property
    def up(self) -> int:
        """The slots on the nodes that are up."""
        return self._limited(self._fresh().slots_up(self.slot))

    @property
    def most(self) -> int:
        """The slots on nodes that are up or may start: this many trials are started, and some wait for their nodes."""
        return self._limited(self._fresh().most_slots(self.slot))

    def _limited(self, count: int) -> int:
        return count if self.limit is None else min(count, self.limit)

    def _fresh(self) -> Nodes:
        if time.monotonic() - self._seen_at >= NODES_SECONDS and not is_lost():  # a call to a lost head never returns
            self._seen, self._seen_at = self._nodes(), time.monotonic()
        return self._seen


def _nodes_of(growth: Growth | None) -> Nodes:
    import ray

    return Nodes(up=[node["Resources"] for node in ray.nodes() if node["Alive"]], growth=growth)


def _address(resources: Mapping[str, float]) -> str:
    """Returns a node's address, from the resource that Ray names after it."""
    names = [name.removeprefix("node:") for name in resources if name.startswith("node:")]
    return min(names, key=lambda name: name.startswith("__"), default="?")


def _authenticated(choice: RayChoice) -> AbstractContextManager[None]:
    """Puts into the environment the token that this Ray expects."""
    if choice.address is None:
        check_shell()
        check_temporary_folder()
        return token_of_its_own()
    return authentication({"RAY_AUTH_MODE": "token" if choice.wants_token else "disabled"})


def _connect(choice: RayChoice) -> None:
    """Connects to the chosen Ray. Raises ValueError with Ray's reason if it cannot be started or joined."""
    import ray

    try:
        with sessions_of_their_own(), nullcontext() if choice.address else on_loopback():
            ray.init(
                address=choice.address or LOCAL,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
                job_config=own_path(),
                _system_config=None if choice.address else PATIENT,
            )
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        what = f"address={choice.address}: it cannot be joined" if choice.address else "no Ray can be started here"
        raise ValueError(f"{what}: {reason}") from error
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it would list failed trials under its own names


def _leave() -> None:
    """Ends a local Ray, or disconnects from a joined one, without waiting for one that is lost."""
    import ray

    end_local_processes()
    ray.shutdown()
