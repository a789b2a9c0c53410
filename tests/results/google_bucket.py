"""A server of Google's storage on loopback, with one bucket, whose connection can be cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gcp_storage_emulator.server import Server, create_server

from benchmarks.ray_head import free_port

URL = "gs://runs-of-tests/some/where"


class GoogleBucket:
    """A server whose content is in a folder and outlasts a cut."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.server: Server | None = None
        self.mend()

    @property
    def environment(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self.port}"}

    def cut(self) -> None:
        """Closes the port: from now on nothing listens."""
        assert self.server
        self.server.stop()
        self.server = None

    def mend(self) -> None:
        self.server = create_server("127.0.0.1", self.port, data_dir=str(self.folder), default_bucket="runs-of-tests")
        self.server.start()


@contextmanager
def google_bucket(folder: Path) -> Iterator[GoogleBucket]:
    served = GoogleBucket(folder)
    try:
        yield served
    finally:
        if served.server:
            served.cut()
