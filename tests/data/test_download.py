"""Downloads from a server on the loopback: good, broken, slow and absent ones."""

import hashlib
import re
import socket
import threading
from pathlib import Path

import pytest

from data.download import DownloadFailed, fetch, probe
from data.files import default_data_dir, replacing
from tests.waiting import HANG_SECONDS

CONTENT = b"some bytes"
MD5 = hashlib.md5(CONTENT).hexdigest()


def test_a_file_is_fetched_whole_and_alone(serve, tmp_path: Path):
    lines: list[str] = []
    path = tmp_path / "new" / "folder" / "file.gz"

    fetch(serve({"file.gz": CONTENT}) + "file.gz", path, MD5, lines.append)

    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.gz"]
    assert "file.gz" in lines[0]


def test_a_large_download_says_how_far_it_is(serve, tmp_path: Path):
    content = bytes(5 * 10**6)
    lines: list[str] = []

    fetch(serve({"big": content}) + "big", tmp_path / "big", hashlib.md5(content).hexdigest(), lines.append)

    assert [line for line in lines if "%" in line] == ["big: 42% of 5 MB", "big: 84% of 5 MB"]


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"another file", "expected MD5 .*, found"), ("truncate", "expected 1,000 bytes, found 10"), (None, "404")],
)
def test_a_wrong_download_leaves_nothing_behind_and_says_what_was_found(serve, tmp_path: Path, content, found: str):
    url = serve({} if content is None else {"file": content}) + "file"

    with pytest.raises(DownloadFailed, match=found) as failure:
        fetch(url, tmp_path / "file", MD5, print)

    assert url in str(failure.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_the_file_that_was_there(serve, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DownloadFailed):
        fetch(serve({}) + "file", tmp_path / "file", MD5, print)
    assert (tmp_path / "file").read_text() == "mine"


def test_no_server_is_a_failed_download(refused: str, tmp_path: Path):
    with pytest.raises(DownloadFailed, match=re.escape(refused)):
        fetch(f"{refused}file", tmp_path / "file", MD5, print)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_no_failed_download(serve, tmp_path: Path):
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(OSError, match="folder"):
        fetch(serve({"file": CONTENT}) + "file", tmp_path / "folder" / "file", MD5, print)


def test_probe_finds_the_one_that_answers(serve, refused: str):
    good = serve({"file": CONTENT, "slow": "hang"})
    urls = [f"{good}slow", f"{good}absent", f"{refused}file", f"{good}file"]
    assert probe(urls, timeout_seconds=HANG_SECONDS) == f"{good}file"


def test_probe_gives_up_in_time_on_servers_that_hang(serve):
    url = serve({"file": "hang"}) + "file"
    with pytest.raises(DownloadFailed, match=r"no answer within 0\.2 s|timed out"):
        probe([url], timeout_seconds=0.2)


def test_probe_gives_up_in_time_on_name_servers_that_hang(monkeypatch: pytest.MonkeyPatch):
    # The one thing that the loopback cannot play: getaddrinfo waits for longer than the caller wants to.
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: is_over.wait(HANG_SECONDS) and [])
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DownloadFailed, match=r"no answer within 0\.1 s"):
        probe(["http://nowhere.invalid/"], timeout_seconds=0.1)
    is_over.set()


def test_probe_says_for_each_address_why_not(serve, refused: str):
    good = serve({})
    with pytest.raises(DownloadFailed) as failure:
        probe([f"{refused}file", f"{good}file", "no address"])
    first, second, third = str(failure.value).splitlines()
    assert first.startswith(f"{refused}file: ")
    assert "refused" in first
    assert "404" in second
    assert third.startswith("no address: ")


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path, make_folder=True) as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_data_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("FRUGAL_DATA_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_data_dir() == tmp_path / ".cache" / "frugal"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_data_dir() == tmp_path / ".cache" / "frugal"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_data_dir() == tmp_path / "cache" / "frugal"
    monkeypatch.setenv("FRUGAL_DATA_DIR", "~/data")
    assert default_data_dir() == tmp_path / "data"
