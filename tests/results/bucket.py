"""moto's S3 server on loopback, with one bucket and a connection that can be cut."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

from benchmarks.ray_head import free_port
from results import bucket as bucket_module
from tests.waiting import HANG_SECONDS

URL = "s3://runs-of-tests/some/where"


class Bucket:
    """A server whose content outlasts a cut."""

    def __init__(self) -> None:
        self.port = free_port()
        self.server: ThreadedMotoServer | None = None
        self.mend()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def ask(self, method: str, path: str, content: bytes = b"") -> None:
        url, headers = self.environment["AWS_ENDPOINT_URL"] + path, {"Content-Type": "text/plain"}
        urlopen(Request(url, method=method, data=content, headers=headers)).close()

    def empty(self) -> None:
        """Removes everything but the bucket of `URL`."""
        self.ask("POST", "/moto-api/reset-auth", b"inf")
        self.ask("POST", "/moto-api/reset")
        self.ask("PUT", "/runs-of-tests")

    def cut(self) -> None:
        """Closes the port: from now on nothing listens."""
        assert self.server
        self.server.stop()
        self.server = None

    def mend(self) -> None:
        if self.server:
            return
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Starts the server with the bucket of `URL`, and sets the environment that finds it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    served = Bucket()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in served.environment.items():
                patch.setenv(name, value)
            patch.setattr(bucket_module, "SILENT_SECONDS", HANG_SECONDS)  # a busy machine may take long to answer
            served.empty()  # removes what this process has served before
            yield served
    finally:
        served.mend()
        served.empty()  # its refusals would last as long as this process
        served.cut()
