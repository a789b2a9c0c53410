"""Private names of Ray: its node, processes, tokens, cluster files, and Tune's controller.

Each function imports what it needs, since Ray takes a second to import.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray._private.node import Node
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import Trial


def connected_node() -> Node | None:
    """Returns the cluster node that this process is connected to, or None."""
    from ray._private import worker

    return worker._global_node


def is_local() -> bool:
    """Returns whether this process started the Ray that it is connected to, so that nobody else uses it."""
    node = connected_node()
    return node is not None and node.head


def end_local_processes() -> None:
    """Ends those processes of a local Ray that `ray.shutdown` would wait for. Does nothing to a joined Ray.

    If one process has died, all are ended. Otherwise only the autoscaler's is: Ray ends it after the store that it
    reports to, and would wait a whole second before it kills it.
    """
    node = connected_node()
    if node is None or not node.head:
        return
    if node.dead_processes():
        node.kill_all_processes(check_alive=False, allow_graceful=False)
    else:
        node.kill_monitor(check_alive=False)


@contextmanager
def sessions_of_their_own() -> Iterator[None]:
    """Starts Ray's processes, within the block, in their own sessions, so that signals to our group do not reach them.

    A SIGTERM to the group would end them before their data are saved. The kernel still kills them when this process
    ends.
    """
    from ray._private import services

    shared: Any = services.ConsolePopen

    class Alone(shared):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options, start_new_session=True)

    services.ConsolePopen = Alone
    try:
        yield
    finally:
        services.ConsolePopen = shared


@contextmanager
def on_loopback() -> Iterator[None]:
    """Makes a Ray that is started within the block listen on loopback only, so that no other machine can reach it.

    Ray's processes listen on all interfaces unless their node's address is the loopback address. `ray.init` replaces a
    loopback `_node_ip_address` with a public one, unless clusters are disabled, as they are by default on macOS.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def read_tokens_anew() -> None:
    """Makes Ray read its environment variables again, including the token, since it caches them."""
    from ray import _raylet

    engine: Any = _raylet
    engine.Config.initialize("")
    engine.AuthenticationTokenLoader.instance().reset_cache()


def temporary_folder() -> Path:
    """Returns the folder in which a local Ray would keep its sockets and logs."""
    from ray._common.utils import get_default_ray_temp_dir

    return Path(get_default_ray_temp_dir())


def cluster_note() -> Path:
    """Returns the file in which `ray start` records the address of the cluster that it started on this machine."""
    from ray._common.utils import get_ray_address_file

    return Path(get_ray_address_file(None))


def memory_bytes() -> tuple[int, int]:
    """Returns the memory in bytes of this machine, or of its container, and how much of it is used."""
    from ray._common.utils import get_system_memory
    from ray._private.utils import get_used_memory

    return get_system_memory(), get_used_memory()


def with_defaults(config: Mapping[str, object]) -> dict[str, Any]:
    """Returns a cluster file's content as `ray up` completes it, without Ray's output. May raise any exception."""
    from ray.autoscaler._private.util import prepare_config

    logging.getLogger("ray.autoscaler._private.util").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return prepare_config(copy.deepcopy(dict(config)))  # Ray changes its argument


def check_cluster_config(config: Mapping[str, object]) -> None:
    """Raises the exception, of any type, that `ray up` would raise for a cluster file's content."""
    from ray.autoscaler._private.util import validate_config

    validate_config(with_defaults(config))


def controller_of(wrapper: Any) -> TuneController:
    """Returns Tune's controller from the wrapper that schedulers receive."""
    return wrapper._tune_controller


def num_live_workers(controller: TuneController) -> int:
    """Returns the number of workers for which the cluster has room, including those that are starting."""
    return controller._actor_manager.num_live_actors


def keep_first_checkpoint_only(controller: TuneController) -> None:
    """Lets Tune write its first experiment snapshot, which it expects at its end, and skips all later ones.

    Nothing reads them. With thousands of trials they take seconds, and 20 kB of memory per trial.
    """

    def once(force: bool = False, wait: bool = False) -> None:
        controller.checkpoint = lambda force=False, wait=False: None
        type(controller).checkpoint(controller, force, wait)

    if "checkpoint" not in vars(controller):
        controller.checkpoint = once


def forget_statistics(trial: Trial) -> None:
    """Drops 13 kB of statistics of an ended trial, which Tune would keep until its end."""
    trial.run_metadata.metric_n_steps.clear()
    trial.run_metadata.metric_analysis.clear()
