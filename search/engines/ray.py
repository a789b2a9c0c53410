"""Private names of Ray: its node, its processes, its tokens, its reader of cluster files, and Tune's controller.

Ray takes a second to import, so each function imports what it needs.
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
    from ray.tune.experiment import Trial


def connected_node() -> Any:
    """The node of the cluster that this process is connected to (`ray._private.node.Node`); None if it is to none."""
    from ray._private import worker

    return worker._global_node


def is_local() -> bool:
    """Whether the Ray that this process is connected to was started by it, so that nobody else uses it."""
    node = connected_node()
    return node is not None and node.head


def end_local_processes() -> None:
    """Ends those processes of a local Ray that `ray.shutdown` would wait for; a Ray that was joined is left alone.

    All of them, where one has died. Else the autoscaler's: asked to end after the store that it reports to, it would be
    waited for a whole second, and killed then.
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
    """Ray's processes that are started within it get no signal that is meant for this process's group or terminal.

    A SIGTERM to the group would end them before what they still know has been kept. They go with this process all the
    same, since the kernel kills them then.
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
    """A Ray that is started within it listens on this machine's loopback alone, so that no other machine reaches it.

    Ray's processes listen on all interfaces unless their node's address is the loopback one. `ray.init` replaces a
    loopback `_node_ip_address` by a public one; it keeps to loopback only where it takes clusters to be switched off,
    as it does by default on macOS.
    """
    from ray._private import ray_constants

    constants: Any = ray_constants
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def read_tokens_anew() -> None:
    """Has Ray, which keeps them in mind, read its variables of the environment again, the token's among them."""
    from ray import _raylet

    engine: Any = _raylet
    engine.Config.initialize("")
    engine.AuthenticationTokenLoader.instance().reset_cache()


def temporary_folder() -> Path:
    """The folder in which a local Ray would keep its sockets and logs."""
    from ray._common.utils import get_default_ray_temp_dir

    return Path(get_default_ray_temp_dir())


def cluster_note() -> Path:
    """The file in which `ray start` notes the address of the cluster that it has started on this machine."""
    from ray._common.utils import get_ray_address_file

    return Path(get_ray_address_file(None))


def memory_bytes() -> tuple[int, int]:
    """The memory of this machine, or of its container, and how much of it is used."""
    from ray._common.utils import get_system_memory
    from ray._private.utils import get_used_memory

    return get_system_memory(), get_used_memory()


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """A cluster file's content as `ray up` completes it, without what Ray prints meanwhile. Any exception may come."""
    from ray.autoscaler._private.util import prepare_config

    logging.getLogger("ray.autoscaler._private.util").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return prepare_config(copy.deepcopy(dict(config)))  # Ray changes what it is given


def check_cluster_config(config: Mapping[str, Any]) -> None:
    """Raises whatever `ray up` would raise of a cluster file's content."""
    from ray.autoscaler._private.util import validate_config

    validate_config(with_defaults(config))


def controller_of(wrapper: Any) -> Any:
    """Tune's controller, of which a scheduler is given a wrapper."""
    return wrapper._tune_controller


def num_live_workers(controller: Any) -> int:
    """Workers that the cluster has found room for, also those that are still starting."""
    return controller._actor_manager.num_live_actors


def keep_first_checkpoint_only(controller: Any) -> None:
    """Lets Tune keep the first of its own records of all trials, which it wants to find at its end, and no other.

    Nothing reads them, and of thousands of trials they would take 20 kB of memory for each, and seconds.
    """

    def once(**options: Any) -> None:
        controller.checkpoint = lambda **options: None
        type(controller).checkpoint(controller, **options)

    if "checkpoint" not in vars(controller):
        controller.checkpoint = once


def forget_statistics(trial: Trial) -> None:
    """Drops 13 kB of statistics of a trial that has ended: Tune keeps each trial for good, and these with it."""
    trial.run_metadata.metric_n_steps.clear()
    trial.run_metadata.metric_analysis.clear()
