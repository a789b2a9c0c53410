"""Mirror: a thread that keeps a bucket's copy of a run up to date, so that a new machine can resume the run from it.

A round reads checkpoints first, then journals, then other files, and sends them in the opposite order. So the bucket
never holds a checkpoint that is more than one report ahead of its journal, since a report would then be missing, and
never a trial's end without its model. A head that is lost in the middle of a round loses only that round. Checkpoints
are most of the data, so they are sent by a thread of their own: while they take longer than a round, the following
rounds update the journal without them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from results.bucket import Remote, describe_error, explain_errors
from results.fetch import is_ahead, read_journals
from results.files import StorageError
from results.locations import is_remote
from results.own_files import is_journal, is_kept
from search.command_line.signals import Stop
from search.runs.folder import RunFolder

ROUND_SECONDS = 5.0
LAST_SECONDS, RETRY_SECONDS = 60.0, 2.0

Stamp = tuple[int, int]
"""A file's size in bytes and modification time in nanoseconds."""
Taken = tuple[str, Stamp, BinaryIO]
"""A file's name, its stamp, and the open file, which keeps its content if the name is replaced."""


@contextmanager
def mirrored(runs_dir: str, folder: RunFolder, stop: Stop, say: Callable[[str], None]) -> Iterator[Mirror | None]:
    """Sends a run to its bucket until the block ends, and once more at the end. Yields None if runs_dir is no bucket.

    A failing mirror makes `stop` end the session. Raises ValueError if the bucket cannot be written at the start, and
    StorageError if it cannot be written at the end. If the block raises ValueError, a new run is removed from the
    bucket.
    """
    if not is_remote(runs_dir):
        yield None
        return
    mirror = Mirror(Remote(f"{runs_dir}/{folder.name}"), folder.path, say, stop)
    mirror.begin()
    try:
        yield mirror
    except BaseException as error:
        mirror.end(patience_seconds=None if isinstance(error, ValueError | KeyboardInterrupt) else 0.0)
        if isinstance(error, ValueError):
            mirror.withdraw()
        raise
    mirror.end(LAST_SECONDS)
    mirror.check()
    if mirror.behind:
        raise StorageError(f"{mirror.remote.url}: {mirror.behind}; only {folder.path} has the latest files")


