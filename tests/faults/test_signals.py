"""Ctrl-C once and twice, and SIGTERM: what stops is said, nothing is lost, and the printed command goes on."""

import re
import shlex
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import results
from tests.faults.observed import Run
from tests.search.command import ROOT

CASES = {
    "once": ([signal.SIGINT], 130),
    "twice": ([signal.SIGINT, signal.SIGINT], 130),
    "terminated": ([signal.SIGTERM], 143),
}


@pytest.fixture(scope="module")
def stopped(undisturbed, tmp_path_factory) -> dict[str, tuple[Run, set[str], list[str]]]:
    """Each case's run after it was stopped and gone on with; its statuses and checkpoints when it was stopped."""
    folder = tmp_path_factory.mktemp("stopped")

    def attempt(name: str) -> tuple[Run, set[str], list[str]]:
        run, (signals, exit_code) = Run(folder / name, undisturbed.address, undisturbed.arguments), CASES[name]
        with run.started() as process:
            run.wait_until(lambda: len(run.notes()) > 2, process)  # the first trial of several epochs
            for place, number in enumerate(signals):
                process.send_signal(number)
                if place + 1 < len(signals):
                    run.wait_until(lambda: "to stop at once" in run.output, process)
            run.wait(process, exit_code)
        statuses = set(results.load("tiny10k", run.runs_dir)["status"])
        checkpoints = [path.name for path in (run.folder / "checkpoints").glob("*.ckpt")]
        go_on(run)
        return run, statuses, checkpoints

    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(attempt, CASES), strict=True))


def go_on(run: Run) -> None:
    """By the very command that was printed."""
    found = re.search(r"To go on: (\S+ -m search\.run .*)", run.output)
    assert found, run.output
    command = [*shlex.split(found[1]), f"address={run.address}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_what_was_stopped_goes_on_as_the_undisturbed_run(stopped, undisturbed, name, record):
    run, statuses, checkpoints = stopped[name]
    assert "RUNNING" not in statuses
    assert "STOPPED" in statuses
    assert len(checkpoints) <= 1
    assert run.picture() == undisturbed.picture()
    record(f"signals: {name}", injected=1, survived=1, repeated=run.repeated())


SAID = {"once": "Stopped by Ctrl-C", "twice": "stopped at once", "terminated": "Stopped by SIGTERM"}


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_stopped_it(stopped, name):
    output = stopped[name][0].output
    assert SAID[name] in output
    assert "Traceback" not in output
