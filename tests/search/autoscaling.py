"""A cluster on one machine with changing nodes: Ray's autoscaler with its provider of simulated nodes."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.ray_head import free_port, ray_head
from tests.search.command import environment

HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"
HEAD_TYPE = "ray.head.default"
"""Ray's provider of simulated nodes recognizes the head by its id and type."""


@contextmanager
def autoscaling_cluster(folder: Path, types: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]) -> Iterator[str]:
    """Starts a head without CPUs, to which nodes of these types are added on demand. Yields its address."""
    port = free_port()
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
    environ = environment() | {
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        **env,
    }
    with ray_head(port, {"num-cpus": 0, "autoscaling-config": file}, environ, folder / "head.log"):
        yield f"127.0.0.1:{port}"
