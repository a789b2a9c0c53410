"""A cluster of one machine whose nodes come and go: Ray's own autoscaler with its provider of simulated nodes."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.search.command import environment

HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"
HEAD_TYPE = "ray.head.default"
"""By these Ray's provider of simulated nodes knows their head."""

NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
"""For whoever joins by address, too: Ray's nodes want a token where the user's home happens to hold one."""


@contextmanager
def autoscaling_cluster(folder: Path, types: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]) -> Iterator[str]:
    """The address of a head without CPUs, beside which nodes of these types come as they are asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    workers = {name: {"node_config": {}, "min_workers": 0, **kind} for name, kind in types.items()}
    config = {
        "cluster_name": "simulated",
        "max_workers": 8,
        "upscaling_speed": 100,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "external",  # Ray's wheel lacks the defaults of its type fake_multinode
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "head_node_id": HEAD_ID,
            "launch_multiple": True,
            "gcs_address": f"127.0.0.1:{port}",
        },
        "auth": {},
        **{f"{who}setup_commands": [] for who in ("", "head_", "worker_")},
        **{f"{who}_start_ray_commands": [] for who in ("head", "worker")},
        "initialization_commands": [],
        "file_mounts": {},
        "cluster_synced_files": [],
        "available_node_types": {HEAD_TYPE: head, **workers},
        "head_node_type": HEAD_TYPE,
    }
    file = folder / "simulated.yaml"
    file.write_text(json.dumps(config))
    options = {
        "port": port,
        "num-cpus": 0,
        "node-ip-address": "127.0.0.1",
        "autoscaling-config": file,
        "include-dashboard": "false",
    }
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
    command += [f"--{name}={value}" for name, value in options.items()]
    environ = environment() | {
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        **NO_TOKEN,
        **env,
    }
    with (
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as own,
        (folder / "head.log").open("w") as log,
    ):
        # A session of its own: Ray's processes, the simulated nodes' too, end with it
        environ["RAY_TMPDIR"] = own
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        try:
            _await_answer(port)
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_answer(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
