"""Signals: the first is noted, the second raises, and handlers are restored. Ctrl-C during an import is quiet."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from search.command_line.command import FAILED
from search.command_line.signals import EVENT, Stop, stop_signals
from tests.search.command import ROOT, environment
from tests.waiting import HANG_SECONDS

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_is_noted_and_the_second_raises(number):
    before = signal.getsignal(number)
    with stop_signals() as stop:
        signal.raise_signal(number)
        assert (stop.signal, stop.exit_code) == (number, 128 + number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_was_ignored_stays_ignored_whatever_ray_makes_of_it(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stop_signals() as stop:
            signal.signal(number, lambda *_: None)  # as Ray takes SIGTERM for itself when it starts
            stop.listen()
            signal.raise_signal(number)
            assert stop.signal is None
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_the_loss_of_ray_interrupts_only_while_ray_is_waited_for():
    with stop_signals() as stop:
        stop.lose("the loss of Ray")
        assert (stop.name, stop.exit_code) == ("the loss of Ray", FAILED)
        stop.waits_for_ray = True
        with pytest.raises(KeyboardInterrupt):
            stop.lose("the loss of Ray")


def test_another_thread_handles_no_signals_and_is_interrupted_by_itself():
    ended = []

    def work() -> None:
        before = [signal.getsignal(number) for number in ENDING]
        with stop_signals(Stop(owns_process=False)) as stop:
            ended.append([signal.getsignal(number) for number in ENDING] == before)
            stop.waits_for_ray = True
            stop.lost = "the loss of Ray"
            leaving = threading.Thread(target=stop.leave)  # repeats the interrupt, and does not end the process
            try:
                leaving.start()
                while True:
                    time.sleep(0.01)
            except KeyboardInterrupt:
                stop.waits_for_ray = False
            leaving.join()
        ended.append(stop.name)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(HANG_SECONDS)
    assert ended == [True, "the loss of Ray"]


def test_an_event_of_the_callers_is_a_reason_to_stop():
    event = threading.Event()
    with stop_signals(Stop(event=event)) as stop:
        assert stop.name is None
        event.set()
        assert (stop.name, stop.exit_code) == (EVENT, None)


def test_only_a_signal_other_than_ctrl_c_is_passed_on():
    heard = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: heard.append(number))
    try:
        for number in (None, signal.SIGINT, signal.SIGHUP):
            Stop(signal=number).pass_on()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == [signal.SIGHUP]


def test_a_terminal_that_has_gone_is_written_to_no_more():
    program = """
import os, signal, sys
from search.command_line.signals import stop_signals
with stop_signals() as stop:
    print("ready", flush=True)
    sys.stdin.readline()
    signal.raise_signal(signal.SIGHUP)
    print("to nobody", flush=True)
    sys.exit(stop.exit_code)
"""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=slave, stderr=subprocess.PIPE
    )
    os.close(slave)
    seen = b""
    while not seen.endswith(b"\n"):  # read the whole line, or its end would go to a closed terminal
        seen += os.read(master, 100)
    os.close(master)
    _, errors = process.communicate(b"\n")
    assert (process.returncode, errors) == (129, b"")


@pytest.mark.parametrize("module", ["search.run", "search.predict", "search.report"])
def test_ctrl_c_while_a_command_is_imported_is_no_traceback(module, tmp_path):
    """The signal comes from within the import of pandas, which each command needs."""
    (tmp_path / "pandas.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    ended = subprocess.run(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**environment(), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        start_new_session=True,
    )
    assert (ended.returncode, ended.stderr) == (130, "stopped immediately\n")
