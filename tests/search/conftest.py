"""What tests of whole commands share."""

import socket
from collections.abc import Iterator

import pytest
from ray.cluster_utils import Cluster


@pytest.fixture(scope="session")
def nowhere() -> Iterator[str]:
    """An address= where no Ray answers: a search that nothing stops before ends there, and trains nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"address=127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A Ray of two CPUs for all commands that do not mind sharing one: `address=...`, as the command line has it."""
    shared = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield f"address={shared.address}"
    shared.shutdown()
