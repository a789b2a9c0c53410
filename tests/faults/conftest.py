"""One Ray cluster for all runs that are killed, the run that is not, and a table of what was done to the others."""

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
    """A cluster of one node with room for several runs; killed drivers leave it as it is."""
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
    """A run at concurrency 1 whose tables are read all the time, and the lengths that they were seen to have."""
    run = Run(tmp_path_factory.mktemp("undisturbed"), address, (*ARGUMENTS, "concurrency=1"))
    with run.started() as process:
        lengths = read_until_it_ends(run, process)
        run.wait(process, 0)
    return run, lengths


@pytest.fixture(scope="session")
def undisturbed(watched: tuple[Run, dict[str, set[int]]]) -> Run:
    """The same run: nothing happened to it."""
    assert watched[0].repeated() == 0
    return watched[0]


def read_until_it_ends(run: Run, process: subprocess.Popen[str]) -> dict[str, set[int]]:
    """The lengths that both tables were seen to have; a broken one would raise."""
    lengths: dict[str, set[int]] = {"leaderboard": set(), "curves": set()}
    while process.poll() is None:
        for name, seen in lengths.items():
            rows = results.load("tiny10k", run.runs_dir, table=name)
            assert not rows.duplicated(["trial"] if name == "leaderboard" else ["trial", "step"]).any()
            seen.add(len(rows))
        time.sleep(0.05)  # a reader that never rests takes the CPU from the run that it watches
    return lengths


@pytest.fixture
def record(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Adds a row to the table of faults, once a test has found that they were survived."""

    def add(fault: str, injected: int, *runs: Run, alike: int = 0) -> None:
        """`alike` epochs look repeated without being so."""
        cut_off, repeated = sum(run.cut_off() for run in runs), sum(run.repeated() for run in runs) - alike
        record_property(FAULT, [fault, injected, injected, cut_off, repeated])

    return add
