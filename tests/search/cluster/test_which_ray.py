"""The Ray that a run uses: a running cluster is joined only if it is this user's and has the same versions."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.cluster import which_ray
from search.cluster.which_ray import RayChoice, choose_ray
from search.engines import ray_probe

HERE = {
    **{"ray": "2.60.0", "our_ray": "2.60.0", "python": "3.11.7", "our_python": "3.11.7"},
    **{"is_here": True, "wants_token": False},
}
ELSEWHERE = HERE | {"is_here": False}
TOKEN = {"wants_token": True, "takes_ours": True}
OTHER = os.getuid() + 1


@pytest.fixture
def note(tmp_path, monkeypatch) -> Path:
    """Returns the path where Ray notes the last cluster that was started here."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


@pytest.fixture
def answers(monkeypatch) -> dict[str, Any]:
    """Sets the cluster's description of itself, and the user whose process answers."""
    reply: dict[str, Any] = {"listener": os.getuid()}
    monkeypatch.setattr(which_ray, "_ask", lambda host, port: reply)
    monkeypatch.setattr(which_ray, "_listener", lambda port: reply["listener"])
    return reply


def test_without_a_running_cluster_it_is_a_local_one(note):
    assert choose_ray(None) == RayChoice()


@pytest.mark.parametrize("answer", [HERE, HERE | TOKEN, ELSEWHERE, ELSEWHERE | TOKEN])
def test_what_this_user_has_noted_and_started_is_joined(note, answers, answer):
    note.write_text("10.0.0.10:6379")
    answers.update(answer)
    assert choose_ray(None) == RayChoice(address="10.0.0.10:6379", wants_token=answer["wants_token"])


def test_a_cluster_that_takes_our_token_is_joined_whoever_started_it(note, answers):
    note.write_text("10.0.0.10:6379")
    answers.update(HERE | TOKEN | {"listener": OTHER})
    assert choose_ray(None) == RayChoice(address="10.0.0.10:6379", wants_token=True)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HERE | {"listener": OTHER}, "; to join it anyway: address=10.0.0.10:6379"),
        (HERE | {"ray": "2.50.0"}, "it runs Ray 2.50.0, and here it is 2.60.0"),
        (HERE | {"python": "3.12.1"}, "it runs Python 3.12.1, and here it is 3.11.7"),
        (HERE | {"problem": "it does not accept your token"}, "it does not accept your token"),
    ],
)
def test_a_foreign_or_unfit_cluster_is_left_alone_with_the_reason(note, answers, answer, reason):
    note.write_text("10.0.0.10:6379")
    answers.update(answer)
    choice = choose_ray(None)
    assert choice.address is None
    assert choice.not_joined.startswith(f"10.0.0.10:6379, which {note} names, is not joined: ")
    assert choice.not_joined.endswith(reason)


def test_a_remote_one_that_the_environment_names_is_joined_only_by_a_token(note, answers, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.10:6379")
    answers.update(ELSEWHERE)
    assert "its owner is unknown; to join it anyway: address=10.0.0.10:6379" in choose_ray(None).not_joined
    answers.update(TOKEN)
    assert choose_ray(None).address == "10.0.0.10:6379"


@pytest.mark.parametrize("asked", ["10.0.0.10:6379", "auto"])
def test_one_that_is_asked_for_is_joined_whosever_it_is(note, answers, asked):
    note.write_text("10.0.0.10:6379")
    answers.update(HERE | {"listener": OTHER})
    assert choose_ray(asked).address == "10.0.0.10:6379"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("ray://10.0.0.10:10001", "address=ray://10.0.0.10:10001: through Ray's client"),
        ("10.0.0.10", "address=10.0.0.10: it is not HOST:PORT, auto or local"),
        ("auto", "address=auto: this machine has no record of a Ray cluster"),
    ],
)
def test_one_that_is_asked_for_and_cannot_be_joined_is_a_mistake(note, asked, reason):
    with pytest.raises(ValueError, match="^" + reason):
        choose_ray(asked)


@pytest.mark.parametrize("named", ["local", "127.0.0.1:1"])
def test_a_local_one_is_asked_for_by_name(note, named, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", named)
    assert choose_ray("local") == RayChoice()


@pytest.fixture
def silent() -> Iterator[str]:
    """Listens at an address without ever answering."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_lost_cluster_is_left_alone_at_once(note, monkeypatch, nowhere):
    gone = nowhere.removeprefix("address=")
    note.write_text(gone)
    assert f"{gone}, which {note} names, is not joined: no Ray cluster answers there: " in choose_ray(None).not_joined


def test_a_silent_cluster_is_left_alone_after_5_seconds(note, silent):
    note.write_text(silent)
    assert choose_ray(None).not_joined.endswith("no Ray cluster answers there within 5 seconds")


def test_the_listener_of_a_port_is_known(silent):
    if not Path("/proc/net/tcp").exists():
        pytest.skip("this system has no /proc/net/tcp")
    assert which_ray._listener(int(silent.rpartition(":")[2])) == os.getuid()


def test_the_probe_says_whether_the_cluster_is_on_this_machine(monkeypatch, silent):
    monkeypatch.setattr(ray_probe, "ask", lambda address: {})
    monkeypatch.setattr(ray_probe.signal, "alarm", lambda seconds: 0)
    assert ray_probe.main(*silent.split(":")) == {"is_here": True}
