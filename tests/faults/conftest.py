"""Fixtures of the fault tests: one Ray cluster for all of them, an undisturbed run, and a table of faults."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

import results
from tests.conftest import FAULT
from tests.faults.observed import Run

ARGUMENTS = ("num_trials=5", "max_epochs=3", "train_examples=600", "seed=7")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Starts a cluster of one node with room for several runs; it survives killed drivers."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 6, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def make_run(tmp_path: Path, address: str) -> Callable[..., Run]:
    def make(name: str, *arguments: str, at: str = address) -> Run:
        return Run(tmp_path / name, at, (*ARGUMENTS, *arguments))

    return make


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, address: str) -> tuple[Run, dict[str, set[int]]]:
    """Returns a run at concurrency 1 whose tables were read all the time, and the lengths that were seen."""
    run = Run(tmp_path_factory.mktemp("undisturbed"), address, (*ARGUMENTS, "concurrency=1"))
    with run.started() as process:
        lengths = read_until_it_ends(run, process)
        run.wait(process, 0)
    return run, lengths


@pytest.fixture(scope="session")
def undisturbed(watched: tuple[Run, dict[str, set[int]]]) -> Run:
    """Returns the same run, as the reference for disturbed ones."""
    assert watched[0].repeated() == 0
    return watched[0]


def read_until_it_ends(run: Run, process: subprocess.Popen[str]) -> dict[str, set[int]]:
    """Reads both tables until the process ends, and returns the lengths seen; a broken table would raise."""
    lengths: dict[str, set[int]] = {"leaderboard": set(), "curves": set()}
    while process.poll() is None:
        for name, seen in lengths.items():
            rows = results.load("tiny10k", run.runs_dir, table=name)
            assert not rows.duplicated(["trial"] if name == "leaderboard" else ["trial", "step"]).any()
            seen.add(len(rows))
        time.sleep(0.05)  # without a pause, reading would take the CPU from the run
    return lengths


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Returns a function that adds a row to the table of faults, for a test to call when its run has survived."""

    def add(fault: str, injected: int, *runs: Run, alike: int = 0) -> None:
        """Adds a row. `alike` is the number of epochs that only look repeated."""
        cut_off, repeated = sum(run.cut_off() for run in runs), sum(run.repeated() for run in runs) - alike
        record_property(FAULT, [fault, injected, injected, cut_off, repeated])

    return add
