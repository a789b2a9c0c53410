"""The nodes that Ray's autoscaler may start, read from the cluster file that it runs with on the head."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from search.cluster.slots import Growth, NodeType

MONITORS = (str(Path("autoscaler", "_private", "monitor.py")), str(Path("autoscaler", "v2", "monitor.py")))


def running_file(gcs_address: str) -> dict[str, Any] | None:
    """Returns the cluster file of this cluster's autoscaler; None if no autoscaler runs on this machine.

    Ray has no interface for it, so the file is found from the command line of the autoscaler's process.
    """
    for options in _monitors():
        file = options.get("--autoscaling-config")
        if file and options.get("--gcs-address") == gcs_address:
            return yaml.safe_load(Path(file).expanduser().read_text())
    return None


def growth_of(gcs_address: str) -> Growth | None:
    """Returns how the cluster at this address may grow; None if it has no autoscaler."""
    file = running_file(gcs_address)
    return growth_from(file) if file else None


def growth_from(config: dict[str, Any]) -> Growth:
    """Returns the growth that a cluster file allows, once Ray's defaults are filled in."""
    head_name = config.get("head_node_type")
    kinds = dict(config.get("available_node_types") or {})
    head = kinds.pop(head_name, {})
    max_workers = int(config.get("max_workers") or 0)
    if not kinds and head.get("max_workers"):  # in a file of type local, head and workers have one type
        kinds = {head_name: head}
    return Growth(
        head=head.get("resources") or {},
        types=[
            NodeType(resources=kind.get("resources") or {}, max_count=int(kind.get("max_workers", max_workers)))
            for kind in kinds.values()
        ],
        max_workers=max_workers,
        min_workers=sum(int(kind.get("min_workers") or 0) for kind in kinds.values()),
    )


def _monitors() -> Iterator[dict[str, str]]:
    """Yields the command-line options of each autoscaler on this machine."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.endswith(MONITORS) for word in words):
            yield dict(word.partition("=")[::2] for word in words if word.startswith("--"))
