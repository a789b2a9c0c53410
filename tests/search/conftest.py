"""Fixtures that tests of whole commands share."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def nowhere() -> Iterator[str]:
    """Yields an address= where no Ray answers: a search that passes all checks ends there and trains nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"address=127.0.0.1:{taken.getsockname()[1]}"