class Mirror:
    """The bucket's copy of one run's folder. This process holds the folder's lock."""

    def __init__(self, remote: Remote, folder: Path, say: Callable[[str], None], stop: Stop) -> None:
        self.remote, self.folder, self.say, self.stop = remote, folder, say, stop
        self.behind: str | None = None
        """The reason why the last round failed, or None."""
        self.failure: Exception | None = None
        """The error after which no further round is possible."""
        self._sent: dict[str, Stamp] = {}
        self._lengths: dict[str, int] = {}
        """The journals' lengths as last sent or found."""
        self._tried: dict[str, int] = {}
        """The lengths of journals whose sending may have failed."""
        self._is_new = False
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror-checkpoints")
        self._checkpoints: Future[None] | None = None
        """The checkpoints that are being sent."""
        self._ending = threading.Event()
        self._patience: float | None = None
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def begin(self) -> None:
        """Tests the bucket by writing config.yaml there, and starts the thread. Raises ValueError."""
        with explain_errors(self.remote.url):
            self._look()
            with (self.folder / "config.yaml").open("rb") as file:
                self.remote.send("config.yaml", file)
        self._thread.start()

    def end(self, patience_seconds: float | None) -> None:
        """Ends with a last round, which is retried for `patience_seconds`; None for no last round."""
        self._patience = patience_seconds
        self._ending.set()
        self._thread.join()

    def check(self) -> None:
        """Raises StorageError if another process writes the run."""
        if self.failure:
            raise self.failure

    def withdraw(self) -> None:
        """Removes from the bucket what was sent of a new run that never started."""
        if not self._is_new:
            return
        with suppress(OSError):  # otherwise a checkpoint could arrive after everything was removed
            self._wait_for_checkpoints()
        with suppress(OSError):
            self.remote.remove_all()

    def send_changes(self) -> None:
        """Sends one whole round. Raises OSError without an answer, StorageError if another process writes the run."""
        with suppress(OSError):  # files that were not sent are read again
            self._wait_for_checkpoints()
        self._send_round()
        self._wait_for_checkpoints()

    def _send_round(self) -> None:
        """Sends all but checkpoints, and starts sending these unless earlier ones are still being sent.

        At its end, raises the error of the earlier checkpoints, if there was one.
        """
        ended = self._checkpoints if self._checkpoints and self._checkpoints.done() else None
        if ended:
            self._checkpoints = None
        before = _files(self.folder)
        with ExitStack() as until_sent:
            wanted = [] if self._checkpoints else [name for name in before if _is_checkpoint(name)]
            checkpoints = self._take(wanted, until_sent)
            journals = self._longer_journals()
            others = [n for n in _files(self.folder) if not _is_checkpoint(n) and not is_journal(n)]
            self._check_alone(journals)
            self._send(others)
            for name, content in journals.items():
                self._tried[name] = len(content)
                self.remote.send(name, BytesIO(content))
                self._lengths[name] = len(content)
            if checkpoints:
                self._checkpoints = self._sender.submit(self._send_taken, checkpoints, until_sent.pop_all())
        for name in set(self._sent) - set(before) - set(_files(self.folder)):
            self.remote.remove(name)
            del self._sent[name]
        if ended:
            ended.result()

    def _wait_for_checkpoints(self) -> None:
        """Waits until checkpoints are sent, and raises their error, if any."""
        if sending := self._checkpoints:
            wait([sending])
            self._checkpoints = None
            sending.result()

    def _look(self) -> None:
        """Records what the bucket has. Raises ValueError if it has more of the run than this machine."""
        files = self.remote.files()
        theirs = {name: self.remote.read(name) or b"" for name in files if is_journal(name)}
        if not is_ahead(read_journals(self.folder), theirs):
            raise ValueError(f"{self.remote.url}: another process has just continued this run; name another run")
        self._is_new = not files
        self._lengths = {name: len(content) for name, content in theirs.items()}
        # Fetched files have the same stamp here. Of files that are missing here, only checkpoints are surely outdated
        known = {n: (i.size, i.mtime_ns) for n, i in files.items() if "checkpoints/" in n or (self.folder / n).exists()}
        self._sent = {name: stamp for name, stamp in known.items() if not is_journal(name)}

    def _run(self) -> None:
        try:
            self._try(self._send_round)
            while not self._ending.wait(ROUND_SECONDS):
                self._try(self._send_round)
            deadline = time.monotonic() + (self._patience or 0.0)
            while self._patience is not None and not self._try(self.send_changes) and time.monotonic() < deadline:
                time.sleep(RETRY_SECONDS)
        except Exception as error:
            self.failure = error
            self.stop.deadline = time.monotonic()

    def _try(self, send: Callable[[], None]) -> bool:
        """Returns whether the round was sent, and reports when this changes."""
        try:
            send()
        except OSError as error:
            if self.behind is None:
                self.say(
                    f"{self.remote.url}: cannot be reached ({describe_error(error)}); the run continues in "
                    f"{self.folder} and is sent when the bucket answers again"
                )
            self.behind = describe_error(error)
            return False
        if self.behind is not None:
            self.say(f"{self.remote.url}: answers again; sending what is missing")
        self.behind = None
        return True

    def _take(self, names: Iterable[str], stack: ExitStack) -> list[Taken]:
        """Opens the files that have changed since they were sent; the stack closes them."""
        taken = []
        for name in names:
            with suppress(FileNotFoundError):  # removed since it was listed
                path = self.folder / name
                if _stamp(path.stat()) != self._sent.get(name):
                    file = stack.enter_context(path.open("rb"))
                    taken.append((name, _stamp(os.fstat(file.fileno())), file))
        return taken

    def _send(self, names: Iterable[str]) -> None:
        """Sends the files that have changed."""
        with ExitStack() as stack:
            self._send_taken(self._take(names, stack), stack)

    def _send_taken(self, taken: list[Taken], stack: ExitStack) -> None:
        """Sends open files; the stack closes them when all are sent."""
        with stack:
            for name, stamp, file in taken:
                self.remote.send(name, file)
                self._sent[name] = stamp

    def _longer_journals(self) -> dict[str, bytes]:
        """Returns the journals that have grown: the run's own first, since the others depend on it."""
        found = sorted(read_journals(self.folder).items(), key=lambda each: each[0].count("/"))
        return {name: content for name, content in found if len(content) != self._lengths.get(name)}

    def _check_alone(self, journals: Iterable[str]) -> None:
        for name in journals:
            length = self.remote.size(name)
            if length not in (self._lengths.get(name), self._tried.get(name)):
                raise StorageError(
                    f"{self.remote.url}/{name}: has {length or 'no'} bytes where {self._lengths.get(name) or 'none'} "
                    "were sent: another process writes this run, or has removed it"
                )
            if length is not None:
                self._lengths[name] = length


def _is_checkpoint(name: str) -> bool:
    return name.endswith(".ckpt")


def _stamp(stat: os.stat_result) -> Stamp:
    return stat.st_size, stat.st_mtime_ns


def _files(folder: Path) -> list[str]:
    """Returns the names of all files of the run.

    At a trial's end, files move from checkpoints/ to models/ or answers/. The folders are listed in this order, so that
    no file is missed.
    """
    order = {"checkpoints": 0, "models": 2, "answers": 2}
    names = []
    for path, folders, files in os.walk(folder):
        folders.sort(key=lambda name: order.get(name, 1))
        names += [Path(path, file).relative_to(folder).as_posix() for file in files]
    return [name for name in names if is_kept(name)]
