"""Whether the Ray of this process is still there: its head, and the node that this process has joined it by."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from search.command_line.signals import Stop
from search.engines.ray import connected_node

LOOK_SECONDS = 0.5
"""So often it is looked, and an interrupt repeated that something on its way has swallowed."""
CONNECT_SECONDS = 2.0
SILENT_LOOKS = 10
"""After so many looks a head is given up that does not even refuse: in half a minute. After a whole one Ray would end
this process itself."""
GRACE_SECONDS = 2.0
"""So long the main thread may take to come back. From a call to a head that has gone it never does."""
_connections: dict[str, socket.socket] = {}
"""To raylets, by their sockets' paths."""
PARTS = {"gcs_server": "GCS", "raylet": "raylet"}


@contextmanager
def watched(stop: Stop, give_up: Callable[[], None]) -> Iterator[None]:
    """Within it, Ray's loss is noted in `stop`, and KeyboardInterrupt raised in the main thread.

    Where that is stuck in a call to Ray, or the next call would end the process, `give_up` is called in another thread
    instead, which has to end the process in order. An error that comes of the loss, ahead of that, has it noted too.
    """
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(stop, ended, give_up), daemon=True)
    stop.waits_for_ray = True
    watch.start()
    try:
        yield
    except Exception:
        loss = _loss()
        stop.lost = stop.lost or (loss.what if loss else None)
        raise
    finally:
        stop.waits_for_ray = False
        ended.set()
        watch.join()  # its signal would end the process once nobody listens for it
        for raylet in list(_connections):
            _connections.pop(raylet).close()


@dataclass(frozen=True)
class Loss:
    """What has become of Ray, in words, and whether Ray ends this process itself at its next call to its raylet."""

    what: str
    ends_process: bool = False


def _watch(stop: Stop, ended: threading.Event, give_up: Callable[[], None]) -> None:
    silent, lost_at = 0, None
    while not ended.wait(LOOK_SECONDS):
        try:
            loss = Loss(stop.lost) if stop.lost else _loss()
            silent = 0
        except TimeoutError:
            silent += 1
            loss = Loss("the loss of Ray, whose head does not answer") if silent >= SILENT_LOOKS else None
        if not loss or ended.is_set():
            continue
        if loss.ends_process:
            stop.lost = loss.what
            return give_up()
        lost_at = lost_at or time.monotonic()
        stop.lose(loss.what)
        if time.monotonic() - lost_at > GRACE_SECONDS:
            return give_up()


def _loss() -> Loss | None:
    """What has ended. A local Ray's processes are this one's children; others are known by their refusal."""
    node = connected_node()
    if node is None:
        return None
    if node.head:
        dead = {kind for kind, _ in node.dead_processes()}
    else:
        host, _, port = node.gcs_address.rpartition(":")
        dead = {"raylet"} if _has_ended(node.raylet_socket_name) else set()
        dead |= {"gcs_server"} if _refuses(socket.AF_INET, (host, int(port))) else set()
    ended = [shown for kind, shown in PARTS.items() if kind in dead]
    what = f"the loss of Ray, whose {' and '.join(ended)} has ended"
    return Loss(what, ends_process="raylet" in dead) if ended else None


def _has_ended(raylet: str) -> bool:
    """Whether nobody listens at a raylet's socket any more. One connection is kept: a raylet notes each that ends."""
    if kept := _connections.pop(raylet, None):
        if _is_open(kept):
            _connections[raylet] = kept
            return False
        kept.close()
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect(raylet)
    except OSError as error:
        connection.close()
        return isinstance(error, ConnectionRefusedError | FileNotFoundError)  # else it has too much to do
    connection.setblocking(False)
    _connections[raylet] = connection
    return False


def _is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:  # nothing has been said, as usual
        return True
    except OSError:
        return False


def _refuses(family: int, address: Any) -> bool:
    """Whether nobody listens there any more. Raises TimeoutError where nothing is heard at all."""
    with socket.socket(family) as connection:
        connection.settimeout(CONNECT_SECONDS)
        try:
            connection.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except BlockingIOError:  # listens, and has too much to do
            return False
        except TimeoutError:
            raise
        except OSError as error:  # no route, say
            raise TimeoutError(str(error)) from None
        return False
