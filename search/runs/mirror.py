"""Mirror: keeps a bucket's copy of a run up to date from a thread, so that a new head can go on from that alone.

A round takes the checkpoints first, then the journals, then the rest, and sends the rest first, then the journals, then
the checkpoints. So at any moment the bucket holds no checkpoint that is more than a report ahead of its journal, whose
next report would then be missing, and no ending without its model: a head that is lost in the midst costs no more than
the round. Checkpoints, most of what is sent, go in a thread of their own: where they take longer than a round, further
rounds keep the journal up to date without any.
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

from results.files import StorageError
from results.storage import Remote, explained, is_ahead, is_journal, is_kept, is_remote, local_journals, reason
from search.command_line.signals import Stop
from search.runs.folder import RunFolder

ROUND_SECONDS = 5.0
LAST_SECONDS, RETRY_SECONDS = 60.0, 2.0

Stamp = tuple[int, int]
"""A file's size and time of change (ns)."""
Taken = tuple[str, Stamp, BinaryIO]
"""A file's name and stamp, and the file itself, which stays what it is when another takes its name."""


@contextmanager
def mirrored(runs_dir: str, folder: RunFolder, stop: Stop, say: Callable[[str], None]) -> Iterator[Mirror | None]:
    """Sends a run whose runs_dir is a bucket there until the block ends, and then for a last time; None for any other.

    A mirror that fails is `stop`'s reason to end. Raises ValueError if the bucket cannot be written to at the start,
    StorageError if it cannot be at the end. Where the block raises a ValueError, a new run goes from there again.
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
        raise StorageError(f"{mirror.remote.url}: {mirror.behind}; what is new is in {folder.path} alone")


class Mirror:
    """The bucket's copy of one run's folder, whose lock is held."""

    def __init__(self, remote: Remote, folder: Path, say: Callable[[str], None], stop: Stop) -> None:
        self.remote, self.folder, self.say, self.stop = remote, folder, say, stop
        self.behind: str | None = None
        """Why the last round failed, if it did."""
        self.failure: Exception | None = None
        """Why no further round can be."""
        self._sent: dict[str, Stamp] = {}
        self._lengths: dict[str, int] = {}
        """Of the journals, as they were last sent or found."""
        self._tried: dict[str, int] = {}
        """The same, of those whose sending may have failed."""
        self._is_new = False
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror-checkpoints")
        self._checkpoints: Future[None] | None = None
        """Those on their way."""
        self._ending = threading.Event()
        self._patience: float | None = None
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)

    def begin(self) -> None:
        """Tries the place by writing config.yaml there, and starts. Raises ValueError."""
        with explained(self.remote.url):
            self._look()
            with (self.folder / "config.yaml").open("rb") as file:
                self.remote.send("config.yaml", file)
        self._thread.start()

    def end(self, patience_seconds: float | None) -> None:
        """Ends with a last round, tried for so long; None for no such round."""
        self._patience = patience_seconds
        self._ending.set()
        self._thread.join()

    def check(self) -> None:
        """Raises StorageError if somebody else writes the run."""
        if self.failure:
            raise self.failure

    def withdraw(self) -> None:
        """Removes what was sent of a run that was new: nothing came of it."""
        if not self._is_new:
            return
        with suppress(OSError):  # or a checkpoint that is on its way comes after all has been removed
            self._wait_for_checkpoints()
        with suppress(OSError):
            self.remote.remove_all()

    def send_changes(self) -> None:
        """One round, whole. Raises OSError where there is no answer, StorageError if somebody else writes the run."""
        with suppress(OSError):  # what was not sent is taken again
            self._wait_for_checkpoints()
        self._send_round()
        self._wait_for_checkpoints()

    def _send_round(self) -> None:
        """Sends all but checkpoints, and begins to send these, unless earlier ones are still on their way.

        Raises, at its end, what the sending of earlier ones has raised.
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
        """Raises what their sending has raised."""
        if on_their_way := self._checkpoints:
            wait([on_their_way])
            self._checkpoints = None
            on_their_way.result()

    def _look(self) -> None:
        """Notes what is there."""
        files = self.remote.files()
        theirs = {name: self.remote.read(name) or b"" for name in files if is_journal(name)}
        if not is_ahead(local_journals(self.folder), theirs):
            raise ValueError(f"{self.remote.url}: somebody else has gone on with this run just now; name another run")
        self._is_new = not files
        self._lengths = {name: len(content) for name, content in theirs.items()}
        # Those that were fetched have the same stamp here. Of what is not here, only checkpoints are known to be over
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
        """Whether it was sent; says when this changes."""
        try:
            send()
        except OSError as error:
            if self.behind is None:
                self.say(
                    f"{self.remote.url}: cannot be reached ({reason(error)}); the run goes on in {self.folder} and is "
                    "sent when it answers again"
                )
            self.behind = reason(error)
            return False
        if self.behind is not None:
            self.say(f"{self.remote.url}: answers again, and is sent what is missing")
        self.behind = None
        return True

    def _take(self, names: Iterable[str], stack: ExitStack) -> list[Taken]:
        """Those that have changed since they were sent, open until the stack is closed."""
        taken = []
        for name in names:
            with suppress(FileNotFoundError):  # over since it was listed
                path = self.folder / name
                if _stamp(path.stat()) != self._sent.get(name):
                    file = stack.enter_context(path.open("rb"))
                    taken.append((name, _stamp(os.fstat(file.fileno())), file))
        return taken

    def _send(self, names: Iterable[str]) -> None:
        """Those that have changed, as they are now."""
        with ExitStack() as stack:
            self._send_taken(self._take(names, stack), stack)

    def _send_taken(self, taken: list[Taken], stack: ExitStack) -> None:
        """The stack holds them open until all are sent."""
        with stack:
            for name, stamp, file in taken:
                self.remote.send(name, file)
                self._sent[name] = stamp

    def _longer_journals(self) -> dict[str, bytes]:
        """The journals that have grown; the run's own first, since those of studies within it go on from it."""
        found = sorted(local_journals(self.folder).items(), key=lambda each: each[0].count("/"))
        return {name: content for name, content in found if len(content) != self._lengths.get(name)}

    def _check_alone(self, journals: Iterable[str]) -> None:
        for name in journals:
            length = self.remote.size(name)
            if length not in (self._lengths.get(name), self._tried.get(name)):
                raise StorageError(
                    f"{self.remote.url}/{name}: has {length or 'no'} bytes where {self._lengths.get(name) or 'none'} "
                    "were sent: somebody else writes this run, or has removed it"
                )
            if length is not None:
                self._lengths[name] = length


def _is_checkpoint(name: str) -> bool:
    return name.endswith(".ckpt")


def _stamp(stat: os.stat_result) -> Stamp:
    return stat.st_size, stat.st_mtime_ns


def _files(folder: Path) -> list[str]:
    """The names of all files that belong to the run.

    What is left in checkpoints/ at a trial's end moves on to models/ or answers/: looked for in this order, it is seen.
    """
    places = {"checkpoints": 0, "models": 2, "answers": 2}
    names = []
    for path, folders, files in os.walk(folder):
        folders.sort(key=lambda name: places.get(name, 1))
        names += [Path(path, file).relative_to(folder).as_posix() for file in files]
    return [name for name in names if is_kept(name)]
