"""What all tests share: quiet engines, and where real files lie if this checkout has them beside it."""

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
"""The property of a test that holds its row in the table of faults; pytest-xdist hands it on from its workers."""

hypothesis.settings.register_profile(  # on a busy machine any example may take long
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")
optuna.logging.set_verbosity(optuna.logging.ERROR)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # As a shell has it for what it starts in the background: tests, and the processes they start, are to hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not shutil.which("bash"):
        for item in items:
            if item.get_closest_marker("ray"):
                item.add_marker(pytest.mark.skip(reason="Ray starts its workers by bash, which is not here"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Here, since pytest-xdist's controller loads no conftest of a folder below."""
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
    """A data_dir with the real MNIST; tests that need it are skipped where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "MNIST" / "raw" / "train-images-idx3-ubyte").exists():
        pytest.skip("no MNIST files in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A Ray of two CPUs for all commands that do not mind sharing one: `address=...`, as the command line has it."""
    from tests.search.command import ROOT, environment

    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "tests.search.shared_ray"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), text=True, **pipes) as process:
        assert process.stdout
        yield next(line.strip() for line in process.stdout if line.startswith("address="))
        process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[Bucket]:
    """An S3 server on loopback, which the environment names."""
    from tests.results.bucket import bucket  # here, since few tests need it and it takes a second

    with bucket() as found:
        yield found


@pytest.fixture
def served(server: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """The same with an empty bucket, and a working folder of the test's own."""
    monkeypatch.setenv("FRUGAL_WORK_DIR", str(tmp_path / "work"))
    server.mend()
    server.empty()
    return server
