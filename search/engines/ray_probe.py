"""Asks a Ray cluster for its versions: `python -P ray_probe.py HOST PORT` prints one JSON object.

It is a process of its own, since Ray's client blocks for 40 seconds without an answer, ignores signals meanwhile, and
ends its process if it has no token. Here SIGALRM ends it if the cluster takes too long to answer.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any

CONNECT_SECONDS, ANSWER_SECONDS = 2, 3
"""Whole seconds, as alarms require. Neither includes the time to import Ray."""


def main(host: str, port: str) -> dict[str, bool | str]:
    """Returns the facts needed before joining: `problem`, or versions; `is_here`, `wants_token`, `takes_ours`."""
    signal.alarm(CONNECT_SECONDS)
    try:
        with socket.create_connection((host, int(port))) as connection:
            is_here = connection.getsockname()[0] == connection.getpeername()[0]
    except (OSError, UnicodeError, OverflowError) as error:
        return {"problem": f"no Ray cluster answers there: {error}"}
    signal.alarm(0)
    return {"is_here": is_here, **ask(f"{host}:{port}")}


def ask(address: str) -> dict[str, bool | str]:
    """Returns the cluster's versions. Asks first without our token, so that a cluster without tokens never sees it."""
    import ray
    from ray import _raylet
    from ray.exceptions import AuthenticationError

    engine: Any = _raylet
    ours = ".".join(map(str, sys.version_info[:3]))
    answer: dict[str, bool | str] = {"wants_token": False, "our_ray": ray.__version__, "our_python": ours}
    signal.alarm(ANSWER_SECONDS)
    try:
        return {**answer, **versions(address)}
    except AuthenticationError:
        answer["wants_token"] = True
    if not engine.AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        return {**answer, "problem": "it requires a token, and you have none (~/.ray/auth_token, or RAY_AUTH_TOKEN)"}
    os.environ["RAY_AUTH_MODE"] = "token"
    engine.Config.initialize("")  # reads the environment again
    try:
        return {**answer, **versions(address), "takes_ours": True}
    except AuthenticationError:
        return {**answer, "problem": "it does not accept your token"}


def versions(address: str) -> dict[str, str]:
    from ray import _raylet
    from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
    from ray._private.ray_constants import KV_NAMESPACE_CLUSTER

    engine: Any = _raylet
    client = engine.GcsClient(address=address)
    found = client.internal_kv_get(CLUSTER_METADATA_KEY, namespace=KV_NAMESPACE_CLUSTER, timeout=ANSWER_SECONDS)
    metadata = json.loads(found or b"{}")
    return {"ray": metadata.get("ray_version", "unknown"), "python": metadata.get("python_version", "unknown")}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
