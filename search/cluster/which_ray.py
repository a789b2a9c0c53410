"""The choice of the Ray that a run uses: the named one, this user's running one, or a new local one."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from search.engines import ray_probe
from search.engines.ray import cluster_note

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
PROBE_SECONDS = ray_probe.CONNECT_SECONDS + ray_probe.ANSWER_SECONDS
START_SECONDS = 120.0
"""The time after which a probe that has not started counts as failed."""


@dataclass(frozen=True, kw_only=True)
class RayChoice:
    """The cluster to join, at HOST:PORT, or a local Ray to start."""

    address: str | None = None
    wants_token: bool = False
    not_joined: str = ""
    """Which running cluster was found and why it is not used; empty if there is none."""


@dataclass(frozen=True)
class Found:
    """A cluster that Ray itself would join: where its address was found, and who wrote that file."""

    address: str
    named_by: str
    writer: int | None = None


class Refusal(TypedDict):
    """The probe's output if the cluster cannot be joined."""

    problem: str


class Answer(TypedDict):
    """The probe's output about a cluster that answered, and about this process."""

    is_here: bool
    """Whether the cluster runs on this machine."""
    wants_token: bool
    takes_ours: NotRequired[bool]
    """Whether it accepted our token."""
    ray: str
    python: str
    our_ray: str
    our_python: str


class CannotJoin(ValueError):
    """Raised if a cluster cannot be joined. The message continues "ADDRESS: "."""


class OtherVersions(CannotJoin):
    """Raised if a cluster runs another version of Ray or Python than this process."""


def choose_ray(asked: str | None) -> RayChoice:
    """Returns the Ray that `address=` names; without it, this user's running cluster, else a new local one.

    A cluster that accepts our token counts as this user's. Raises ValueError if a named cluster cannot be joined. Waits
    at most 5 seconds for an answer.
    """
    if asked == LOCAL:
        return RayChoice()
    if asked not in (None, AUTO):
        return _asked(asked, asked)
    found = find_cluster()
    if asked == AUTO:
        if found is None:
            raise ValueError("address=auto: this machine has no record of a Ray cluster, and RAY_ADDRESS names none")
        return _asked(asked, found.address)
    if found is None:
        return RayChoice()
    try:
        answer = probe(found.address)
        _check_ours(found, answer)
    except CannotJoin as reason:
        return RayChoice(not_joined=f"{found.address}, which {found.named_by} names, is not joined: {reason}")
    return RayChoice(address=found.address, wants_token=answer["wants_token"])


def find_cluster() -> Found | None:
    """Returns the cluster that Ray's own rule finds: named by RAY_ADDRESS, or recorded by the last `ray start` here."""
    named = os.environ.get("RAY_ADDRESS", "")
    if named == LOCAL:
        return None
    if named not in ("", AUTO):
        return Found(named, "RAY_ADDRESS")
    note = cluster_note()
    try:
        return Found(note.read_text().strip(), str(note), note.stat().st_uid)
    except (OSError, UnicodeError):
        return None


def probe(address: str) -> Answer:
    """Asks a cluster for its versions. Raises CannotJoin if there is no answer, or if versions or tokens differ."""
    if address.startswith(CLIENT):
        raise CannotJoin(
            "through Ray's client this machine is not a node of the cluster, so checkpoints could not reach the run's "
            "folder here. Run the search on the head, or on a machine that `ray start --address=HOST:PORT` has joined"
        )
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise CannotJoin("it is not HOST:PORT, auto or local")
    answer = _ask(host.strip("[]"), port)
    if "problem" in answer:
        raise CannotJoin(answer["problem"])
    versions = ("Ray", answer["ray"], answer["our_ray"]), ("Python", answer["python"], answer["our_python"])
    for name, theirs, ours in versions:
        if theirs != ours:
            raise OtherVersions(f"it runs {name} {theirs}, and here it is {ours}")
    return answer


def _asked(typed: str, address: str) -> RayChoice:
    try:
        return RayChoice(address=address, wants_token=probe(address)["wants_token"])
    except CannotJoin as reason:
        raise type(reason)(f"address={typed}: {reason}") from None


def _ask(host: str, port: str) -> Answer | Refusal:
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-P", ray_probe.__file__, host, port]
    # In its own session: Ctrl-C is the caller's, and must not end the probe, which would look like a silent cluster
    asked = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=START_SECONDS, start_new_session=True
    )
    if asked.returncode == -signal.SIGALRM:
        raise CannotJoin(f"no Ray cluster answers there within {PROBE_SECONDS} seconds")
    if asked.returncode:
        raise CannotJoin(
            f"no Ray cluster could be asked there: {(asked.stderr.strip().splitlines() or ['no reason'])[-1]}"
        )
    return json.loads(asked.stdout)


def _check_ours(found: Found, answer: Answer) -> None:
    """Raises CannotJoin unless the cluster accepts our token, or this user runs it or recorded it here."""
    if answer.get("takes_ours"):
        return
    owner = _listener(int(found.address.rpartition(":")[2])) if answer["is_here"] else None
    owner = found.writer if owner is None else owner
    way = f"to join it anyway: address={found.address}"
    if owner is None:
        raise CannotJoin(f"it asks for no token, so its owner is unknown; {way}")
    if owner != os.getuid():
        raise CannotJoin(f"it belongs to {_user(owner)}; {way}")


def _listener(port: int) -> int | None:
    """Returns the user whose process on this machine listens on a port; None if the system does not say.

    On Linux everybody can read /proc/net/tcp: its columns are local address, remote address, state, ..., user.
    """
    for table in Path("/proc/net/tcp"), Path("/proc/net/tcp6"):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for _, local, _, state, _, _, _, user, *_ in map(str.split, lines):
            if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                return int(user)
    return None


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
