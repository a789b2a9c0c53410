"""The loss of Ray is noticed, whatever the main thread does."""

import signal
import socket
import threading
import time

import pytest

from search.cluster import ray_watch
from search.cluster.ray_watch import Loss, watched
from search.command_line.signals import Stop, stop_signals
from tests.waiting import HANG_SECONDS

LOSS = "the loss of Ray, whose GCS has ended"


@pytest.fixture
def lost(monkeypatch) -> None:
    monkeypatch.setattr(ray_watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(ray_watch, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(ray_watch, "_loss", lambda: Loss(LOSS))


def refuse_to_give_up() -> None:
    raise AssertionError("the main thread can be reached")


@pytest.mark.usefixtures("lost")
def test_a_main_thread_that_waits_is_interrupted(monkeypatch):
    monkeypatch.setattr(ray_watch, "GRACE_SECONDS", HANG_SECONDS)
    with stop_signals() as stop:
        with pytest.raises(KeyboardInterrupt), watched(stop, refuse_to_give_up):
            time.sleep(HANG_SECONDS)
        assert stop.name == LOSS


@pytest.mark.usefixtures("lost")
def test_where_the_main_thread_is_stuck_another_ends_the_process():
    gave_up = threading.Event()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # acts like a call that never returns
    try:
        with stop_signals() as stop:
            with watched(stop, gave_up.set):
                assert gave_up.wait(HANG_SECONDS)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


def test_where_ray_would_end_the_process_another_thread_does_so_in_order(monkeypatch):
    monkeypatch.setattr(ray_watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(ray_watch, "_loss", lambda: Loss(LOSS, ends_process=True))
    gave_up = threading.Event()
    with stop_signals() as stop, watched(stop, gave_up.set):
        assert gave_up.wait(HANG_SECONDS), "without an interrupt of the main thread"
    assert stop.lost == LOSS


def test_an_error_that_comes_of_the_loss_is_known_by_it(monkeypatch):
    monkeypatch.setattr(ray_watch, "LOOK_SECONDS", HANG_SECONDS)
    monkeypatch.setattr(ray_watch, "_loss", lambda: Loss(LOSS))
    stop = Stop()
    with pytest.raises(ConnectionError), watched(stop, refuse_to_give_up):
        raise ConnectionError
    assert stop.lost == LOSS


def test_without_a_loss_nothing_is_noted():
    stop = Stop()
    with watched(stop, refuse_to_give_up):
        pass
    assert stop.name is None


def test_a_head_refuses_once_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        assert not ray_watch._refuses(socket.AF_INET, address)
    assert ray_watch._refuses(socket.AF_INET, address)


def test_a_raylet_has_ended_once_its_connection_does_and_nobody_listens(tmp_path):
    path = str(tmp_path / "raylet")
    assert ray_watch._has_ended(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert not ray_watch._has_ended(path)
        accepted, _ = server.accept()
        assert not ray_watch._has_ended(path)
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()  # the same connection still
        accepted.close()
        assert not ray_watch._has_ended(path), "it listens, and a connection can be made anew"
        server.accept()[0].close()
    assert ray_watch._has_ended(path)
