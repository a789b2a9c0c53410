"""Reasons to end a session early: a signal, the caller's event, the time limit, or the loss of Ray.

The first Ctrl-C ends a session in order, the second one immediately.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from types import FrameType

from search.command_line.command import FAILED, SIGNALLED

NAMES: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}
LOSS = signal.SIGUSR1
"""The signal by which another thread interrupts the main thread."""
EVENT = "the caller's stop event"
REPEAT_SECONDS = 0.5

Handler = Callable[[int, FrameType | None], object] | int | None


@dataclass
class Stop:
    """Why a session must end, if it must. It also knows how to interrupt the thread that runs the session."""

    signal: int | None = None
    deadline: float | None = None
    """The end of the time limit, on the clock of `time.monotonic`."""
    lost: str | None = None
    """How Ray was lost, where the session cannot continue without it."""
    event: threading.Event | None = None
    """An event of the caller's: setting it, in any thread, ends the session in order."""
    owns_process: bool = True
    """Whether this process is a command of ours, which may be ended. A library's caller keeps running."""
    resume_with: str = ""
    """The command that resumes the session."""
    waits_for_ray: bool = False
    """Whether the session's thread is inside Ray, and must be interrupted when Ray is lost."""
    _thread: int = 0
    _previous: dict[int, Handler] = field(default_factory=dict)
    _terminals: list[int] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether the time limit is reached."""
        return self.deadline is not None and monotonic() >= self.deadline

    @property
    def name(self) -> str | None:
        """What ends the session, other than its time limit."""
        if self.signal:
            return NAMES[self.signal]
        return self.lost or (EVENT if self.event and self.event.is_set() else None)

    @property
    def exit_code(self) -> int | None:
        """128 plus the signal's number; 1 if Ray was lost; None in all other cases."""
        if self.signal:
            return SIGNALLED + self.signal
        return FAILED if self.lost else None

    def listen(self) -> None:
        """Handles signals from now on, if this is the main thread: Python allows no other thread to do so.

        The first signal is noted, the second one raises KeyboardInterrupt. A signal that was ignored stays ignored.
        """
        self._thread = threading.get_ident()
        if not self._is_in_main_thread:
            return
        self._terminals = self._terminals or [number for number in (0, 1, 2) if _is_terminal(number)]
        for number, handler in {**dict.fromkeys(NAMES, self._note), LOSS: self._interrupt}.items():
            previous = self._previous.setdefault(number, signal.getsignal(number))
            signal.signal(number, signal.SIG_IGN if previous == signal.SIG_IGN and number != LOSS else handler)

    def forget(self) -> None:
        """Restores the handlers of all signals, and takes back an interrupt that has not been delivered yet."""
        self.waits_for_ray = False
        for number, handler in self._previous.items():
            if handler is not None:  # None: a handler that was not set from Python
                signal.signal(number, handler)
        if self.lost and not self._is_in_main_thread:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), None)

    def lose(self, what: str) -> None:
        """Notes the loss of Ray, and interrupts the session's thread. Another thread calls this."""
        self.lost = what
        if self._is_in_main_thread:
            signal.pthread_kill(threading.main_thread().ident or 0, LOSS)
        elif self.waits_for_ray:
            interrupt = ctypes.py_object(KeyboardInterrupt)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), interrupt)

    def leave(self) -> None:
        """Ends a session whose thread may be stuck in a call to a lost Ray. Another thread calls this.

        It ends the process where that is ours. Else it interrupts the session's thread until that returns from Ray.
        """
        if self.owns_process:
            os._exit(FAILED if self.exit_code is None else self.exit_code)
        assert self.lost is not None
        while self.waits_for_ray:
            self.lose(self.lost)
            threading.Event().wait(REPEAT_SECONDS)

    def pass_on(self) -> None:
        """Delivers a SIGTERM or SIGHUP that ended the session to the process, whose own handlers are back by now."""
        if self.signal and self.signal != signal.SIGINT:
            signal.raise_signal(self.signal)

    @property
    def _is_in_main_thread(self) -> bool:
        return self._thread in (0, threading.main_thread().ident)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._leave_terminals()
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.lost and self.waits_for_ray:  # Ray passes on KeyboardInterrupt, and nothing else
            raise KeyboardInterrupt

    def _leave_terminals(self) -> None:
        """Redirects closed terminals to /dev/null: a failing write would disturb an end in order."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in self._terminals:
            if not _is_terminal(number):
                os.dup2(nowhere, number)
        os.close(nowhere)


@contextmanager
def stop_signals(stop: Stop | None = None) -> Iterator[Stop]:
    """Gives a Stop that handles signals. Enter it before Ray starts: an exception during Ray's start is a crash."""
    stop = stop or Stop()
    stop.listen()
    try:
        yield stop
    finally:
        stop.forget()


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number)
    except OSError:  # it is closed
        return False
