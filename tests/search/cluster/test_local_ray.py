"""The requirements of a local Ray, and the message when one is not met."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cluster import local_ray
from search.cluster.local_ray import check_shell, check_temporary_folder, name_a_home, token_of_its_own
from search.cluster.waiting import WAIT_SECONDS, Waiting
from search.engines.ray import sessions_of_their_own
from search.runs.folder import RunFolder


def test_a_temporary_folder_that_is_short_and_writable_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(local_ray, "MAX_SOCKET_PATH_BYTES", 1000)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    check_temporary_folder()
    assert os.listdir(tmp_path / "ray") == []


def test_a_temporary_folder_too_long_for_sockets_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", f"/{'x' * 60}")
    with pytest.raises(ValueError, match=r"xx/ray: .* [0-9]+ bytes too long for Ray's sockets; RAY_TMPDIR=FOLDER"):
        check_temporary_folder()


def test_a_temporary_folder_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(local_ray, "MAX_SOCKET_PATH_BYTES", 1000)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="file/ray: Ray's temporary folder cannot be written: Not a directory"):
        check_temporary_folder()


def test_a_temporary_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch):
    if os.getuid() == 0:
        pytest.skip("root may write everywhere")
    monkeypatch.setattr(local_ray, "MAX_SOCKET_PATH_BYTES", 1000)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="/ray: Ray's temporary folder cannot be written: Permission denied"):
        check_temporary_folder()


def test_an_unknown_home_is_replaced_by_a_folder(monkeypatch):
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("HOME", "/before")
    name_a_home()
    assert os.environ["HOME"] == "/before"
    monkeypatch.setattr(Path, "home", unknown)
    name_a_home()
    assert Path(os.environ["HOME"]).is_dir()


def test_a_local_ray_has_a_token_without_a_home(monkeypatch):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with token_of_its_own():
        assert os.environ["RAY_AUTH_MODE"] == "token"
        assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & os.environ.keys()


def test_what_the_environment_says_of_tokens_is_left_alone(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with token_of_its_own():
        assert os.environ["RAY_AUTH_MODE"] == "disabled"
        assert "RAY_AUTH_TOKEN" not in os.environ


def test_rays_processes_are_started_in_sessions_of_their_own():
    from ray._private import services

    with sessions_of_their_own():
        process = services.ConsolePopen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert os.getsid(process.pid) == process.pid
    finally:
        process.kill()
        process.wait()
    assert services.ConsolePopen.__name__ == "ConsolePopen"
    assert issubclass(services.ConsolePopen, subprocess.Popen)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_refused_and_no_folder_is_left(tmp_path, monkeypatch, number):
    def without(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", without)
    folder = RunFolder(tmp_path / "a")
    with pytest.raises(ValueError, match=r"/a: this file system has no locks.*runs_dir="), folder.locked():
        pass
    assert list(tmp_path.iterdir()) == []
    folder.path.mkdir()
    folder.journal.write_text("kept")
    with pytest.raises(ValueError, match="this file system has no locks"), folder.locked():
        pass
    assert folder.journal.read_text() == "kept"


def test_a_run_that_another_process_has_just_begun_is_left_to_it(tmp_path):
    """Two processes may start the same new run at once: the second must not remove the first one's files."""
    folder = RunFolder(tmp_path / "a")
    with folder.locked():
        with pytest.raises(ValueError, match="another process is running it"), folder.locked():
            pass
        assert folder.path.exists()


def test_waiting_for_room_is_reported_every_15_seconds(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("search.cluster.waiting.time.monotonic", lambda: clock[0])
    waiting, notices = Waiting(since=0.0), []
    for second, is_waiting in enumerate([True] * 40 + [False] * 20 + [True] * 20):
        clock[0] = float(second)
        if waiting.is_due(is_waiting):
            notices.append(second)
    assert notices == [15, 30, 74]
    assert WAIT_SECONDS == 15.0


def test_without_a_bash_the_reason_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="bash is not on this machine's PATH"):
        check_shell()
