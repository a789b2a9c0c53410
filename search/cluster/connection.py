"""Ray for the time of a run: started or joined, quiet, and left as it was found."""

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

from data.splits import Splits
from results.wording import count
from search.cluster.local_ray import authentication, check_shell, check_temporary_folder, name_a_home, token_of_its_own
from search.cluster.slots import Growth, Nodes, Slot
from search.cluster.waiting import free_of_all
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
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # else a dozen files a trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is search.trials.tuning's
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the journal is the record
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",  # with a searcher of one's own it would be 1; ours counts slots
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "10",
}


NODES_SECONDS = 2.0
"""Ray is asked for its nodes at most so often."""
WORKERS_SECONDS = 60.0
PATIENT = {"health_check_failure_threshold": 100}
"""Of a local Ray, which would give up its only node after a minute in which a busy machine does not let it answer.

`search.cluster.ray_watch` sees at once where it has ended."""


def own_path() -> JobConfig:
    """Keeps the current folder off the path of workers, where Ray puts it first, unless it is the checkout.

    It is the user's, whose data.py would be taken for our package. Workers find us where their node has us installed.
    """
    from ray.job_config import JobConfig

    root = Path(__file__).parents[2]
    # _client_job: of all that Ray does by it, what concerns a driver is that the current folder is not added
    return JobConfig(_client_job=True, _py_driver_sys_path=[str(root)] if Path.cwd() == root else [])


class Cluster:
    """Ray is connected in it: the one of `choice`, by default the one that `choose_ray` finds for the configuration."""

    def __init__(self, config: RunConfig, choice: RayChoice | None = None) -> None:
        self.config, self.choice = config, choice
        self._growth: Growth | None = None
        self._open = ExitStack()

    def __enter__(self) -> Cluster:
        os.environ.update(QUIET)
        name_a_home()
        import ray

        if ray.is_initialized():
            raise RuntimeError("Ray is initialized already in this process; a run starts and ends its own connection")
        self.choice = self.choice or choose_ray(self.config.address)
        from search.cluster.autoscaler import growth_of

        with ExitStack() as begun:
            begun.enter_context(_known_to(self.choice))
            begun.callback(_leave)
            _connect(self.choice)
            self._growth = growth_of(ray.get_runtime_context().gcs_address)
            self._open = begun.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __str__(self) -> str:
        """Which Ray this is, and what of it is free."""
        import ray

        assert self.choice is not None
        if self.choice.address is None:
            why = f"; {self.choice.not_joined}" if self.choice.not_joined else ""
            return f"a local one, {count(ray.cluster_resources().get('CPU', 0), 'CPU')}{why}"
        nodes = count(len(self._nodes().up), "node")
        return f"joined {self.choice.address}: {nodes}, {free_of_all()}; address=local for one of its own"

    def slots(self, task: Task, say: Callable[[str], None], stop: Stop) -> Slots:
        """What a trial takes, and how many run side by side: now, and as nodes come and go.

        Raises ValueError if not one trial ever fits, or fewer than are asked for.
        """
        nodes = self._settled_nodes(say, stop)
        config = self.config
        slot = nodes.slot(cpus=config.cpus_per_trial, gpus=config.gpus_per_trial, share=task.gpus_per_trial)
        nodes.check_fits(slot)
        asked, most = config.concurrency, nodes.most_slots(slot)
        if asked is not None and asked > most:
            raise ValueError(f"concurrency={asked}: the cluster has {count(most, 'slot')}, each of {slot}")
        return Slots(slot, asked, partial(_nodes_of, self._growth))  # not ourselves: Tune pickles it

    def check_room(self, splits: Splits) -> None:
        """Raises ValueError if some node's object store is too small for what workers need of a dataset.

        Ray would put it on disk then, without a word, and each worker would read it from there.
        """
        needed = splits.train.nbytes + splits.val.nbytes
        for node in self._nodes().up:
            room = node.get("object_store_memory", 0)
            if needed > room:
                raise ValueError(
                    f"{splits.name}: {needed / 1e6:,.0f} MB of training and validation data, but Ray's object store on "
                    f"node {_address(node)} has {room / 1e6:,.0f} MB; start Ray there with "
                    "--object-store-memory=BYTES, or take less with train_examples="
                )

    def _settled_nodes(self, say: Callable[[str], None], stop: Stop) -> Nodes:
        """The nodes; where only machines themselves know what they have, once those are there that the file names."""
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
    """How many trials run side by side: as many as there is room for, and no more than asked for."""

    def __init__(self, slot: Slot, limit: int | None, nodes: Callable[[], Nodes]) -> None:
        self.slot, self.limit = slot, limit
        self._nodes, self._seen, self._seen_at = nodes, nodes(), time.monotonic()

    @property
    def up(self) -> int:
        """On the nodes that are up."""
        return self._limited(self._fresh().slots_up(self.slot))

    @property
    def most(self) -> int:
        """On these and those that may come: so many trials are begun, and wait for their nodes."""
        return self._limited(self._fresh().most_slots(self.slot))

    def _limited(self, count: int) -> int:
        return count if self.limit is None else min(count, self.limit)

    def _fresh(self) -> Nodes:
        if time.monotonic() - self._seen_at >= NODES_SECONDS:
            self._seen, self._seen_at = self._nodes(), time.monotonic()
        return self._seen


def _nodes_of(growth: Growth | None) -> Nodes:
    import ray

    return Nodes(up=[node["Resources"] for node in ray.nodes() if node["Alive"]], growth=growth)


def _address(resources: Mapping[str, float]) -> str:
    """Ray gives each node a resource of its own, named by its address."""
    names = [name.removeprefix("node:") for name in resources if name.startswith("node:")]
    return min(names, key=lambda name: name.startswith("__"), default="?")


def _known_to(choice: RayChoice) -> AbstractContextManager[None]:
    """The token that this Ray knows its own by, in the environment."""
    if choice.address is None:
        check_shell()
        check_temporary_folder()
        return token_of_its_own()
    return authentication({"RAY_AUTH_MODE": "token" if choice.wants_token else "disabled"})


def _connect(choice: RayChoice) -> None:
    """Connects to the chosen Ray. Raises ValueError, with Ray's reason, if it cannot be started or joined."""
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
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it lists failed trials by names of its own


def _leave() -> None:
    """Ends a local Ray, and leaves one that was joined. One that is lost is not waited for."""
    import ray

    end_local_processes()
    ray.shutdown()
