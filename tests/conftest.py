"""Set-up and fixtures of all tests: quiet engines, real data if available, one Ray cluster, and an S3 server."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import optuna
import pytest

if TYPE_CHECKING:
    from tests.results.bucket import Bucket

FAULT = "fault"
"""The property of a test that holds its row in the table of faults; pytest-xdist passes it on from its workers."""

hypothesis.settings.register_profile(  # on a busy machine any example may be slow
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")
optuna.logging.set_verbosity(optuna.logging.ERROR)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell ignores SIGINT in background jobs; tests and the processes that they start must receive it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not shutil.which("bash"):
        for item in items:
            if item.get_closest_marker("ray"):
                item.add_marker(pytest.mark.skip(reason="Ray starts its workers with bash, which is not installed"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table of faults. It is here because pytest-xdist's controller loads no conftest of a subfolder."""
    passed = [report for report in terminalreporter.getreports("passed") if report.when == "call"]
    rows = [row for report in passed for name, row in report.user_properties if name == FAULT]
    if rows:
        terminalreporter.section("faults")
        terminalreporter.line("| fault | injected | survived | epochs cut off | whole epochs repeated |")
        terminalreporter.line("|---|---|---|---|---|")
        for row in rows:
            terminalreporter.line("| " + " | ".join(map(str, row)) + " |")


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """Returns a data_dir with the real MNIST; skips the test if there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").exists():
        pytest.skip("no MNIST files in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Starts a Ray of two CPUs that commands share; yields the command line's key, `address=...`."""
    from tests.search.command import ROOT, environment

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "tests.search.shared_ray"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), text=True, **pipes) as process:
        assert process.stdout
        yield next(line.strip() for line in process.stdout if line.startswith("address="))
        process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """Starts an S3 server on loopback and sets the environment for it."""
    from tests.results.bucket import bucket  # imported here, because it takes a second and few tests need it

    with bucket() as found:
        yield found


@pytest.fixture
def served(server: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """Returns the S3 server with an empty bucket, and sets a new working folder."""
    monkeypatch.setenv("FRUGAL_WORK_DIR", str(tmp_path / "work"))
    server.mend()
    server.empty()
    return server
