"""The needs of a local Ray: a shell, a home, a folder for files and sockets, a token."""

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
"""The maximum on Linux; macOS allows 103."""
SOCKET = "session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
"""The longest path of a socket below Ray's temporary folder."""


def check_shell() -> None:
    """Raises ValueError if there is no bash: Ray starts each of Tune's workers with it, and would wait forever."""
    if not shutil.which("bash"):
        raise ValueError(
            "bash is not on this machine's PATH, and Ray starts its workers with it; install it, or add it to PATH"
        )


def check_temporary_folder() -> None:
    """Raises ValueError if Ray's temporary folder cannot be written, or is too long for its sockets."""
    folder = temporary_folder()
    other = "RAY_TMPDIR=FOLDER in the environment names another one with a short path"
    too_long = len(os.fsencode(folder / SOCKET)) - MAX_SOCKET_PATH_BYTES
    if too_long > 0:
        raise ValueError(
            f"{folder}: the path of this temporary folder is {too_long} bytes too long for Ray's sockets; {other}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"{folder}: Ray's temporary folder cannot be written: {error.strerror}; {other}") from None


def name_a_home() -> None:
    """Sets HOME if the system knows none, as for an arbitrary user id in a container.

    Ray Tune asks for it when it is imported, and writes nothing there.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


@contextmanager
def token_of_its_own() -> Iterator[None]:
    """Puts a new token for a local Ray into the environment, which only this user's processes can read.

    Ray itself would write one into the home, which may not exist. Does nothing if the environment configures
    authentication.
    """
    configured = any(name.startswith("RAY_AUTH_") for name in os.environ)
    with authentication({} if configured else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
        yield


@contextmanager
def authentication(variables: dict[str, str]) -> Iterator[None]:
    """Sets Ray's authentication variables within the block. Ray caches them, so it is made to read them again."""
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
