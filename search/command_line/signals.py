"""Why a session is to end before its work is done: a signal, once in order, twice at once; its time; or Ray's loss."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from search.command_line.command import FAILED, SIGNALLED

NAMES: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
LOSS = signal.SIGUSR1
"""By which a thread interrupts the main one."""


@dataclass
class Stop:
    """Whether the user has asked for the end, by which signal, or by when; or what has made it necessary."""

    signal: int | None = None
    deadline: float | None = None
    """By `time.monotonic`."""
    lost: str | None = None
    """What has become of Ray, where the session cannot go on without it."""
    go_on: str = ""
    """The command that goes on after it."""
    waits_for_ray: bool = False
    """Whether the main thread is in Ray's hands, and has to be interrupted when Ray is lost."""
    _previous: dict[int, Any] = field(default_factory=dict)
    _terminals: list[int] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether the time that was given is over."""
        return self.deadline is not None and monotonic() >= self.deadline

    @property
    def name(self) -> str | None:
        """What ends the session, apart from its time."""
        return NAMES[self.signal] if self.signal else self.lost

    @property
    def exit_code(self) -> int | None:
        """128 and the signal's number, 1 where Ray was lost; None if nothing but its time ends the session."""
        if self.signal:
            return SIGNALLED + self.signal
        return FAILED if self.lost else None

    def listen(self) -> None:
        """Notes the first signal; the second one raises KeyboardInterrupt. What was ignored before stays ignored."""
        self._terminals = self._terminals or [number for number in (0, 1, 2) if _is_terminal(number)]
        for number, handler in {**dict.fromkeys(NAMES, self._note), LOSS: self._interrupt}.items():
            previous = self._previous.setdefault(number, signal.getsignal(number))
            signal.signal(number, signal.SIG_IGN if previous == signal.SIG_IGN and number != LOSS else handler)

    def forget(self) -> None:
        """Leaves all signals as they were found."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def lose(self, what: str) -> None:
        """Called by another thread: Ray is lost, and the main thread must not wait for it any longer."""
        self.lost = what
        signal.pthread_kill(threading.main_thread().ident or 0, LOSS)

    def __getstate__(self) -> dict[str, Any]:
        """Without handlers, since Tune pickles whatever its stopper holds."""
        return {**vars(self), "_previous": {}}

    def _note(self, number: int, frame: Any) -> None:
        if number == signal.SIGHUP:
            self._leave_terminals()
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number

    def _interrupt(self, number: int, frame: Any) -> None:
        if self.lost and self.waits_for_ray:  # Ray passes on KeyboardInterrupt, and nothing else
            raise KeyboardInterrupt

    def _leave_terminals(self) -> None:
        """Each write to a terminal that has gone would be an error, in the midst of an end in order."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in self._terminals:
            if not _is_terminal(number):
                os.dup2(nowhere, number)
        os.close(nowhere)


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """A Stop that listens, from before Ray starts: an exception in the midst of its start ends in a crash."""
    stop = Stop()
    stop.listen()
    try:
        yield stop
    finally:
        stop.forget()


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number)
    except OSError:  # closed
        return False
