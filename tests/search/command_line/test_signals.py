"""Signals: noted once, raised twice, left as they were found; and Ctrl-C while a command is being imported."""

import os
import signal
import subprocess
import sys

import pytest

from search.command_line.command import FAILED
from search.command_line.signals import stop_signals
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
    while not seen.endswith(b"\n"):  # whole, or its end would be written to a terminal that has gone
        seen += os.read(master, 100)
    os.close(master)
    _, errors = process.communicate(b"\n")
    assert (process.returncode, errors) == (129, b"")


@pytest.mark.parametrize("module", ["search.run", "search.predict", "search.report"])
def test_ctrl_c_while_a_command_is_imported_is_no_traceback(module, tmp_path):
    """The signal comes from within the import itself: of pandas, which each command needs."""
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
