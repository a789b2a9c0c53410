"""The order in which a mirror sends files: a head can resume from the bucket's copy at any moment."""

import threading
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import BinaryIO

import pytest
from pyarrow.fs import LocalFileSystem

from results.bucket import Remote
from search.study.journal import Journal
from search.trials.checkpoints import CheckpointStore
from tests.search import toy
from tests.search.runs.mirrors import mirror_of
from tests.search.unfinished import contents
from tests.waiting import HANG_SECONDS


class Lost(Remote):
    """A folder as a bucket. The run continues before each file is sent, and the head is lost at the n-th file."""

    def __init__(self, folder: Path, last: int, meanwhile: Callable[[], None]) -> None:
        self.url = self.path = str(folder)
        self.filesystem = LocalFileSystem()
        self.left, self.meanwhile = last, meanwhile
        folder.mkdir()

    def send(self, name: str, file: BinaryIO) -> None:
        self.meanwhile()
        if not self.left:
            raise OSError("the head is lost")
        self.left -= 1
        Path(self.path, name).parent.mkdir(exist_ok=True)
        super().send(name, file)


LAST = 4


class Running:
    """A run of the toy space whose trials report, write checkpoints and end, as under a driver and its store.

    A checkpoint's content is the number of reports that it knows of.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("task: toy\n")
        self.study = toy.open_study(folder / "journal.log", sampler="random")
        self.store = CheckpointStore(str(folder))
        self.trials = [
            self.study.add_reference(f"r{n}", toy.toy_candidate({"filters": 1 + n, "optimizer": "adam"}))
            for n in range(6)
        ]

    def step(self) -> None:
        """Trains an epoch of each of two trials."""
        for trial in self.study.running()[:2]:
            step = len(trial.reports) + 1
            self.store.save(trial.number, b"%d" % step)
            if step == LAST:
                self.store.save_results(trial.number, {"model": b"%d" % trial.number})
            self.study.report(trial.number, toy.report(step, 0.5, finished=step == LAST))
            if step == LAST:
                self.store.end(trial.number, f"trial-{trial.number}")


def test_a_head_can_resume_from_the_bucket_at_any_moment(tmp_path):
    """No checkpoint is more than a report ahead of its journal, and every trial that has ended has its model."""
    sent = 0
    while not lose(tmp_path / str(sent), sent):
        check(tmp_path / str(sent) / "there")
        sent += 1
    assert sent > 10


def lose(folder: Path, last: int) -> bool:
    """Returns whether the run ended before its head was lost."""
    running = Running(folder / "a")
    mirror = mirror_of(running.folder, remote=Lost(folder / "there", last, running.step))
    try:
        while running.study.running():
            running.step()
            mirror.send_changes()
            check_begun(folder / "there")
    except OSError:
        return False
    return True


class Slow(Lost):
    """A folder as a bucket, which accepts no checkpoint until `let` is set."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, last=-1, meanwhile=lambda: None)
        self.let = threading.Event()

    def send(self, name: str, file: BinaryIO) -> None:
        if name.endswith(".ckpt"):
            assert self.let.wait(HANG_SECONDS)
        super().send(name, file)


def test_checkpoints_that_take_long_do_not_keep_the_journal_waiting(tmp_path):
    running = Running(tmp_path / "a")
    remote = Slow(tmp_path / "there")
    mirror = mirror_of(running.folder, remote=remote)
    while running.study.running():
        running.step()
        mirror._send_round()
        assert (tmp_path / "there" / "journal.log").read_bytes() == (running.folder / "journal.log").read_bytes()
        check(tmp_path / "there")
    remote.let.set()
    mirror.send_changes()
    assert contents(tmp_path / "there") == contents(running.folder)


def test_an_empty_run_is_removed_after_the_checkpoints_under_way(tmp_path, monkeypatch):
    running = Running(tmp_path / "a")
    remote = Slow(tmp_path / "there")
    mirror = mirror_of(running.folder, remote=remote)
    mirror._is_new = True
    running.step()
    mirror._send_round()
    on_their_way = mirror._checkpoints
    assert on_their_way
    assert not on_their_way.done()
    done_before: list[bool] = []
    monkeypatch.setattr(remote, "remove_all", lambda: done_before.append(on_their_way.done()))
    threading.Timer(0.1, remote.let.set).start()
    mirror.withdraw()
    assert done_before == [True]


def test_checkpoints_that_failed_are_sent_again_and_the_journal_does_not_wait_for_it(tmp_path):
    running = Running(tmp_path / "a")
    remote = Slow(tmp_path / "there")
    remote.let.set()
    mirror = mirror_of(running.folder, remote=remote)
    running.step()
    (tmp_path / "there" / "checkpoints").write_text("in the way")
    mirror._send_round()
    assert mirror._checkpoints
    wait([mirror._checkpoints])
    (tmp_path / "there" / "checkpoints").unlink()
    running.step()
    with pytest.raises(OSError, match="checkpoints"):
        mirror._send_round()
    assert (tmp_path / "there" / "journal.log").read_bytes() == (running.folder / "journal.log").read_bytes()
    mirror.send_changes()
    assert contents(tmp_path / "there") == contents(running.folder)


def check_begun(folder: Path) -> None:
    """Checks that after a whole round every running trial has a checkpoint."""
    store = CheckpointStore(str(folder))
    running = [entry for entry in Journal.read(folder / "journal.log").entries() if entry.reports and not entry.ending]
    assert all(store.load(entry.trial.number) for entry in running)


def check(folder: Path) -> None:
    store = CheckpointStore(str(folder))
    entries = Journal.read(folder / "journal.log").entries() if (folder / "journal.log").exists() else []
    assert all(int(path.stem) < len(entries) for path in folder.glob("checkpoints/*.ckpt"))
    for entry in entries:
        number = entry.trial.number
        assert int(store.load(number) or b"0") <= len(entry.reports) + 1
        if entry.ending:
            places = [folder / "models" / f"trial-{number}.pt", folder / "checkpoints" / f"{number}.model"]
            assert any(path.exists() and path.read_bytes() == b"%d" % number for path in places)
