"""What a Ray needs where it starts: a shell, a home, a folder for files and sockets, a token."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.engines.ray import read_tokens_anew, temporary_folder

MAX_SOCKET_PATH_BYTES = 107
"""Of a unix socket on Linux; macOS takes 103."""
SOCKET = "session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
"""As Ray names it in its temporary folder."""


def check_shell() -> None:
    """Raises ValueError where there is no bash: Ray starts each of Tune's workers by it, and would wait for ever."""
    if not shutil.which("bash"):
        raise ValueError("bash is not on this machine's PATH, and Ray starts its workers by it; install it, or add it")


def check_temporary_folder() -> None:
    """Raises ValueError if Ray cannot have its temporary folder: not to be written, or too long for its sockets."""
    folder = temporary_folder()
    other = "RAY_TMPDIR=FOLDER in the environment names another, short one"
    too_long = len(os.fsencode(folder / SOCKET)) - MAX_SOCKET_PATH_BYTES
    if too_long > 0:
        raise ValueError(
            f"{folder}: this temporary folder's name is {too_long} bytes too long for the sockets of Ray; {other}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{folder}: Ray cannot have its temporary folder there: {error.strerror}; {other}") from None


def name_a_home() -> None:
    """Gives this process a home where the system knows none, as for a container's free user id.

    Ray Tune wants to know one when it is imported, and puts nothing there.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


@contextmanager
def token_of_its_own() -> Iterator[None]:
    """A token for a local Ray alone, in the environment, which only this user's processes can read.

    Ray itself would write one into the home, where there may be none. Left alone where the environment has a say.
    """
    asked = any(name.startswith("RAY_AUTH_") for name in os.environ)
    with authentication({} if asked else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
        yield


@contextmanager
def authentication(variables: dict[str, str]) -> Iterator[None]:
    """These variables of Ray's in the environment, for a time; Ray, which keeps them in mind, reads them anew."""
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    os.environ.update(variables)
    read_tokens_anew()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        read_tokens_anew()
