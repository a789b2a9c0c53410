"""Ctrl-C once, Ctrl-C twice and SIGTERM: the reason is printed, nothing is lost, and the printed command resumes."""

import re
import shlex
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

import results
from tests.faults.observed import Run

CASES = {
    "Ctrl-C": ([signal.SIGINT], 130),
    "Ctrl-C twice": ([signal.SIGINT, signal.SIGINT], 130),
    "SIGTERM": ([signal.SIGTERM], 143),
}


@pytest.fixture(scope="module")
def stopped(undisturbed, tmp_path_factory) -> dict[str, tuple[Run, set[str], list[str]]]:
    """Returns each case's run, stopped and resumed, with its statuses and checkpoints when it was stopped."""
    folder = tmp_path_factory.mktemp("stopped")

    def attempt(name: str) -> tuple[Run, set[str], list[str]]:
        run, (signals, exit_code) = Run(folder / name, undisturbed.address, undisturbed.arguments), CASES[name]
        with run.started() as process:
            run.wait_until(lambda: len(run.notes()) > 2, process)  # the first trial of several epochs
            for index, number in enumerate(signals):
                process.send_signal(number)
                if index + 1 < len(signals):
                    run.wait_until(lambda: "to stop immediately" in run.output, process)
            run.wait(process, exit_code)
        statuses = set(results.load("tiny10k", run.runs_dir)["status"])
        checkpoints = [path.name for path in (run.folder / "checkpoints").glob("*.ckpt")]
        resume_as_printed(run)
        return run, statuses, checkpoints

    with ThreadPoolExecutor(len(CASES)) as pool:
        return dict(zip(CASES, pool.map(attempt, CASES), strict=True))


def resume_as_printed(run: Run) -> None:
    """Resumes the run with the arguments of the printed command."""
    found = re.search(r"Resume with: \S+ -m search\.run (.*)", run.output)
    assert found, run.output
    with replace(run, arguments=tuple(shlex.split(found[1]))).started() as process:
        run.wait(process, 0)


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_run_that_resumes_equals_the_undisturbed_one(stopped, undisturbed, name, record):
    run, statuses, checkpoints = stopped[name]
    assert "RUNNING" not in statuses
    assert "STOPPED" in statuses
    assert len(checkpoints) <= 1
    assert run.picture() == undisturbed.picture()
    record(f"signal: {name}", 1, run)


MESSAGES = {"Ctrl-C": "Stopped by Ctrl-C", "Ctrl-C twice": "stopped immediately", "SIGTERM": "Stopped by SIGTERM"}


@pytest.mark.parametrize("name", CASES)
def test_it_prints_what_stopped_it(stopped, name):
    output = stopped[name][0].output
    assert MESSAGES[name] in output
    assert "Traceback" not in output
