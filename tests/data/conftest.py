"""A local web server that serves a test's files, well or badly, and a stand-in for MNIST."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data import max_digit
from data.splits import Dataset, Splits
from tests.data.toy_digits import squares

Serve = Callable[[Mapping[str, bytes | str]], str]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """serve({name: bytes, or "hang", or "truncate"}) starts a server and returns its address, a slash at the end.

    "hang" never answers; "truncate" promises 1,000 bytes and sends 10; any other name is a 404.
    """
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    done = threading.Event()
    servers: list[ThreadingHTTPServer] = []

    def start(files: Mapping[str, bytes | str]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = files.get(self.path.lstrip("/"))
                if content is None:
                    return self.send_error(404)
                if content == "hang":
                    done.wait()
                    return None
                body = b"ten bytes!" if isinstance(content, str) else content
                self.send_response(200)
                self.send_header("Content-Length", str(1000 if isinstance(content, str) else len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)
                return None

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    done.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address that refuses every connection: its port is taken, but nobody listens there."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Splits:
    """Replaces MNIST by a few digits, so that nothing is downloaded."""
    digits = Splits(name="mnist", origin="original", train=squares(*range(10)), val=squares(3, 4), test=squares(5, 6))
    loaded = Dataset(name="mnist", original=lambda data_dir, say: digits, made=lambda data_dir, say: digits)
    monkeypatch.setattr(max_digit, "MNIST", loaded)
    return digits
