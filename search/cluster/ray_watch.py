"""A thread that notices when Ray is lost: the cluster's head, or the node by which this process has joined it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from search.command_line.signals import Stop
from search.engines.ray import connected_node

LOOK_SECONDS = 0.5
"""The time between two checks, and between two interrupts, since code on the way may swallow one."""
CONNECT_SECONDS = 2.0
SILENT_LOOKS = 10
"""The number of checks, about half a minute, after which a head that does not even refuse connections counts as lost.
After a minute Ray would end this process itself."""
GRACE_SECONDS = 2.0
"""How long the main thread may take to react. A call to a lost head never returns."""
_connections: dict[str, socket.socket] = {}
"""Open connections to raylets, by their sockets' paths."""
_looking = threading.Lock()
PARTS = {"gcs_server": "GCS", "raylet": "raylet"}


@contextmanager
def watched(stop: Stop, give_up: Callable[[], None]) -> Iterator[None]:
    """Notes the loss of Ray in `stop` while the block runs, and raises KeyboardInterrupt in the main thread.

    If the main thread is stuck in a call to Ray, or its next call would end the process, `give_up` is called in another
    thread and must end the process in order. If the loss raises an error in the block first, it is noted as well.
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
        watch.join()  # its signal would end the process once there is no handler
        for raylet in list(_connections):
            _connections.pop(raylet).close()


@dataclass(frozen=True)
class Loss:
    """What happened to Ray, in words, and whether Ray itself ends this process at the next call to its raylet."""

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


def is_lost() -> bool:
    """Whether Ray is lost, or its head does not answer at the moment."""
    try:
        return _loss() is not None
    except TimeoutError:
        return True


def _loss() -> Loss | None:
    """Returns what has ended, if anything. A local Ray's processes are our children; others refuse connections."""
    node = connected_node()
    if node is None:
        return None
    if node.head:
        dead = {kind for kind, _ in node.dead_processes()}
    else:
        host, _, port = node.gcs_address.rpartition(":")
        assert node.raylet_socket_name is not None, "a node that is connected has a raylet"
        with _looking:
            dead = {"raylet"} if _has_ended(node.raylet_socket_name) else set()
        dead |= {"gcs_server"} if _refuses(socket.AF_INET, (host, int(port))) else set()
    ended = [label for kind, label in PARTS.items() if kind in dead]
    what = f"the loss of Ray, whose {' and '.join(ended)} has ended"
    return Loss(what, ends_process="raylet" in dead) if ended else None


def _has_ended(raylet: str) -> bool:
    """Returns whether a raylet's socket is dead. One connection is kept open, since a raylet logs each that closes."""
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
        return isinstance(error, ConnectionRefusedError | FileNotFoundError)  # otherwise it is only busy
    connection.setblocking(False)
    _connections[raylet] = connection
    return False


def _is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:  # open and without data, as usual
        return True
    except OSError:
        return False


def _refuses(family: int, address: tuple[str, int] | str) -> bool:
    """Returns whether an address refuses connections. Raises TimeoutError if there is no answer at all."""
    with socket.socket(family) as connection:
        connection.settimeout(CONNECT_SECONDS)
        try:
            connection.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except BlockingIOError:  # it listens, but is busy
            return False
        except TimeoutError:
            raise
        except OSError as error:  # for example, no route
            raise TimeoutError(str(error)) from None
        return False
